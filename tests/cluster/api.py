# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's API server, of real nodes or of simulated ones, and plays of one role on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC, Kubernetes
from testlab import lab
from tests.nodes.labs import Run, play

ROOT = Path(__file__).resolve().parents[2]
READS = ("get", "list", "watch")
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
class Request:
    """A request to the API server. `resource` is plural, with its subresource behind a slash."""

    verb: str
    resource: str
    namespace: str
    name: str


def request(event: dict[str, Any]) -> Request:
    target = event.get("objectRef", {})
    resource = "/".join(
        filter(None, [target.get("resource", event["requestURI"]), target.get("subresource")])
    )
    return Request(
        event["verb"],
        resource,
        target.get("namespace", ""),
        target.get("name", ""),
    )


def writes(requests: list[Request]) -> list[Request]:
    """Those that are no reads. A review of one's own rights writes nothing, though it is a POST."""
    return [one for one in requests if one.verb not in READS and "reviews" not in one.resource]


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

    def log_lines(self) -> int:
        """How many lines the API server's audit log has."""
        raise NotImplementedError

    def log_after(self, line: int) -> str:
        """Its lines after that one, an event in each."""
        raise NotImplementedError

    def is_of_users(self, event: dict[str, Any]) -> bool:
        """Whether an event is of playbooks and tests, and not of Kubernetes' own parts."""
        raise NotImplementedError

    @contextmanager
    def audited(self) -> Iterator[list[Request]]:
        """The requests that playbooks send meanwhile; they are in the list when the block has ended."""
        requests: list[Request] = []
        before = self.log_lines()
        yield requests
        events = map(json.loads, self.log_after(before).splitlines())
        requests.extend(
            request(event)
            for event in events
            if self.is_of_users(event) and event["stage"] == "ResponseComplete"
        )

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        found = json.loads(self.kubectl("get", kind, "--output=json", *arguments))
        return list(found["items"]) if "items" in found else [found]

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--filename=-", text=json.dumps(items))
