# SPDX-License-Identifier: GPL-3.0-or-later
"""The role takes back what it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

DAEMON = "/etc/docker/daemon.json"
CONFIG = "/etc/containerd/config.toml"
# As people write them: not as a program would.
OWN = {
    DAEMON: '{"debug":   true,\n   "labels" : [ "rack=3" ]}',
    CONFIG: """# ours
version = 2

[plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "pause:3.10"   # from our registry
""",
}


def test_absent_leaves_what_others_wrote(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    docker_info: Callable[[], dict[str, Any]],
    dump: Callable[..., dict[str, Any]],
) -> None:
    write(DAEMON, OWN[DAEMON])
    assert role().failed == ""
    host.check_output("sed -i 's/rack=3/rack=4/' " + DAEMON)
    run = role(nvidia_docker_state="absent")
    assert (run.failed, run.result["pending"]) == ("", [])
    written = host.file(DAEMON).content_string
    assert "rack=4" in written
    assert "nvidia" not in written
    assert "nvidia" not in docker_info()["Runtimes"]
    assert "nvidia" not in str(dump())


def test_absent_gives_the_files_back_byte_for_byte(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    docker_info: Callable[[], dict[str, Any]],
    dump: Callable[..., dict[str, Any]],
) -> None:
    for path, text in OWN.items():
        write(path, text)
    host.check_output("systemctl restart containerd docker")
    before = dump()
    assert role().failed == ""
    assert "nvidia" in docker_info()["Runtimes"]
    run = role("--check", nvidia_docker_state="absent")
    assert run.failed == ""
    assert run.changed != []
    run = role(nvidia_docker_state="absent")
    assert run.failed == ""
    for path, text in OWN.items():
        assert host.file(path).content_string == text
    assert "nvidia" not in docker_info()["Runtimes"]
    assert dump() == before
    assert role(nvidia_docker_state="absent").changed == []
    assert role("--check", nvidia_docker_state="absent").changed == []


def test_absent_removes_files_that_were_not_there(host: Host, role: Callable[..., Any]) -> None:
    host.check_output(f"rm {DAEMON} && systemctl restart docker")
    assert role().failed == ""
    assert host.file(DAEMON).exists
    assert role(nvidia_docker_state="absent").failed == ""
    assert not host.file(DAEMON).exists


def test_nothing_is_left(host: Host) -> None:
    folders = "/etc /var/lib/gpulab-nvidia /run/gpulab-nvidia /var/run/cdi"
    names = ("*gpulab*", "*container-toolkit*", "*container-runtime*", "99-nvidia*", "nvidia.yaml")
    either = " -o ".join(f"-name '{name}'" for name in names)
    found = host.run(f"find {folders} -mindepth 1 \\( {either} \\)").stdout.split()
    assert found == []
    assert not host.file("/etc/containerd/conf.d").exists
    packages = host.check_output(
        "dpkg-query --show --showformat '${Package} ${db:Status-Want}\\n'"
    ).splitlines()
    assert not [line for line in packages if "container-toolkit" in line or "libnvidia-container" in line]
    # The engines stay, and are nobody's to hold.
    assert {"docker.io install", "containerd install"} <= {*packages}
