# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane whose nodes kwok only simulates, for what needs no container; and plays of one role."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC, Kubernetes
from testlab import lab
from tests.nodes.labs import Run, play

ROOT = Path(__file__).resolve().parents[2]
ROLE = Path(__file__).parent / "files/role.yml"


@dataclass(frozen=True)
class Simulated:
    """`name` is the lab's."""

    name: str

    @property
    def directory(self) -> Path:
        return lab.inventory_path(self.name).parent

    @property
    def api(self) -> Kubernetes:
        """The modules' own connection, as the cluster's administrator."""
        return Kubernetes(
            {**dict.fromkeys(KUBERNETES_SPEC), "kubeconfig": str(self.directory / "kubeconfig")}
        )

    @property
    def helm(self) -> Path:
        return (self.directory / "helm").resolve()

    def role(self, name: str, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
        declared = json.dumps({"test_role": name, **variables})
        inventory = lab.inventory_path(self.name)
        return play(inventory, ROLE, "--extra-vars", declared, *arguments, kill_at=kill_at)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        command = [
            str(self.directory / "kubectl"),
            f"--kubeconfig={self.directory / 'kubeconfig'}",
            *arguments,
        ]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl(
            "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        )


def done(run: Run) -> Run:
    """A run that went well."""
    assert run.status == 0, run.output
    return run


def changed(run: Run) -> list[str]:
    return done(run).changed("localhost")


def refused(run: Run) -> str:
    """Why a run failed."""
    assert run.status != 0, run.output
    return run.failure("localhost").splitlines()[-1]


def result(run: Run) -> dict[str, Any]:
    """The fact that the role kept for the report, or the answer that a playbook told."""
    said = [event.msg for event in done(run).events if event.msg.startswith("result=")]
    values: dict[str, Any] = json.loads(said[-1].removeprefix("result="))
    return values


@contextmanager
def running(name: str, nodes: int) -> Iterator[Simulated]:
    verb = [sys.executable, "-m", "testlab", "cluster", "kwok"]
    try:
        up = subprocess.run(
            [*verb, "up", "--lab", name, "--nodes", str(nodes)], cwd=ROOT, capture_output=True, text=True
        )
        assert up.returncode == 0, up.stdout + up.stderr
        yield Simulated(name)
    finally:
        subprocess.run([*verb, "down", "--lab", name], cwd=ROOT, check=True, capture_output=True)
