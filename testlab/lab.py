# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs: start nodes, wait until they are usable, write an inventory, take them away."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from testlab import cache, image
from testlab.cache import TestlabError
from testlab.engine import NETWORK, Engine

ROOT = Path(__file__).resolve().parent.parent
BOOT_SECONDS = 180
# Starting many at a time makes each slower and all no faster.
AT_ONCE = 4
# The nodes are ours, made a moment ago: their host keys tell nothing.
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


@dataclass(frozen=True)
class Wanted:
    """A node that `up` was asked for."""

    name: str
    release: str
    gpus: int


@dataclass(frozen=True)
class Node:
    """A node that exists, in whatever state."""

    lab: str
    name: str
    release: str
    address: str
    state: str

    @property
    def container(self) -> str:
        return f"{self.lab}-{self.name}"


def parse(text: str) -> Wanted:
    """NAME=RELEASE[:GPUS], as `up` takes it."""
    match = re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?)=([a-z]+)(?::(\d+))?", text)
    if not match:
        raise TestlabError(f"{text}: a node is NAME=RELEASE or NAME=RELEASE:GPUS, for example gpu1=trixie:2")
    if match[3] not in image.RELEASES:
        raise TestlabError(f"{text}: there is no image of {match[3]}, only of {', '.join(image.RELEASES)}")
    return Wanted(match[1], match[3], int(match[4] or 0))


def nodes(engine: Engine, patterns: Iterable[str] = ("*",)) -> list[Node]:
    """The nodes of the labs whose names match, sorted."""
    if not engine.running:
        return []
    found = []
    for entry in json.loads(engine.podman("ps", "--all", "--filter", "label=lab", "--format", "json").stdout):
        # Null: a container that somebody else takes away at this moment.
        labels = entry["Labels"]
        if labels and any(fnmatchcase(labels["lab"], pattern) for pattern in patterns):
            release, address = labels["release"], labels["address"]
            found.append(Node(labels["lab"], labels["node"], release, address, entry["State"]))
    return sorted(found, key=lambda node: (node.lab, node.name))


def inventory_path(lab: str) -> Path:
    return ROOT / "build/testlab" / lab / "inventory.yml"


def inventory(engine: Engine, lab: str, members: list[Node]) -> dict[str, Any]:
    """Ansible's inventory of a lab: all nodes in the group gpu_nodes."""
    # The path is told to ssh itself, since pytest-testinfra asks Ansible for no other.
    shared = f"-o ControlPath={control_directory(engine, lab)}/%h"
    return {
        "gpu_nodes": {
            "hosts": {node.name: {"ansible_host": node.address} for node in members},
            "vars": {
                "ansible_user": "root",
                "ansible_python_interpreter": "/usr/bin/python3",
                "ansible_ssh_private_key_file": str(engine.directory / "ssh/id_ed25519"),
                "ansible_ssh_common_args": f"{SSH_OPTIONS} {shared}",
                "ansible_pipelining": True,
            },
        }
    }


def control_directory(engine: Engine, lab: str) -> Path:
    """Where ssh keeps its open connections: with the lab, so that none outlives it and meets another node."""
    return engine.run_directory / "ssh" / lab


def up(
    engine: Engine,
    lab: str,
    wanted: list[Wanted],
    images: dict[str, str],
    archive: Path,
    prepare: Callable[[list[Node]], None] = lambda made: None,
) -> None:
    """Start nodes and wait for them. If one does not start, all are taken away.

    `prepare` gets the nodes once their containers are made, with their addresses, and before they start.
    """
    names = [want.name for want in wanted]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TestlabError(f"{min(twice)}: named twice")
    with cache.lock(engine.directory / f"locks/lab-{lab}"):
        there = {node.name for node in nodes(engine, [lab])}
        if both := sorted(there.intersection(names)):
            raise TestlabError(f"lab {lab} has {', '.join(both)} already; python -m testlab down --lab {lab}")
        try:
            made = _create(engine, lab, wanted, images, archive)
            prepare(made)
            gpus = {want.name: want.gpus for want in wanted}
            _each(made, "up", lambda node: _boot(engine, node, gpus[node.name]))
        except BaseException:
            _remove(engine, [node for node in nodes(engine, [lab]) if node.name in names])
            raise
        write_inventory(engine, lab)


def write_inventory(engine: Engine, lab: str) -> None:
    control_directory(engine, lab).mkdir(parents=True, exist_ok=True)
    save_inventory(lab, inventory(engine, lab, nodes(engine, [lab])))


def save_inventory(lab: str, groups: dict[str, Any]) -> None:
    path = inventory_path(lab)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(groups, sort_keys=False, width=200))


