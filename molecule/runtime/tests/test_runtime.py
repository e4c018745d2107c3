# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has after the role: the engines know NVIDIA's runtime, and it gives the GPUs to containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

ALL = "--runtime=nvidia --env NVIDIA_VISIBLE_DEVICES=all --env NVIDIA_DRIVER_CAPABILITIES=utility"
BOTH = ["nvidia0", "nvidia1"]
CRI = "io.containerd.grpc.v1.cri"


def test_the_engines_are_those_of_the_release(host: Host) -> None:
    found = host.check_output("dockerd --version; containerd --version")
    versions = {"bookworm": ("version 20.10.", " 1.6."), "trixie": ("version 26.1.", " 1.7.")}
    for version in versions[host.system_info.codename]:
        assert version in found


def test_docker_knows_the_runtime(docker_info: Callable[[], dict[str, Any]]) -> None:
    info = docker_info()
    assert info["Runtimes"]["nvidia"]["path"] == "/usr/bin/nvidia-container-runtime"
    assert "runc" in info["Runtimes"]
    assert info["DefaultRuntime"] == "runc"


def test_docker_is_told_nothing_else(host: Host) -> None:
    written = json.loads(host.file("/etc/docker/daemon.json").content_string)
    cdi = {"features": {"cdi": True}} if host.system_info.codename == "trixie" else {}
    assert written == {"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}, **cdi}


def test_containerd_has_the_runtime_and_all_else_as_before(
    host: Host, dump: Callable[..., dict[str, Any]]
) -> None:
    backups = host.check_output("ls /etc/containerd/config.toml.*~").split()
    assert len(backups) == 1
    before, after = dump(backups[0]), dump()
    runtimes = after["plugins"][CRI]["containerd"]["runtimes"]
    assert runtimes["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    assert "runc" in runtimes
    if host.system_info.codename == "trixie":
        assert (before["plugins"][CRI].pop("enable_cdi"), after["plugins"][CRI].pop("enable_cdi")) == (
            False,
            True,
        )
    assert "nvidia" not in before["plugins"][CRI]["containerd"]["runtimes"]
    del runtimes["nvidia"], after["imports"], before["imports"]
    assert after == before


def test_the_services_run(host: Host) -> None:
    for name in ("docker", "containerd"):
        assert host.service(name).is_running
    assert host.service("nvidia-cdi-refresh.path").is_enabled
    assert host.check_output("ls /run/gpulab-nvidia") == ""


def test_a_container_of_docker_gets_the_gpus(
    docker: Callable[..., str], gpus: Callable[[str], list[str]]
) -> None:
    assert docker(ALL, "nvidia-smi -L").count("NVIDIA simulated GPU") == 2
    assert gpus(ALL) == BOTH


def test_a_container_gets_the_one_gpu_that_it_asks_for(gpus: Callable[[str], list[str]]) -> None:
    assert gpus("--runtime=nvidia --env NVIDIA_VISIBLE_DEVICES=1") == ["nvidia1"]


def test_a_container_that_does_not_ask_gets_none(gpus: Callable[[str], list[str]]) -> None:
    assert gpus("") == []
    assert gpus("--runtime=nvidia") == []
    # Docker's own runtime takes no notice of the variable.
    assert gpus("--env NVIDIA_VISIBLE_DEVICES=all") == []


def test_docker_gives_gpus_by_their_cdi_names(host: Host, gpus: Callable[[str], list[str]]) -> None:
    if host.system_info.codename == "trixie":
        assert gpus("--device nvidia.com/gpu=all") == BOTH
        assert gpus("--device nvidia.com/gpu=1") == ["nvidia1"]


def test_a_container_of_containerd_gets_the_gpus(
    host: Host, image: str, dump: Callable[..., dict[str, Any]]
) -> None:
    runtime = dump()["plugins"][CRI]["containerd"]["runtimes"]["nvidia"]
    binary = f"--runtime {runtime['runtime_type']} --runc-binary {runtime['options']['BinaryName']}"
    asked = "--env NVIDIA_VISIBLE_DEVICES=all --env NVIDIA_DRIVER_CAPABILITIES=utility"

    def run(options: str) -> str:
        return str(
            host.check_output(
                f"ctr run --rm --cpu-shares 0 {options} {image} test sh -c 'nvidia-smi -L; ls /dev'"
            )
        )

    seen = run(f"{binary} {asked}")
    assert seen.count("NVIDIA simulated GPU") == 2
    assert {*BOTH} <= {*seen.split()}
    for options in (binary, asked):
        assert "nvidia0" not in run(options)


def test_the_cdi_specification_is_that_of_the_driver(host: Host) -> None:
    names = host.check_output("nvidia-ctk cdi list").split()
    assert {"nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"} <= {*names}
    assert "535.261.03" in host.file("/var/run/cdi/nvidia.yaml").content_string


def test_the_packages_are_held_and_newest(host: Host) -> None:
    for name in ("nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container1"):
        assert host.package(name).version == "1.20.1-1"
        assert host.check_output(f"dpkg-query --show --showformat '${{db:Status-Want}}' {name}") == "hold"


def test_the_key_counts_for_its_repository_only(host: Host) -> None:
    assert host.check_output("ls /etc/apt/trusted.gpg.d | grep -iv debian || true") == ""
    sources = host.file("/etc/apt/sources.list.d/gpulab-nvidia-container-toolkit.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/gpulab-nvidia-container-toolkit-" in sources


def test_the_roles_own_verification_passes(role: Callable[..., Any], image: str) -> None:
    run = role(verify=True)
    assert run.failed == ""
    assert run.changed == []
