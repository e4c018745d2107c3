# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes, pods and DaemonSets of a cluster say about GPUs, and why some are missing."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity import (
    Options,
    parse_options,
    run_capacity,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity_view import View, Wanted
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_pods import (
    matches,
    requests,
    tolerates,
    trouble,
)

GPU = "nvidia.com/gpu"
PLUGIN = {"app.kubernetes.io/name": "nvidia-device-plugin"}
TEMPLATE = "deprecated.daemonset.template.generation"
UNSCHEDULED = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
NO_RUNTIME = 'failed to get sandbox runtime: no runtime for "nvidia" is configured'


def node(name: str = "gpu1", gpus: int = 2, ready: bool = True, **spec: Any) -> dict[str, Any]:
    conditions = [
        {"type": "Ready", "status": "True"}
        if ready
        else {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni\nis missing"}
    ]
    numbers = {GPU: str(gpus), "cpu": "8"} if gpus else {"cpu": "8"}
    return {
        "metadata": {
            "name": name,
            "labels": {"nvidia.com/gpu.present": "true", "kubernetes.io/hostname": name},
        },
        "spec": spec,
        "status": {"conditions": conditions, "capacity": numbers, "allocatable": numbers},
    }


def pod(name: str, on: str | None = "gpu1", gpus: int = 1, **status: Any) -> dict[str, Any]:
    limits = {GPU: str(gpus), "cpu": "500m"} if gpus else {}
    conditions = (
        [{"type": "Ready", "status": "True"}]
        if on
        else [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULED}]
    )
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {}},
        "spec": {
            "containers": [{"name": "c", "resources": {"limits": limits}}],
            **({"nodeName": on} if on else {}),
        },
        "status": {"conditions": conditions, **status},
    }


def plugin(on: str = "gpu1", generation: str = "1", **status: Any) -> dict[str, Any]:
    made = pod(f"plugin-{on}", on, 0, **status)
    made["metadata"].update(
        namespace="nvidia",
        labels={**PLUGIN, "pod-template-generation": generation},
        ownerReferences=[{"uid": "set"}],
    )
    return made


def waiting(reason: str, message: str = "", restarts: int = 0) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"conditions": [], "containerStatuses": [{"name": "c", "state": state, "restartCount": restarts}]}


def daemon_set(generation: str = "1", observed: int = 1, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "nvidia", "uid": "set", "labels": PLUGIN, "generation": 1}
    return {
        "metadata": {**metadata, "annotations": {TEMPLATE: generation}},
        "spec": {
            "template": {"spec": {"containers": [{"image": "nvcr.io/nvidia/k8s-device-plugin:v1"}], **spec}}
        },
        "status": {"observedGeneration": observed},
    }


def event(name: str, message: str, reason: str = "FailedCreatePodSandBox", at: str = "1") -> dict[str, Any]:
    return {
        "involvedObject": {"uid": f"uid-{name}"},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


WANTED = Wanted(GPU, PLUGIN, ("gpu1",))


def reason(*objects: Any, wanted: Wanted = WANTED, **more: Any) -> str | None:
    """Why gpu1 is missing: of a view of nodes, pods and DaemonSets, told apart by what they have."""
    nodes = [item for item in objects if "capacity" in item.get("status", {})]
    sets = [item for item in objects if "template" in item.get("spec", {})]
    pods = [item for item in objects if "containers" in item.get("spec", {})]
    missing = View(wanted, nodes, pods, sets, **more).result()["missing"]
    return missing[0]["reason"] if missing else None


def test_a_node_that_lends_its_gpus_is_not_missing() -> None:
    assert reason(node(), plugin(), daemon_set()) is None
    # Whatever lends them.
    assert reason(node()) is None


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], "is no node of this cluster"),
        ([node(ready=False)], "node is NotReady: KubeletNotReady: cni is missing"),
        (
            [node(gpus=0)],
            "no device plugin is installed (no DaemonSet with app.kubernetes.io/name=nvidia-device",
        ),
        (
            [node(gpus=0), daemon_set(nodeSelector={"pool": "gpu"})],
            "lacks the label pool=gpu of its selector",
        ),
        (
            [node(gpus=0, taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}]), daemon_set()],
            "does not tolerate the taint team=a:NoSchedule",
        ),
        (
            [node(gpus=0), daemon_set(affinity={"nodeAffinity": {"required": 1}})],
            "does not fit the plugin's node aff",
        ),
        ([node(gpus=0), daemon_set()], "the device plugin has no pod here yet"),
        # Of a plugin that has just gone, kubelet reports the GPUs for some seconds.
        ([node(gpus=2), daemon_set()], "the device plugin has no pod here yet"),
        (
            [node(), plugin(generation="1"), daemon_set("2")],
            "plugin-gpu1 is not replaced by its new version yet",
        ),
        ([node(), plugin(), daemon_set(observed=0)], "plugin-gpu1 is not replaced by its new version yet"),
        (
            [node(gpus=0), plugin(**waiting("ImagePullBackOff", "Back-off pulling x")), daemon_set()],
            "plugin-gpu1 is not ready: container c: ImagePullBackOff: Back-off pulling x",
        ),
        (
            [node(gpus=0), plugin(**waiting("ContainerCreating")), daemon_set()],
            "is not ready: ContainerCreating",
        ),
        (
            [node(gpus=0), plugin(), daemon_set()],
            "plugin-gpu1 runs and offers 0 of at least 1; is the driver",
        ),
    ],
)
def test_the_reason_is_found(objects: list[Any], words: str) -> None:
    assert words in str(reason(*objects))


