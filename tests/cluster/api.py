# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's API server, of real nodes or of simulated ones, and plays of one role on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC, Kubernetes
from testlab import lab
from tests.nodes.labs import Run, play

ROOT = Path(__file__).resolve().parents[2]
ROLE = Path(__file__).parent / "files/role.yml"


class Counted(Kubernetes):
    """The modules' own connection, which keeps what it sent: METHOD PATH."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.sent: list[str] = []

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None, kind: str
    ) -> bytes:
        self.sent.append(f"{method} {path}")
        return super()._send(method, path, query, body, kind)


def connection(kubeconfig: Path) -> Counted:
    """As the user of that file."""
    return Counted({**dict.fromkeys(KUBERNETES_SPEC), "kubeconfig": str(kubeconfig)})


@dataclass(frozen=True)
class Api:
    lab: str

    @property
    def directory(self) -> Path:
        """Where the inventory, the kubeconfig and the commands are."""
        return lab.inventory_path(self.lab).parent

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def helm(self) -> Path:
        return (self.directory / "helm").resolve()

    @property
    def inventory(self) -> Path:
        return lab.inventory_path(self.lab)

    def play(self, playbook: Path, *arguments: str, kill_at: str = "") -> Run:
        return play(self.inventory, playbook, *arguments, kill_at=kill_at)

    def role(self, name: str, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
        declared = json.dumps({"test_role": name, **variables})
        return self.play(ROLE, "--extra-vars", declared, *arguments, kill_at=kill_at)

    def kubectl(self, *arguments: str, text: str = "", check: bool = True) -> str:
        """What kubectl prints. `text` is its standard input."""
        command = [str(self.directory / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        found = json.loads(self.kubectl("get", kind, "--output=json", *arguments))
        return list(found["items"]) if "items" in found else [found]

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--filename=-", text=json.dumps(items))
