# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nvidia_device_plugin on a real node: simulated GPUs through a plugin, kubelet and containerd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import clusters, outage
from tests.cluster.clusters import Cluster
from tests.cluster.device_plugin import GPU, NAMESPACE, OBJECTS, ROLE, declared
from tests.cluster.runs import changed, done, refused, result
from tests.nodes.labs import Run

pytestmark = pytest.mark.slow

BUSYBOX = "localhost/testlab/busybox:1"


def play(cluster: Cluster, *arguments: str, **variables: Any) -> Run:
    return cluster.role(ROLE, *arguments, **declared(**variables))


@pytest.fixture(scope="module", autouse=True)
def _lent(cluster: Cluster) -> Iterator[None]:
    """In the end gpu1 lends its GPUs as site.yml left it. In between each test declares what it needs."""
    yield
    done(play(cluster, wait=120))
    lends(cluster, 2)


def allocatable(cluster: Cluster) -> int:
    (node,) = cluster.get("nodes", "gpu1")
    return int(node["status"]["allocatable"].get(GPU, 0))


def lends(cluster: Cluster, gpus: int) -> None:
    """Where it lent more before, that is enough for the role: kubelet tells the new number in a while."""
    clusters.until(lambda: allocatable(cluster) == gpus, f"gpu1 lends {gpus} GPUs")


def test_time_slicing_lends_each_gpu_several_times(cluster: Cluster) -> None:
    run = play(cluster, time_slicing_replicas=4)
    assert changed(run) == [OBJECTS]
    assert result(run)["totals"][GPU]["allocatable"] == 8


def test_shared_gpus_have_a_name_of_their_own(cluster: Cluster) -> None:
    """So that no pod gets a share that asked for a whole one; a pod that asks for a share sees the GPU."""
    smoke = {"smoke_image": BUSYBOX, "smoke_wait": 30}
    run = play(cluster, time_slicing_replicas=4, time_slicing_rename=True, **smoke)
    assert result(run)["totals"][f"{GPU}.shared"]["allocatable"] == 8
    assert allocatable(cluster) == 0
    assert "a pod with one GPU on gpu1 printed: GPU 0: NVIDIA simulated GPU" in run.output


def test_a_missing_runtime_handler_is_named(cluster: Cluster) -> None:
    message = refused(play(cluster, runtime_class="nowhere", runtime_handler="nowhere", wait=8))
    cluster.kubectl("delete", "runtimeclass", "nowhere")
    assert "1 of 1 nodes have too few nvidia.com/gpu after 8 s: gpu1: device plugin pod" in message
    assert 'no runtime for "nowhere" is configured' in message


def test_an_image_that_is_not_there_is_named(cluster: Cluster) -> None:
    message = refused(play(cluster, image="localhost/testlab/nosuch:1", image_pull_policy="Never", wait=6))
    assert 'ErrImageNeverPull: Container image "localhost/testlab/nosuch:1" is not present' in message


def test_a_taint_that_is_not_tolerated_is_named(cluster: Cluster) -> None:
    cluster.kubectl("taint", "node", "gpu1", "team=a:NoExecute")
    try:
        message = refused(play(cluster, wait=5))
    finally:
        cluster.kubectl("taint", "node", "gpu1", "team=a:NoExecute-")
    assert (
        "gpu1: the device plugin does not run here: it does not tolerate the taint team=a:NoExecute"
        in message
    )


@pytest.mark.parametrize("connections", [1, 2])
def test_an_api_server_that_goes_in_the_middle(cluster: Cluster, tmp_path: Path, connections: int) -> None:
    """Wherever it goes, one line says so, and the next run converges."""
    declared = {"time_slicing_replicas": 1 + connections}
    with outage.behind(cluster.kubeconfig, tmp_path / "kubeconfig", connections) as server:
        run = play(cluster, **declared, wait=1, test_kubeconfig=str(server.kubeconfig))
    assert "cannot reach the API server at https://127.0.0.1:" in refused(run)
    done(play(cluster, **declared))
    lends(cluster, 2 * (1 + connections))


def test_an_api_server_that_starts_again_is_waited_for(cluster: Cluster) -> None:
    """Killed in the middle of the role's wait, it is started again by its kubelet, and the role goes on."""
    before = generations(cluster)
    with outage.once(
        lambda: generations(cluster) != before,
        lambda: cluster.sh("control", "pkill -KILL -x kube-apiserver"),
    ):
        run = play(cluster, time_slicing_replicas=5, wait=120)
    done(run)
    lends(cluster, 10)


def generations(cluster: Cluster) -> list[int]:
    """A number of each device plugin that a new declaration raises."""
    found = cluster.get("daemonsets", f"--namespace={NAMESPACE}")
    return [item["metadata"]["generation"] for item in found]


def test_a_node_that_is_not_ready_is_named(cluster: Cluster) -> None:
    cluster.sh("gpu1", "systemctl stop kubelet")
    try:
        clusters.until(
            lambda: "NodeStatusUnknown" in json.dumps(cluster.get("nodes", "gpu1")), "gpu1 is lost", 120
        )
        message = refused(play(cluster, wait=1))
    finally:
        cluster.sh("gpu1", "systemctl start kubelet")
    assert "gpu1: node is NotReady: NodeStatusUnknown: Kubelet stopped posting node status." in message


def test_the_smoke_test_sees_a_gpu_or_says_why_it_waits(cluster: Cluster) -> None:
    done(play(cluster, wait=120))
    lends(cluster, 2)
    smoke = {"smoke_image": BUSYBOX, "smoke_wait": 30, "test_tasks": "verify"}
    run = done(play(cluster, **smoke))
    assert "a pod with one GPU on gpu1 printed: GPU 0: NVIDIA simulated GPU" in run.output
    holders = [{"name": f"holds-{number}", "image": BUSYBOX} for number in range(2)]
    free = allocatable(cluster) - held(cluster)
    containers = [
        {**one, "command": ["sleep", "1000"], "resources": {"limits": {GPU: 1}}} for one in holders[:free]
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holds", "namespace": "default"},
        "spec": {"containers": containers},
    }
    cluster.apply(pod)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/holds", "--timeout=60s")
    message = refused(play(cluster, **{**smoke, "smoke_wait": 5}))
    cluster.kubectl("delete", "pod", "holds", "--now")
    assert "Insufficient nvidia.com/gpu" in message
    names = [item["metadata"]["name"] for item in cluster.get("pods", "--namespace", NAMESPACE)]
    assert names
    assert not [name for name in names if "smoke" in name]


def held(cluster: Cluster) -> int:
    """By pods that run or are about to."""
    unfinished = "--field-selector=status.phase!=Succeeded,status.phase!=Failed"
    pods = cluster.get("pods", "--all-namespaces", unfinished)
    limits = [one.get("resources", {}).get("limits", {}) for pod in pods for one in pod["spec"]["containers"]]
    return sum(int(limit.get(GPU, 0)) for limit in limits)
