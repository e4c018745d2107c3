# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else writes into the engines' files, and the role runs again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

DAEMON = "/etc/docker/daemon.json"
CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/99-nvidia.toml"
CRI = "io.containerd.grpc.v1.cri"
RUNTIME = "/usr/bin/nvidia-container-runtime"
# Shaped as Docker's own manual does it, and not in the order in which a program would write it.
KEYS = '{\n  "log-opts": {"max-size": "7m"},\n  "debug": true,\n  "labels": ["rack=3"],\n'


def test_keys_written_into_daemon_json_survive_and_nothing_is_written_again(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    written: Callable[..., str],
    docker_info: Callable[[], dict[str, Any]],
) -> None:
    write(DAEMON, KEYS + host.file(DAEMON).content_string.lstrip("{"))
    host.check_output("systemctl restart docker")
    before = written(DAEMON, CONFIG, DROP_IN, "/run/docker.pid")
    run = role()
    # The runtime is there, so there is nothing to do.
    assert (run.changed, run.failed) == ([], "")
    assert written(DAEMON, CONFIG, DROP_IN, "/run/docker.pid") == before
    assert docker_info()["Labels"] == ["rack=3"]


def test_a_runtime_taken_out_of_daemon_json_comes_back_beside_the_keys_of_others(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    docker_info: Callable[[], dict[str, Any]],
) -> None:
    write(DAEMON, f'{KEYS}  "runtimes": {{"other": {{"path": "/usr/bin/runc"}}}}\n}}')
    host.check_output("systemctl restart docker")
    run = role()
    assert run.failed == ""
    info = docker_info()
    assert {"nvidia", "other", "runc"} <= info["Runtimes"].keys()
    assert info["Labels"] == ["rack=3"]
    left = json.loads(host.file(DAEMON).content_string)
    assert (left["debug"], left["log-opts"]) == (True, {"max-size": "7m"})
    assert list(left)[:4] == ["log-opts", "debug", "labels", "runtimes"]
    assert role().changed == []


@pytest.mark.node("trixie")
def test_docker_starts_with_what_becomes_of_a_runtime_by_its_shim(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    docker_info: Callable[[], dict[str, Any]],
) -> None:
    """Docker 23 and newer take one by shim or by path, and do not start with both."""
    shim = {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": RUNTIME}}
    before = host.file(DAEMON).content_string
    write(DAEMON, json.dumps({"runtimes": {"nvidia": shim}}))
    host.check_output("systemctl restart docker")
    assert role().failed == ""
    host.check_output("systemctl restart docker")
    assert docker_info()["Runtimes"]["nvidia"]["path"] == RUNTIME
    write(DAEMON, before)
    assert role().failed == ""
    host.check_output("systemctl restart docker")


def test_a_change_of_containerds_own_file_takes_effect(
    host: Host,
    role: Callable[..., Any],
    write: Callable[[str, str], None],
    dump: Callable[..., dict[str, Any]],
) -> None:
    found = host.file(CONFIG).content_string
    place = f'[plugins."{CRI}"]\n'
    assert place in found
    edited = found.replace(place, f"{place}    # For the journal.\n    max_container_log_line_size = 12345\n")
    write(CONFIG, edited)
    # The drop-in's copy of the section hides it until the role runs.
    assert dump()["plugins"][CRI]["max_container_log_line_size"] != 12345
    run = role()
    assert run.failed == ""
    cri = dump()["plugins"][CRI]
    assert cri["max_container_log_line_size"] == 12345
    assert {"nvidia", "runc"} <= cri["containerd"]["runtimes"].keys()
    # The file itself needed nothing.
    assert host.file(CONFIG).content_string == edited


def test_a_cluster_tool_that_writes_containerds_file_anew_does_not_cost_the_runtime(
    host: Host, role: Callable[..., Any], dump: Callable[..., dict[str, Any]]
) -> None:
    """kubespray issue 12277: a rerun of the cluster's tool wiped the nvidia runtime."""
    host.check_output(f"containerd config default > {CONFIG}")
    host.check_output("systemctl restart containerd")
    assert "nvidia" not in dump()["plugins"][CRI]["containerd"]["runtimes"]
    started = host.check_output("systemctl show --property ActiveEnterTimestampMonotonic containerd")
    run = role()
    assert run.failed == ""
    assert {"nvidia", "runc"} <= dump()["plugins"][CRI]["containerd"]["runtimes"].keys()
    assert host.check_output("systemctl show --property ActiveEnterTimestampMonotonic containerd") != started
    assert role().changed == []
