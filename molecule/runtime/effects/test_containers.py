# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers run while the engines take something over: NVIDIA's runtime as the default."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

pytestmark = pytest.mark.slow

DAEMON = "/etc/docker/daemon.json"
CRI = "io.containerd.grpc.v1.cri"
ASKS = "--env NVIDIA_VISIBLE_DEVICES=all"


@pytest.fixture
def of_docker(host: Host, image: str) -> Iterator[Callable[[], str]]:
    """A container of Docker that runs: its id, process and number of restarts."""
    host.check_output(f"docker run --detach --network=none --name stays {image} sleep 7200")
    yield lambda: str(
        host.check_output("docker inspect --format '{{.Id}} {{.State.Running}} {{.State.Pid}}' stays")
    )
    host.check_output("docker rm --force stays")


@pytest.fixture
def of_containerd(host: Host, image: str) -> Iterator[Callable[[], str]]:
    """A container of containerd that runs: its name, process and state."""
    host.check_output(f"ctr run --detach --cpu-shares 0 {image} stays sleep 7200")
    yield lambda: str(host.check_output("ctr tasks ls | grep '^stays '"))
    host.check_output(
        "ctr tasks kill --signal SIGKILL stays; ctr tasks rm --force stays; ctr containers rm stays"
    )


def started(host: Host, unit: str) -> str:
    return str(host.check_output(f"systemctl show --property MainPID {unit}"))


def test_containers_survive_that_the_runtime_becomes_the_default(
    host: Host,
    role: Callable[..., Any],
    of_docker: Callable[[], str],
    of_containerd: Callable[[], str],
    docker_info: Callable[[], dict[str, Any]],
    dump: Callable[..., dict[str, Any]],
    gpus: Callable[[str], list[str]],
) -> None:
    containers, engine = (of_docker(), of_containerd()), started(host, "docker")
    assert gpus(ASKS) == []
    run = role(nvidia_docker_set_as_default=True)
    assert run.failed == ""
    assert run.result["pending"] == []
    assert docker_info()["DefaultRuntime"] == "nvidia"
    assert dump()["plugins"][CRI]["containerd"]["default_runtime_name"] == "nvidia"
    # Docker was reloaded, containerd restarted.
    assert started(host, "docker") == engine
    assert (of_docker(), of_containerd()) == containers
    assert gpus(ASKS) == ["nvidia0", "nvidia1"]
    assert gpus("") == []
    assert role(nvidia_docker_set_as_default=True).changed == []


def test_docker_is_not_restarted_under_running_containers_without_leave(
    host: Host,
    role: Callable[..., Any],
    of_docker: Callable[[], str],
    docker_info: Callable[[], dict[str, Any]],
    dump: Callable[..., dict[str, Any]],
) -> None:
    """Docker forgets a default only when it starts, which would stop containers."""
    container, engine = of_docker(), started(host, "docker")
    run = role()
    assert run.failed == ""
    assert (of_docker(), started(host, "docker")) == (container, engine)
    assert run.result["pending"] == ["docker"]
    assert "docker must be restarted" in run.said
    assert "nvidia_docker_restart=always" in run.said
    assert dump()["plugins"][CRI]["containerd"]["default_runtime_name"] == "runc"
    # It is not forgotten either, and said again.
    assert role().result["pending"] == ["docker"]
    assert docker_info()["DefaultRuntime"] == "nvidia"
    run = role(nvidia_docker_restart="always")
    assert (run.failed, run.result["pending"]) == ("", [])
    assert docker_info()["DefaultRuntime"] == "runc"
    assert of_docker() != container
    assert role().changed == []


def test_with_live_restore_docker_is_restarted_and_containers_stay(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    docker_info: Callable[[], dict[str, Any]],
    request: pytest.FixtureRequest,
) -> None:
    written = host.file(DAEMON).content_string
    text = json.dumps({**json.loads(written), "live-restore": True}, indent=4)
    write(DAEMON, text)
    host.check_output("systemctl restart docker")
    role(nvidia_docker_set_as_default=True)
    assert docker_info()["DefaultRuntime"] == "nvidia"
    of_docker = request.getfixturevalue("of_docker")
    container, engine = of_docker(), started(host, "docker")
    run = role()
    assert (run.failed, run.result["pending"]) == ("", [])
    assert docker_info()["DefaultRuntime"] == "runc"
    assert started(host, "docker") != engine
    assert of_docker() == container
