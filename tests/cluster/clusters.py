# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated cluster as tests use it: playbooks run on it, kubectl, and what its API server was asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from testlab import __main__ as verbs
from testlab.cluster import cluster as kubernetes
from testlab.cluster import verbs as cluster_verbs
from testlab.engine import Engine
from tests.cluster.api import ROOT, Api

SITE = ROOT / "site.yml"
AUDIT_LOG = "/var/log/kubernetes/audit.log"
# The user in the kubeconfig that playbooks get: all else is Kubernetes' own.
USER = "lab-admin"
NODE_PORT = 30650


@dataclass(frozen=True)
class Cluster(Api):
    engine: Engine

    @property
    def inventory(self) -> Path:
        """inventories/simulated, which is told to look at this lab."""
        os.environ["SIMULATED_LAB"] = self.lab
        return ROOT / "inventories/simulated"

    def sh(self, node: str, script: str) -> str:
        """What a shell script says on a node. It must succeed."""
        return self.engine.podman("exec", f"{self.lab}-{node}", "sh", "-ec", script).stdout.strip()

    @property
    def pachd(self) -> Client:
        """The pachd that pods of the namespace pachyderm serve, by its node port."""
        node = self.get("nodes", "gpu1")[0]
        (address,) = (one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
        return Client.from_pachd_address(f"grpc://{address}:{NODE_PORT}")

    def read(self, repo: str, path: str, project: str = "default") -> str:
        """A file at the head of master."""
        file = pfs.File.from_uri(f"{project}/{repo}@master:{path}")
        with self.pachd.pfs.pfs_file(file) as content:
            return str(content.read().decode())

    def log_lines(self) -> int:
        return int(self.sh("control", f"wc -l <{AUDIT_LOG}"))

    def log_after(self, line: int) -> str:
        return self.sh("control", f"tail -n +{line + 1} {AUDIT_LOG}")

    def is_of_users(self, event: dict[str, Any]) -> bool:
        return bool(event["user"]["username"] == USER)


def until(truth: Callable[[], bool], what: str, seconds: float = 60, pause: float = 0.5) -> None:
    """Wait for what a cluster does in its own time; nothing here is told when."""
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(pause)


@contextmanager
def running(name: str) -> Iterator[Cluster]:
    """A cluster of bare nodes, which is taken away in the end."""
    engine = verbs.usable_engine()
    try:
        kubernetes.up(engine, name, cluster_verbs.build(engine, verbs.build))
        yield Cluster(name, engine)
    finally:
        cluster_verbs.down(engine, [name])