def test_an_event_tells_of_a_missing_runtime() -> None:
    """peers.md: device plugin 107, 406, 788: a RuntimeClass whose handler no node has."""
    objects = [node(gpus=0), plugin(**waiting("ContainerCreating")), daemon_set()]
    events = [
        event("plugin-gpu1", "older", at="0"),
        event("plugin-gpu1", NO_RUNTIME),
        event("other", "x", at="2"),
    ]
    assert str(reason(*objects, events=events)).endswith(f"FailedCreatePodSandBox: {NO_RUNTIME}")


def test_the_log_tells_of_a_missing_driver() -> None:
    objects = [node(gpus=0), plugin(), daemon_set()]
    log = "I1 Loading NVML\nE1 could not load NVML library: libnvidia-ml.so.1\nI1 waiting\n"
    assert "its log says: E1 could not load NVML library: libnvidia-ml.so.1; is the driver" in str(
        reason(*objects, logs={"plugin-gpu1": log})
    )
    crashing = plugin(**waiting("CrashLoopBackOff", "back-off 10s", restarts=3))
    words = str(
        reason(node(gpus=0), crashing, daemon_set(), logs={"plugin-gpu1": "starting\nerror: no socket\n"})
    )
    assert words.endswith("CrashLoopBackOff: back-off 10s, its log says: error: no socket")


def test_a_pod_that_is_not_placed_yet_belongs_to_its_node() -> None:
    unplaced = plugin()
    del unplaced["spec"]["nodeName"]
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gpu1"]}]}
    required = {"nodeSelectorTerms": [term]}
    unplaced["spec"]["affinity"] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
    }
    unplaced["status"] = {
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "too many pods"}]
    }
    assert str(reason(node(gpus=0), unplaced, daemon_set())).endswith("is not ready: too many pods")


def test_the_least_number_counts() -> None:
    assert reason(node(gpus=2), wanted=Wanted(GPU, PLUGIN, ("gpu1",), minimum=3)) is not None
    assert reason(node(gpus=3), wanted=Wanted(GPU, PLUGIN, ("gpu1",), minimum=3)) is None


@pytest.mark.parametrize(
    ("selector", "missing"),
    [("nvidia.com/gpu.present=true", ["gpu2"]), ("pool=none", ["pool=none"]), (None, [])],
)
def test_nodes_are_wanted_by_label(selector: str | None, missing: list[str]) -> None:
    view = View(Wanted(GPU, PLUGIN, (), selector), [node(), node("gpu2", 0)], [], [])
    assert [entry["name"] for entry in view.result()["missing"]] == missing


def test_what_pods_hold_and_wait_for() -> None:
    pods = [pod("a"), pod("b", gpus=1), pod("waits", None, 4), pod("plain", gpus=0)]
    view = View(Wanted(GPU, PLUGIN), [node(), node("full", 8, unschedulable=True), node("cpu", 0)], pods, [])
    result = view.result()
    assert result["nodes"][0]["gpus"] == {GPU: {"capacity": 2, "allocatable": 2, "requested": 2}}
    # The cordoned node's are there and not free; the node without GPUs is left out.
    assert result["totals"] == {GPU: {"capacity": 10, "allocatable": 10, "requested": 2, "free": 0}}
    assert [entry["name"] for entry in result["nodes"]] == ["gpu1", "full"]
    assert result["pending"] == [
        {"namespace": "default", "name": "waits", "gpus": {GPU: 4}, "reason": UNSCHEDULED}
    ]


