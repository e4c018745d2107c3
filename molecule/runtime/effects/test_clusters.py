# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that no node has, by stand-ins: k3s and RKE2, which write containerd's file themselves; CRI-O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.slow

# Stand-in of both: of their start only that they look for the runtime, take the setting from config.yaml.d,
# write the file (k3s, pkg/agent/templates and pkg/agent/containerd), and then tell systemd that they run.
SERVER = r"""#!/bin/sh -e
name=@NAME@
folder=/var/lib/rancher/$name/agent/etc/containerd
mkdir -p $folder
default=$(sed -n 's/^default-runtime: //p' /etc/rancher/$name/config.yaml.d/*.yaml 2>/dev/null || true)
plugin='plugins."io.containerd.grpc.v1.cri".containerd'
{
    echo 'version = 2'
    echo "[$plugin]"
    [ -z "$default" ] || echo "  default_runtime_name = \"$default\""
    echo "[$plugin.runtimes.runc]"
    echo '  runtime_type = "io.containerd.runc.v2"'
    if [ -x /usr/bin/nvidia-container-runtime ]; then
        echo "[$plugin.runtimes.\"nvidia\"]"
        echo '  runtime_type = "io.containerd.runc.v2"'
        echo "[$plugin.runtimes.\"nvidia\".options]"
        echo '  BinaryName = "/usr/bin/nvidia-container-runtime"'
    fi
} > $folder/config.toml
echo started >> /var/lib/rancher/$name/starts
systemd-notify --ready
exec sleep infinity
"""
UNIT = """[Unit]
Description=@NAME@ (stand-in)
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/local/bin/@NAME@ server
"""
# Stand-in of CRI-O's `crio config`, without a daemon.
CRIO = """#!/bin/sh
cat /etc/crio/crio.conf /etc/crio/crio.conf.d/*.conf 2>/dev/null || true
"""
OWN = """[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/bin/crun"
"""


class Cluster:
    """A cluster's agent on a node."""

    def __init__(self, host: Host, write: Callable[[str, str], None], name: str, unit: str) -> None:
        self.name = name
        self.setting = f"/etc/rancher/{name}/config.yaml.d/50-gpulab-nvidia.yaml"
        self.config = f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml"
        self._host = host
        self._write = write
        self._unit = unit

    def start(self) -> None:
        self._write(f"/usr/local/bin/{self.name}", SERVER.replace("@NAME@", self.name))
        self._write(f"/etc/systemd/system/{self._unit}.service", UNIT.replace("@NAME@", self.name))
        self._host.check_output(f"chmod 755 /usr/local/bin/{self.name}")
        self._host.check_output(f"systemctl daemon-reload && systemctl restart {self._unit}")

    def starts(self) -> int:
        return int(self._host.check_output(f"wc -l < /var/lib/rancher/{self.name}/starts"))

    def written(self) -> str:
        return str(self._host.file(self.config).content_string)

    def remove(self) -> None:
        self._host.check_output(
            f"systemctl stop {self._unit}; rm -rf /etc/systemd/system/{self._unit}.service"
            f" /usr/local/bin/{self.name} /var/lib/rancher /etc/rancher; systemctl daemon-reload"
        )


@pytest.fixture
def cluster(host: Host, node: str, write: Callable[[str, str], None]) -> Iterator[Cluster]:
    """k3s on one node, RKE2 on the other."""
    made = Cluster(host, write, *{"bookworm": ("k3s", "k3s"), "trixie": ("rke2", "rke2-server")}[node])
    made.start()
    yield made
    made.remove()


def test_it_is_started_again_once_after_the_toolkit_came(
    host: Host, role: Callable[..., Any], cluster: Cluster
) -> None:
    """It looks for the runtime when it starts only. So it has to be started again, and on later runs not."""
    binary = "/usr/bin/nvidia-container-runtime"
    host.check_output(f"mv {binary} {binary}.away")
    cluster.start()
    host.check_output(f"mv {binary}.away {binary}")
    assert "nvidia" not in cluster.written()
    before = cluster.starts()
    run = role(nvidia_docker_runtimes=[cluster.name])
    assert (run.failed, run.changed) == ("", ["Start it again"])
    assert binary in cluster.written()
    assert cluster.starts() == before + 1
    assert role(nvidia_docker_runtimes=[cluster.name]).changed == []
    assert cluster.starts() == before + 1
    assert not host.file(cluster.setting).exists


def test_the_default_is_set_and_taken_back_in_its_own_settings(
    host: Host, role: Callable[..., Any], cluster: Cluster
) -> None:
    before = cluster.starts()
    run = role(nvidia_docker_runtimes=[cluster.name], nvidia_docker_set_as_default=True)
    assert run.failed == ""
    assert host.file(cluster.setting).content_string == "default-runtime: nvidia\n"
    assert 'default_runtime_name = "nvidia"' in cluster.written()
    assert cluster.starts() == before + 1
    assert role(nvidia_docker_runtimes=[cluster.name], nvidia_docker_set_as_default=True).changed == []
    assert role(nvidia_docker_runtimes=[cluster.name]).failed == ""
    assert not host.file(cluster.setting).exists
    assert "default_runtime_name" not in cluster.written()
    assert cluster.starts() == before + 2


@pytest.mark.node("trixie")
def test_crio_gets_a_file_beside_its_own(
    host: Host, role: Callable[..., Any], write: Callable[[str, str], None]
) -> None:
    write("/usr/local/bin/crio", CRIO)
    host.check_output("chmod 755 /usr/local/bin/crio")
    write("/etc/crio/crio.conf", OWN)
    try:
        run = role(nvidia_docker_runtimes=["crio"])
        assert run.failed == ""
        assert host.file("/etc/crio/crio.conf").content_string == OWN
        found = host.check_output("cat /etc/crio/crio.conf.d/*")
        assert "[crio.runtime.runtimes.nvidia]" in found
        assert 'runtime_path = "/usr/bin/nvidia-container-runtime"' in found
        assert 'default_runtime = "nvidia"' not in found
        assert role(nvidia_docker_runtimes=["crio"]).changed == []
    finally:
        host.check_output("rm -rf /usr/local/bin/crio /etc/crio")
