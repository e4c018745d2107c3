# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of 10, 100 and 1,000 nodes: what is asked for, and what it says."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity import (
    parse_options,
    run_capacity,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import Kubernetes
from ansible_collections.gpulab.pachyderm.plugins.modules.nvidia_gpu_capacity import ARGUMENTS
from testlab.cluster import kwok as nodes
from tests.cluster import simulated
from tests.cluster.api import Api, connection

GPU = "nvidia.com/gpu"
SIZES = [10, 100, 1000]


class Look:
    """One look at all nodes, which all have to lend their GPUs, and what it asked for."""

    def __init__(self, cluster: Api, **given: Any) -> None:
        defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
        options = parse_options({**defaults, "node_selector": "nvidia.com/gpu.present=true", **given})
        api = connection(cluster.kubeconfig)
        self.values = run_capacity(api, options, False).values
        self.asked = api.sent


@pytest.fixture(scope="module")
def lab() -> Iterator[Api]:
    """Its own: a thousand nodes would slow the other tests down."""
    with simulated.running("test-scale", SIZES[0]) as found:
        yield found


@pytest.fixture(scope="module")
def looks(lab: Api) -> dict[int, Look]:
    """One at each size, as the cluster grows."""
    looks = {}
    there = SIZES[0]
    for size in SIZES:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(functools.partial(add, connection(lab.kubeconfig)), range(there, size)))
        there = size
        while not ready(lab, size):
            time.sleep(0.5)
        looks[size] = Look(lab)
    return looks


def add(api: Kubernetes, number: int) -> None:
    api.create("/api/v1/nodes", nodes.node(number))


def ready(lab: Api, size: int) -> bool:
    return len([node for node in Look(lab, node_selector=None).values["nodes"] if node["ready"]]) == size


@pytest.mark.parametrize("size", SIZES)
def test_all_gpus_are_counted(looks: dict[int, Look], size: int) -> None:
    gpus = size * nodes.GPUS
    totals = looks[size].values["totals"][GPU]
    assert totals == {"capacity": gpus, "allocatable": gpus, "requested": 0, "free": gpus}


@pytest.mark.parametrize("size", SIZES)
def test_requests_are_lists_however_many_nodes(looks: dict[int, Look], size: int) -> None:
    """Three lists, and one page more for each 500 nodes beyond the first."""
    assert len(looks[size].asked) == 3 + max(size // 500 - 1, 0)
    assert not [request for request in looks[size].asked if "/gpu-" in request]


def test_pods_hold_gpus_and_wait_for_them(lab: Api, looks: dict[int, Look]) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holds", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "none", "resources": {"limits": {GPU: 3}}}]},
    }
    big = {**pod, "metadata": {"name": "waits", "namespace": "default"}}
    big["spec"] = {"containers": [{"name": "c", "image": "none", "resources": {"limits": {GPU: 9}}}]}
    lab.apply(pod, big)
    lab.kubectl("wait", "--for=condition=Ready", "pod/holds", "--timeout=60s")
    lab.kubectl("wait", "--for=condition=PodScheduled=false", "pod/waits", "--timeout=60s")
    values = Look(lab).values
    assert values["totals"][GPU]["requested"] == 3
    (waiting,) = values["pending"]
    assert waiting["name"] == "waits"
    assert f"Insufficient {GPU}" in waiting["reason"]


def test_nodes_that_do_not_lend_theirs_are_named(lab: Api, looks: dict[int, Look]) -> None:
    with pytest.raises(PachydermError) as error:
        Look(lab, node_selector=None, nodes=["gpu-0001", "absent"], minimum=9)
    assert "2 of 2 nodes have too few nvidia.com/gpu" in str(error.value)
    assert "gpu-0001: no device plugin is installed" in str(error.value)
    assert "absent: is no node of this cluster" in str(error.value)
