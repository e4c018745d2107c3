# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs of nodes to run playbooks/nodes.yml on, and what a run of it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from testlab import __main__ as verbs
from testlab import cache, lab
from testlab.engine import Engine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLAYBOOK = ROOT / "playbooks/nodes.yml"
VERIFY = ROOT / "playbooks/verify.yml"
TOOLKIT = HERE / "toolkit.yml"


@dataclass(frozen=True)
class Event:
    """What a task came to on a host. `msg` is what it said, or why it failed."""

    host: str
    status: str
    task: str
    changed: bool
    msg: str


@dataclass(frozen=True)
class Run:
    """A run of a playbook. `status` is negative where a signal ended it."""

    status: int
    output: str
    events: list[Event] = field(default_factory=list)

    def changed(self, node: str) -> list[str]:
        """The tasks that changed something on a node, without the roles' names."""
        return [event.task.split(" : ")[-1] for event in self.events if event.changed and event.host == node]

    def failure(self, node: str) -> str:
        """Why a node failed; empty if it did not."""
        return "\n".join(
            event.msg for event in self.events if event.status == "failed" and event.host == node
        )

    def said(self, node: str) -> str:
        return "\n".join(event.msg for event in self.events if event.host == node)


def play(
    inventory: Path, playbook: Path, *arguments: str, kill_at: str = "", callbacks: str = "events"
) -> Run:
    """Run a playbook. `kill_at` names the task at whose start ansible-playbook is killed."""
    with tempfile.TemporaryDirectory(prefix="play-") as scratch:
        events = Path(scratch) / "events"
        events.touch()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ansible.cli.playbook", str(playbook)),
                *("--inventory", str(inventory), *arguments),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins/callback"),
                "ANSIBLE_CALLBACKS_ENABLED": callbacks,
                "ANSIBLE_FORCE_COLOR": "false",
                "NODES_EVENTS": str(events),
                "NODES_KILL_AT": kill_at,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        lines = events.read_text().splitlines()
    return Run(done.returncode, done.stdout + done.stderr, [Event(**json.loads(line)) for line in lines])


@dataclass(frozen=True)
class Nodes:
    """The nodes of a lab."""

    engine: Engine
    lab: str
    names: list[str]

    def run(self, playbook: Path, *arguments: str, kill_at: str = "", callbacks: str = "events") -> Run:
        """Run a playbook with what tests/nodes/lab.yml declares. Ansible forks once for each node at most."""
        declared = ("--forks", str(len(self.names)), "--extra-vars", f"@{HERE / 'lab.yml'}")
        inventory = lab.inventory_path(self.lab)
        return play(inventory, playbook, *declared, *arguments, kill_at=kill_at, callbacks=callbacks)

    def sh(self, node: str, script: str) -> str:
        """What a shell script says on a node. It must succeed."""
        done = self.engine.podman("exec", f"{self.lab}-{node}", "sh", "-ec", script)
        return done.stdout.strip()

    def boot_id(self, node: str) -> str:
        return self.sh(node, "cat /proc/sys/kernel/random/boot_id")


def prepared(engine: Engine, images: dict[str, str], archive: Path) -> dict[str, str]:
    """An image of each release on which prepare.sh has been run, made once for each of its versions."""
    return {release: _prepared(engine, release, image, archive) for release, image in images.items()}


def _prepared(engine: Engine, release: str, image: str, archive: Path) -> str:
    script = HERE / "prepare.sh"
    repository = f"localhost/testlab-prepared-{release}"
    made = f"{repository}:{cache.key(image, archive.name, script)}"
    with cache.lock(engine.directory / f"locks/prepared-{release}"):
        if engine.podman("image", "exists", made, check=False).returncode == 0:
            return made
        name = f"test-prepare-{release}"
        lab.down(engine, [name])
        try:
            lab.up(engine, name, [lab.Wanted("node", release, 0)], {release: image}, archive)
            node = f"{name}-node"
            for command in (script.read_text(), "apt-get clean; : >/etc/machine-id"):
                engine.podman("exec", node, "sh", "-ec", command)
            engine.podman("stop", node)
            engine.podman("commit", "--quiet", node, made)
        finally:
            lab.down(engine, [name])
        old = engine.podman("images", "--noheading", "--format", "{{.Repository}}:{{.Tag}}", repository)
        for other in set(old.stdout.split()) - {made}:
            engine.podman("rmi", other, check=False)
    return made


@contextmanager
def nodes(name: str, *wanted: str) -> Iterator[Nodes]:
    """A lab of prepared nodes (NAME=RELEASE:GPUS), which is taken away in the end."""
    engine = verbs.usable_engine()
    images, archive = verbs.build(engine)
    made = prepared(engine, images, archive)
    asked = [lab.parse(text) for text in wanted]
    lab.down(engine, [name])
    try:
        lab.up(engine, name, asked, made, archive)
        yield Nodes(engine, name, [want.name for want in asked])
    finally:
        lab.down(engine, [name])
