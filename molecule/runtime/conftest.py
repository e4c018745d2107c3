# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests of this scenario run the role on a node, and containers there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from xdist.scheduler import LoadScopeScheduling

SCENARIO = Path(__file__).resolve().parent
PROJECT = SCENARIO.parent.parent
INVENTORY = PROJECT / "build/testlab/molecule-runtime/inventory.yml"
IMAGE = "localhost/testlab:1"


class ByNode(LoadScopeScheduling):  # type: ignore[misc]
    """A node's tests go to one worker, in order: each finds the node as the one before left it."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rpartition("ansible://")[2]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByNode:
    return ByNode(config, log)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "node(name): what no release does otherwise is tested on one node")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def is_for_its_node(item: pytest.Item) -> bool:
        marker = item.get_closest_marker("node")
        return marker is None or f"ansible://{marker.args[0]}" in item.nodeid

    items[:] = filter(is_for_its_node, items)


@dataclass(frozen=True)
class Run:
    """What a run of the role did on the node."""

    changed: list[str]
    """Names of the tasks that changed something."""
    failed: str
    """The message of the task that failed; empty if none did."""
    said: str
    """What its debug tasks said."""
    result: dict[str, Any]
    """The fact nvidia_docker_result."""


@pytest.fixture
def node(host: Host) -> str:
    return str(host.backend.host)


@pytest.fixture
def role(node: str) -> Callable[..., Run]:
    """Run the role on the node with other variables than converge.yml's. A failure is an answer as well."""

    def run(*arguments: str, **variables: Any) -> Run:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ansible.cli.playbook", "--inventory", str(INVENTORY)),
                *("--limit", node, "--extra-vars", json.dumps(variables), *arguments),
                str(SCENARIO / "converge.yml"),
            ],
            cwd=PROJECT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 2), done.stdout + done.stderr
        answer = json.loads(done.stdout[done.stdout.index("{") :])
        return outcome([(task["task"]["name"], task["hosts"][node]) for task in tasks(answer, node)])

    return run


def tasks(answer: dict[str, Any], node: str) -> Iterator[dict[str, Any]]:
    for play in answer["plays"]:
        yield from (task for task in play["tasks"] if node in task["hosts"])


def outcome(done: list[tuple[str, dict[str, Any]]]) -> Run:
    facts: dict[str, Any] = {}
    for _, result in done:
        facts |= result.get("ansible_facts", {})
    return Run(
        [name.rpartition(" : ")[2] for name, result in done if result.get("changed")],
        next((explained(result) for _, result in done if result.get("failed")), ""),
        "\n".join(
            str(result["msg"])
            for _, result in done
            if result.get("action") == "ansible.builtin.debug" and "msg" in result
        ),
        facts.get("nvidia_docker_result", {}),
    )


def explained(result: dict[str, Any]) -> str:
    items = [item for item in result.get("results", []) if item.get("failed")]
    return str((items or [result])[0].get("msg", result))


@pytest.fixture
def image(host: Host) -> str:
    """An image of busybox in both engines, made on the node."""
    if host.run(f"docker image inspect {IMAGE}").failed:
        host.check_output(f"docker import /srv/image.tar {IMAGE}")
        host.check_output(f"docker save --output /srv/saved.tar {IMAGE}")
        host.check_output("ctr images import /srv/saved.tar")
    return IMAGE


@pytest.fixture
def docker(host: Host, image: str) -> Callable[..., str]:
    """The output of a command in a new container, by `docker run OPTIONS`."""

    def run(options: str, command: str) -> str:
        return str(host.check_output(f"docker run --rm --network=none {options} {image} {command}"))

    return run


@pytest.fixture
def gpus(docker: Callable[..., str]) -> Callable[[str], list[str]]:
    """The GPUs whose device nodes a container gets that is started with such options."""

    def seen(options: str) -> list[str]:
        return re.findall(r"\bnvidia\d+", docker(options, "ls /dev"))

    return seen


@pytest.fixture
def docker_info(host: Host) -> Callable[[], dict[str, Any]]:
    """What Docker has in effect."""
    return lambda: json.loads(host.check_output("docker info --format '{{json .}}'"))


@pytest.fixture
def dump(host: Host) -> Callable[..., dict[str, Any]]:
    """What containerd takes from its configuration, or from that in another file."""

    def parsed(file: str = "/etc/containerd/config.toml") -> dict[str, Any]:
        return tomllib.loads(host.check_output(f"containerd --config {file} config dump"))

    return parsed


@pytest.fixture
def written(host: Host) -> Callable[..., str]:
    """Something that stays the same as long as nobody writes into the files, not even the same text."""
    return lambda *paths: str(host.check_output("stat --format '%n %i %Y %Z' " + " ".join(paths)))


@pytest.fixture
def write(host: Host) -> Callable[[str, str], None]:
    """Write a file as somebody else would."""

    def write_(path: str, text: str) -> None:
        host.check_output("mkdir -p $(dirname %s) && printf %%s %s > %s", path, text, path)

    return write_
