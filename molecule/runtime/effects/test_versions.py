# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolkit moves to other versions, and the driver does under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

pytestmark = [pytest.mark.slow, pytest.mark.node("trixie")]
PACKAGES = (
    *("nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools"),
    "libnvidia-container1",
)
DRIVER = "nvidia-alternative libnvidia-ptxjitcompiler1 libcuda1 libnvidia-ml1 nvidia-smi"
ASKS = "--runtime=nvidia --env NVIDIA_VISIBLE_DEVICES=all"
BOTH = ["nvidia0", "nvidia1"]
SPEC = "/var/run/cdi/nvidia.yaml"


def versions(host: Host) -> set[str]:
    """Version and selection (hold, install) of the toolkit's packages: one, where they agree."""
    format_ = "${Version} ${db:Status-Want}\\n"
    return {
        *host.check_output("dpkg-query --show --showformat %s " + " ".join(PACKAGES), format_).splitlines()
    }


def test_a_downgrade_is_refused(
    host: Host, node: str, role: Callable[..., Any], written: Callable[..., str]
) -> None:
    before = versions(host), written("/var/lib/dpkg/status", "/etc/docker/daemon.json")
    run = role(nvidia_docker_version="1.19.1")
    assert run.failed == (
        f"{node}: nvidia_docker_version 1.19.1 is older than the installed 1.20.1-1;"
        " set nvidia_docker_allow_downgrade to true to go back"
    )
    assert run.changed == []
    assert (versions(host), written("/var/lib/dpkg/status", "/etc/docker/daemon.json")) == before


def test_a_downgrade_with_leave(
    host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]
) -> None:
    run = role(nvidia_docker_version="1.19.1", nvidia_docker_allow_downgrade=True)
    assert run.failed == ""
    assert versions(host) == {"1.19.1-1 hold"}
    assert "1.19.1" in host.check_output("nvidia-ctk --version")
    assert gpus(ASKS) == BOTH


def test_a_rerun_does_not_upgrade(host: Host, role: Callable[..., Any]) -> None:
    assert "1.20.1-1" in host.check_output("apt-cache policy nvidia-container-toolkit")
    assert role().changed == []
    assert versions(host) == {"1.19.1-1 hold"}
    # The repository has a newer driver as well, and the one that is loaded must stay.
    host.check_output(
        f"apt-mark hold {DRIVER} && DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet dist-upgrade"
        f" && apt-mark unhold {DRIVER}"
    )
    assert versions(host) == {"1.19.1-1 hold"}


def test_an_upgrade(host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]) -> None:
    run = role(nvidia_docker_version="1.20.1")
    assert run.failed == ""
    assert versions(host) == {"1.20.1-1 hold"}
    assert gpus(ASKS) == BOTH
    assert role(nvidia_docker_version="1.20.1").changed == []


def test_another_driver_makes_another_cdi_specification(
    host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]
) -> None:
    assert "535.261.03" in host.file(SPEC).content_string
    files = " ".join(f"/srv/testlab/apt/pool/{name}_550.163.01-1_amd64.deb" for name in DRIVER.split())
    host.check_output(f"DEBIAN_FRONTEND=noninteractive apt-get --yes --no-install-recommends install {files}")
    host.check_output("simulated-gpu load 550.163.01")
    run = role()
    assert run.failed == ""
    assert run.changed == ["Write it for the driver that is loaded"]
    specification = host.file(SPEC).content_string
    assert "550.163.01" in specification
    assert "535.261.03" not in specification
    assert gpus(ASKS) == BOTH
    assert role(verify=True).changed == []
