# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane whose nodes kwok only simulates, for what needs no container."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from testlab import cache
from testlab.cluster import kwok
from tests.cluster.api import ROOT, Api

# All else is Kubernetes' own, and kwok's.
USERS = ("OpenAPI-Generator/", "python-urllib3/", "Helm/")


@dataclass(frozen=True)
class Simulated(Api):
    def log_lines(self) -> int:
        return self._log().count("\n")

    def log_after(self, line: int) -> str:
        return self._log().split("\n", line)[-1].rpartition("\n")[0]

    def _log(self) -> str:
        return kwok.audit_log(cache.directory(), self.lab).read_text()

    def is_of_users(self, event: dict[str, Any]) -> bool:
        return str(event.get("userAgent", "")).startswith(USERS)


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