def test_plugins_of_others_are_seen() -> None:
    other = daemon_set()
    other["metadata"].update(labels={}, name="nvidia-device-plugin-daemonset", namespace="kube-system")
    mps = daemon_set()
    mps["metadata"]["name"] = "p-mps-control-daemon"
    plain = daemon_set()
    plain["metadata"].update(labels={}, name="proxy")
    plain["spec"]["template"]["spec"]["containers"][0]["image"] = "proxy:1"
    found = View(Wanted(GPU, PLUGIN), [], [], [other, plain]).result()["plugins"]
    assert [entry["name"] for entry in found] == ["nvidia-device-plugin-daemonset"]
    assert View(Wanted(GPU, PLUGIN), [], [], [mps]).sets == []


def test_a_pattern_takes_several_resources() -> None:
    mixed = node()
    mixed["status"]["allocatable"] = mixed["status"]["capacity"] = {"nvidia.com/mig-1g.5gb": "7", GPU: "0"}
    result = View(Wanted("nvidia.com/*", PLUGIN, ("gpu1",)), [mixed], [], []).result()
    assert result["missing"] == []
    assert result["totals"]["nvidia.com/mig-1g.5gb"]["free"] == 7


@pytest.mark.parametrize(
    ("before", "containers", "number"),
    [
        ([], [1, 1], 2),
        ([3], [1, 1], 3),
        ([1, 1], [1], 1),
        ([(2, "Always")], [1], 3),
        ([(2, "Always"), 2], [1], 4),
    ],
)
def test_what_the_scheduler_reserves(before: list[Any], containers: list[int], number: int) -> None:
    def container(asked: Any) -> dict[str, Any]:
        gpus, policy = asked if isinstance(asked, tuple) else (asked, None)
        return {"resources": {"limits": {GPU: gpus}}, **({"restartPolicy": policy} if policy else {})}

    spec = {"initContainers": list(map(container, before)), "containers": list(map(container, containers))}
    assert requests({"spec": spec}) == {GPU: number}


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("a=b", True),
        ("a==b,c", True),
        ("a=x", False),
        ("a!=x", True),
        ("a!=b", False),
        ("!d", True),
        ("!a", False),
    ],
)
def test_label_selectors(selector: str, fits: bool) -> None:
    assert matches({"a": "b", "c": ""}, selector) is fits


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], fits: bool) -> None:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    assert tolerates({"tolerations": [toleration]}, taint) is fits


def test_a_failed_pod_says_why() -> None:
    failed = pod("x", phase="Failed", reason="Evicted", message="disk is full")
    failed["status"]["conditions"] = []
    assert trouble(failed) == "Evicted: disk is full"
    assert trouble(pod("fine")) == ""


class Cluster:
    """Lists that change from one look to the next, and a count of what was asked for."""

    def __init__(self, *looks: list[Any]) -> None:
        self.looks = list(looks)
        self.asked: list[str] = []

    def list(self, path: str, **query: Any) -> Any:
        self.asked.append(path)
        if path == "/api/v1/nodes":
            return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return []


def options(**given: Any) -> Options:
    known = {"resource": GPU, "plugin_labels": PLUGIN, "nodes": ["gpu1"], "node_selector": None}
    return parse_options({**known, "minimum": 1, "wait": 60, **given})


def test_it_waits_by_three_lists_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    cluster: Any = Cluster([node(gpus=0)], [node(gpus=0)], [node()])
    outcome = run_capacity(cluster, options(), False)
    assert outcome.values["missing"] == []
    assert len(cluster.asked) == 9


def test_it_fails_with_names_and_reasons() -> None:
    cluster: Any = Cluster([node(gpus=0)])
    with pytest.raises(
        PachydermError, match=r"2 of 2 nodes have too few nvidia.com/gpu: gpu1: no device"
    ) as error:
        run_capacity(cluster, options(nodes=["gpu1", "gpu2"], wait=0), False)
    assert "gpu2: is no node of this cluster" in str(error.value)
    assert error.value.details["nodes"][0]["name"] == "gpu1"


def test_check_mode_neither_waits_nor_fails() -> None:
    cluster: Any = Cluster([node(gpus=0)], [node()])
    outcome = run_capacity(cluster, options(), True)
    assert [entry["name"] for entry in outcome.values["missing"]] == ["gpu1"]


def test_a_least_number_of_none_is_refused() -> None:
    with pytest.raises(PachydermError, match="minimum: must be 1 or more, not 0"):
        options(minimum=0)
