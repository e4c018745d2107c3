# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster of real nodes, and clusters of simulated ones, in two lanes that run beside each other.

With -n 2 each lane is one worker's, and keeps the order of its files; with -n 0 one follows the other.

CLUSTER_LAB=simulated takes the one that `make cluster` started, as it is, and leaves it running: for single
tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from testlab import cache, host
from testlab.engine import Engine
from tests.cluster import clusters, simulated
from tests.cluster.api import Api

LAB = "test-cluster"


# site.yml has to find bare nodes; those before reset.yml need what it made; others need a cluster only.
FIRST = ["test_site", "test_tutorial", "test_device_plugin", "test_volumes", "test_reset"]
# These need no node that runs anything.
SIMULATED = ["test_capacity", "test_device_plugin_installs", "test_helm"]


def place(item: pytest.Item) -> int:
    return FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Each lane is one worker's."""

    def _split_scope(self, nodeid: str) -> str:
        return "simulated" if Path(nodeid.split("::")[0]).stem in SIMULATED else "real"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    """Whatever --dist says."""
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place)
    if reason := host.refusal(cache.directory()):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _path() -> None:
    """What Debian keeps in sbin, which an ordinary user's PATH may lack."""
    os.environ["PATH"] = host.path()


@pytest.fixture(scope="session")
def cluster() -> Iterator[clusters.Cluster]:
    """Two bare nodes with Kubernetes on them."""
    if own := os.environ.get("CLUSTER_LAB"):
        yield clusters.Cluster(own, Engine(cache.directory()))
        return
    with clusters.running(LAB) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kwok() -> Iterator[Api]:
    """A control plane and ten nodes that are only simulated."""
    with simulated.running("test-kwok", 10) as found:
        yield found
