# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster for all tests here, which one worker runs in the order of their files.

CLUSTER_LAB=simulated takes the one that `make cluster` started, as it is, and leaves it running: for single
tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testlab import cache, host
from testlab.engine import Engine
from tests.cluster import clusters, simulated

LAB = "test-cluster"


# site.yml has to find bare nodes; those before reset.yml need what it made; others need a cluster only.
FIRST = ["test_site", "test_tutorial", "test_device_plugin", "test_volumes", "test_reset"]


def place(item: pytest.Item) -> int:
    return FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST)


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
        yield clusters.Cluster(Engine(cache.directory()), own)
        return
    with clusters.running(LAB) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kwok() -> Iterator[simulated.Simulated]:
    """A control plane and ten nodes that are only simulated."""
    with simulated.running("test-kwok", 10) as found:
        yield found
