# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that wait for a cluster, or for a job, say meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _endpoint_find, _job_wait, _progress
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_rollout import rollout
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity import (
    parse_options,
    run_capacity,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KubernetesError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects import (
    parse_objects,
    run_objects,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_probe import parse_probe, run_probe

Told = Callable[[], list[dict[str, Any]]]
GPU = "nvidia.com/gpu"
LABELS = {"app": "it"}
PULLS = {
    "involvedObject": {"uid": "1"},
    "reason": "Pulling",
    "message": 'Pulling image "cuda:12"',
    "lastTimestamp": "1",
}


def pod(ready: bool = False, **status: Any) -> dict[str, Any]:
    state = {"running": {}} if ready else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "metadata": {"name": "it-1", "namespace": "lab", "uid": "1", "labels": LABELS},
        "spec": {"nodeName": "gpu1", "containers": [{"name": "c"}]},
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "c", "state": state}],
            **status,
        },
    }


def deployment(ready: int) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "it", "namespace": "lab", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "readyReplicas": ready,
            "updatedReplicas": 1,
            "availableReplicas": ready,
        },
    }


def node(name: str, gpus: int) -> dict[str, Any]:
    numbers = {GPU: str(gpus)}
    return {
        "metadata": {"name": name, "labels": {}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": numbers,
            "allocatable": numbers,
        },
    }


class Cluster:
    """Answers by the last part of the path, one after the other; the last one stays."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers

    def list(self, path: str, **query: Any) -> Any:
        kind = path.rsplit("/", 1)[1]
        if kind == "events" and query != {"fieldSelector": "reason=Pulling"}:
            return []
        return self._next(kind, [])

    def get(self, path: str) -> Any:
        return self._next("it", None)

    def find(self, path: str) -> Any:
        return self._next("found", None)

    def path(self, item: Any) -> str:
        return "/apis/apps/v1/namespaces/lab/deployments/it"

    def create(self, path: str, body: Any, manager: str = "") -> None:
        pass

    apply = create

    def text(self, path: str, **query: Any) -> str:
        return ""

    def _next(self, kind: str, otherwise: Any) -> Any:
        left = self.answers.get(kind, [otherwise])
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """The lines so far. Nothing waits, and each look is told."""
    monkeypatch.setenv("GPULAB_PROGRESS", str(tmp_path / "told"))
    monkeypatch.setattr(_progress, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
        return [{key: line[key] for key in line.keys() - {"time", "pid"}} for line in found]

    return lines


def test_the_pods_of_a_chart_and_their_images(told: Told) -> None:
    cluster: Any = Cluster(
        deployments=[[deployment(0)], [deployment(0)], [deployment(1)]],
        pods=[[pod()], [pod(True)]],
        events=[[PULLS]],
    )
    assert rollout(cluster, "lab", 60).values["ready"]
    assert told() == [
        {
            "what": "namespace lab",
            "note": 'pod it-1: Pulling image "cuda:12"; it: pod it-1: ContainerCreating',
        },
        # It runs by now, and the image is no matter any more.
        {"what": "namespace lab", "note": "it: 0 of 1 pods are ready"},
    ]


def test_who_may_not_read_events_is_told_the_rest(told: Told) -> None:
    cluster: Any = Cluster(
        deployments=[[deployment(0)], [deployment(1)]],
        pods=[[pod()]],
        events=[KubernetesError(403, "not permitted")],
    )
    rollout(cluster, "lab", 60)
    assert told() == [{"what": "namespace lab", "note": "it: pod it-1: ContainerCreating"}]


def test_nodes_that_lend_their_gpus(told: Told) -> None:
    nodes = [[node("gpu1", 0), node("gpu2", 2)], [node("gpu1", 2), node("gpu2", 2)]]
    cluster: Any = Cluster(nodes=nodes, pods=[[pod()], [pod(True)]], events=[[PULLS]])
    params = {"resource": GPU, "plugin_labels": LABELS, "nodes": ["gpu1", "gpu2"], "node_selector": None}
    run_capacity(cluster, parse_options({**params, "minimum": 1, "wait": 60}), False)
    assert told() == [
        {
            "what": "nodes that lend nvidia.com/gpu",
            "done": 1,
            "total": 2,
            "unit": "nodes",
            "note": 'pod it-1: Pulling image "cuda:12"; '
            "gpu1: device plugin pod it-1 is not ready: ContainerCreating",
        }
    ]


def test_a_probe_that_pulls_its_image(told: Told) -> None:
    cluster: Any = Cluster(
        it=[pod(phase="Pending"), pod(True, phase="Running"), pod(phase="Succeeded")], events=[[PULLS]]
    )
    params: dict[str, Any] = {"name": "it", "namespace": "lab", "claim": None, "timeout": 60}
    params["pod"] = {"containers": [{}]}
    run_probe(cluster, parse_probe(params), False)
    assert told() == [
        {"what": "pod lab/it", "note": 'Pending; pod it-1: Pulling image "cuda:12"'},
        {"what": "pod lab/it", "note": "Running"},
    ]


def test_objects_that_come(told: Told) -> None:
    cluster: Any = Cluster(it=[deployment(0), deployment(1)], pods=[[pod()]])
    declared = parse_objects({"objects": [deployment(0)], "state": "present", "wait": 60})
    run_objects(cluster, declared, False)
    assert told() == [
        {"what": "roll-out", "note": "Deployment lab/it: pod it-1: ContainerCreating"},
    ]


def test_an_address_that_is_yet_to_come(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _endpoint_find.Endpoint("service", "pachd", "10.0.0.1", 30650)
    answers: list[Any] = [PachydermError("namespace lab has no services"), (found, False)]

    def endpoint(*_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_endpoint_find, "_endpoint", endpoint)
    monkeypatch.setattr(_endpoint_find, "_version", lambda *_: "2.12.0")
    nobody: Any = None
    _endpoint_find.find(nobody, {"wait": 60, "pachd_ca_cert": None}, False)
    assert told() == [{"what": "pachd's address", "note": "namespace lab has no services"}]


@pytest.mark.parametrize(
    ("state", "datums", "done", "note"),
    [
        ("JOB_STARTING", {}, 0, "job 0123abcd starting"),
        ("JOB_RUNNING", {"processed": 3, "skipped": 2}, 5, "job 0123abcd running"),
        (
            "JOB_RUNNING",
            {"processed": 3, "failed": 2, "recovered": 1},
            6,
            "job 0123abcd running, 2 datums failed",
        ),
    ],
)
def test_the_datums_of_a_job(state: str, datums: dict[str, int], done: int, note: str) -> None:
    counts = {"processed": 0, "skipped": 0, "failed": 0, "recovered": 0, "total": 9, **datums}
    job = {"id": "0123abcdef", "state": state, "datums": counts}
    assert _job_wait._note(job) == {"done": done, "total": 9, "unit": "datums", "note": note}
