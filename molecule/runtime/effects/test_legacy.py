# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-docker2, which the tutorial asks for (its package is a stand-in), and the move to the toolkit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

pytestmark = [pytest.mark.slow, pytest.mark.node("bookworm")]
DAEMON = "/etc/docker/daemon.json"
ASKS = "--runtime=nvidia --env NVIDIA_VISIBLE_DEVICES=all"
BOTH = ["nvidia0", "nvidia1"]


def others(host: Host) -> dict[str, Any]:
    """What daemon.json says beside NVIDIA's runtime."""
    config: dict[str, Any] = json.loads(host.file(DAEMON).content_string)
    del config["runtimes"]["nvidia"]
    return config


def test_nvidia_docker2(host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]) -> None:
    before = others(host)
    run = role(nvidia_docker_variant="nvidia-docker2")
    assert run.failed == ""
    assert host.package("nvidia-docker2").is_installed
    assert others(host) == before
    assert host.check_output("ls -A /etc/docker | grep dpkg || true") == ""
    assert gpus(ASKS) == BOTH
    assert role(nvidia_docker_variant="nvidia-docker2").changed == []


def test_the_move_from_it_is_one_run(
    host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]
) -> None:
    before = others(host)
    run = role()
    assert run.failed == ""
    assert not host.package("nvidia-docker2").is_installed
    assert others(host) == before
    runtime = json.loads(host.file(DAEMON).content_string)["runtimes"]["nvidia"]
    assert runtime["path"] == "/usr/bin/nvidia-container-runtime"
    assert host.check_output("ls -A /etc/docker | grep -e dpkg -e kept || true") == ""
    assert gpus(ASKS) == BOTH
    assert role(verify=True).changed == []


def test_a_node_that_was_set_up_by_hand_with_it(
    host: Host, role: Callable[..., Any], gpus: Callable[[str], list[str]]
) -> None:
    """As the tutorial does it: the package's own daemon.json, and no key of others in it."""
    assert role(nvidia_docker_state="absent").failed == ""
    toolkit = ("nvidia-container-toolkit", "nvidia-container-toolkit-base")
    names = (*toolkit, "libnvidia-container1", "libnvidia-container-tools")
    files = " ".join(f"./{name}_1.19*.deb" for name in names)
    host.check_output(
        f"rm -f {DAEMON}; cd /srv/testlab/apt/pool &&"
        f" DEBIAN_FRONTEND=noninteractive apt-get --yes install ./nvidia-docker2_*.deb {files} &&"
        " systemctl restart docker"
    )
    assert gpus(ASKS) == BOTH
    run = role()
    assert run.failed == ""
    assert not host.package("nvidia-docker2").is_installed
    assert gpus(ASKS) == BOTH
    assert role(verify=True).changed == []