def _create(
    engine: Engine, lab: str, wanted: list[Wanted], images: dict[str, str], archive: Path
) -> list[Node]:
    """Make the containers, stopped: from then on their addresses are taken."""
    archives = engine.directory / "archives"
    archives.mkdir(exist_ok=True)
    made = []
    with cache.lock(engine.directory / "locks/addresses"):
        taken = {node.address for node in nodes(engine)}
        free = (f"{engine.subnet}.{n}" for n in range(2, 255) if f"{engine.subnet}.{n}" not in taken)
        for want, address in zip(wanted, free, strict=False):
            node = Node(lab, want.name, want.release, address, "created")
            labels = {"lab": lab, "node": want.name, "release": want.release, "address": address}
            engine.podman(
                *("create", "--name", node.container, "--hostname", want.name, "--network", NETWORK),
                # The address, and the card's as well, stay the same when the node restarts.
                *("--ip", address, "--mac-address", mac(address)),
                *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
                # systemd's own reboot ends the container, which then starts again.
                *("--privileged", "--systemd=always", "--restart=always"),
                *("--volume", f"{archive}:/srv/testlab/apt:ro"),
                *("--volume", f"{archives}:/srv/testlab/archives"),
                # On a real disk, since the engines' overlayfs cannot lie on the node's own overlayfs.
                *("--volume", "/var/lib/containerd", "--volume", "/var/lib/docker"),
                images[want.release],
            )
            made.append(node)
    if len(made) < len(wanted):
        raise TestlabError("no more addresses: a machine carries 253 nodes")
    return made


def mac(address: str) -> str:
    return "02:00:" + ":".join(f"{int(number):02x}" for number in address.split("."))


def _boot(engine: Engine, node: Node, gpus: int) -> None:
    engine.podman("start", node.container)
    if failed := wait(engine, node):
        raise TestlabError(f"{node.container}: {failed}")
    if gpus:
        engine.podman("exec", node.container, "simulated-gpu", "plug", "--gpus", str(gpus))


def wait(engine: Engine, node: Node) -> str:
    """Until systemd has started all that it should and sshd answers. The units that failed, if any did."""
    deadline = time.monotonic() + BOOT_SECONDS
    while (state := _systemctl(engine, node, "is-system-running", "--wait")) not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise TestlabError(f"{node.container}: systemd is {state or 'silent'} after {BOOT_SECONDS} s")
        time.sleep(0.2)
    while not _answers(node.address):
        if time.monotonic() > deadline:
            raise TestlabError(f"{node.container}: sshd does not answer at {node.address}")
        time.sleep(0.1)
    if state == "degraded":
        failed = _systemctl(engine, node, "--failed", "--plain", "--no-legend")
        return " ".join(failed.split())
    return ""


def _systemctl(engine: Engine, node: Node, *arguments: str) -> str:
    return engine.podman("exec", node.container, "systemctl", *arguments, check=False).stdout.strip()


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _each(members: list[Node], what: str, action: Callable[[Node], None]) -> None:
    """Do it to all nodes, a few at a time, and say how far it got."""
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(action, node): node for node in members}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                future.result()
                progress = f"{number}/{len(members)}, {time.monotonic() - started:.0f} s"
                print(f"testlab: {what}: {futures[future].container} ({progress})", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def restart(engine: Engine, lab: str, names: list[str]) -> None:
    """Restart nodes of a lab (all, if none is named), and wait for them."""
    members = nodes(engine, [lab])
    if unknown := sorted(set(names) - {node.name for node in members}):
        raise TestlabError(f"lab {lab} has no {', '.join(unknown)}")

    def action(node: Node) -> None:
        engine.podman("restart", node.container)
        # Whoever broke the node on purpose goes on with it.
        if failed := wait(engine, node):
            print(f"testlab: {node.container}: {failed}", flush=True)

    _each([node for node in members if not names or node.name in names], "up again", action)


def down(engine: Engine, patterns: list[str]) -> None:
    """Take away the labs whose names match. None is no error."""
    for lab in sorted({node.lab for node in nodes(engine, patterns)}):
        with cache.lock(engine.directory / f"locks/lab-{lab}"):
            _remove(engine, nodes(engine, [lab]))
            shutil.rmtree(inventory_path(lab).parent, ignore_errors=True)
            print(f"testlab: down: {lab}", flush=True)


def _remove(engine: Engine, members: list[Node]) -> None:
    for lab in {node.lab for node in members}:
        _end_connections(control_directory(engine, lab))
    if members:
        engine.remove([node.container for node in members])


def _end_connections(directory: Path) -> None:
    """ssh's masters would stay for a minute after the last task, talking to nobody."""
    for control in directory.glob("*") if directory.is_dir() else ():
        subprocess.run(["ssh", "-o", f"ControlPath={control}", "-O", "exit", "node"], capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def table(members: list[Node], stream: Any = sys.stdout) -> None:
    for node in members:
        print(f"{node.lab:20} {node.name:20} {node.release:10} {node.address:16} {node.state}", file=stream)
