# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not up, and why."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _chart_rollout
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_rollout import rollout, waiting
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import UnreachableError

LABELS = {"app": "pachd"}


def workload(
    ready: int = 0, updated: int = 1, seen: int = 2, total: int = 1, **status: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": "pachd", "generation": 2},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}},
        "status": {
            "observedGeneration": seen,
            "readyReplicas": ready,
            "updatedReplicas": updated,
            "replicas": total,
            **status,
        },
    }


def pod(*conditions: tuple[str, str, str], claim: str = "", **status: Any) -> dict[str, Any]:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    return {
        "metadata": {"name": "pachd-1", "uid": "2", "labels": LABELS},
        "spec": {"volumes": volumes},
        "status": {
            "phase": "Pending",
            "conditions": [
                {"type": kind, "status": truth, "message": text} for kind, truth, text in conditions
            ],
            **status,
        },
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "pachd", "ready": False, "state": state}]}


CLAIM = {
    "metadata": {"name": "data", "uid": "1"},
    "spec": {"storageClassName": "fast"},
    "status": {"phase": "Pending"},
}
PULL = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nosuch:1"'}


@pytest.mark.parametrize(
    ("found", "pods", "claims", "message"),
    [
        (workload(ready=1), [], [], ""),
        (
            workload(),
            [pod(**container(waiting=PULL))],
            [],
            'ImagePullBackOff: Back-off pulling image "nosuch:1"',
        ),
        (
            workload(),
            [pod(("PodScheduled", "False", "0/2 nodes are available: 2 Insufficient cpu."))],
            [],
            "pod pachd-1: 0/2 nodes are available: 2 Insufficient cpu.",
        ),
        (workload(), [pod(claim="data")], [CLAIM], "volume claim data is Pending of class fast"),
        (
            workload(),
            [pod(claim="data")],
            [{**CLAIM, "spec": {}}],
            "no storage class is the default",
        ),
        (workload(), [pod(**container(terminated={"exitCode": 3, "reason": "Error"}))], [], "exited with 3"),
        (workload(), [pod(claim="bound", **container(running={}))], [CLAIM], "is not ready yet"),
        (workload(), [], [], "0 of 1 pods are ready"),
        # A quota or a policy that refuses pods: there is none to look at.
        (
            workload(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]),
            [],
            [],
            "exceeded quota",
        ),
        # The pod that is ready is one of before.
        (workload(ready=1, updated=0), [], [], "0 of 1"),
        (workload(ready=1, seen=1), [], [], "has not seen its new definition"),
        (workload(ready=1, total=2), [], [], "a pod of before is still there"),
    ],
)
def test_what_keeps_a_workload(
    found: dict[str, Any], pods: list[dict[str, Any]], claims: list[dict[str, Any]], message: str
) -> None:
    lines = waiting([found], pods, claims)
    assert [message in line for line in lines] == ([True] if message else [])


def test_the_event_of_a_claim_says_more() -> None:
    event = {
        "involvedObject": {"name": "data", "uid": "1"},
        "reason": "ProvisioningFailed",
        "message": 'storageclass "fast" not found',
    }
    assert 'storageclass "fast" not found' in waiting([workload()], [pod(claim="data")], [CLAIM], [event])[0]


def test_a_namespace_without_anything_is_not_ready() -> None:
    assert waiting([], [], []) == ["no deployment is there"]


def test_an_api_server_that_starts_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_chart_rollout, "_SECONDS_BETWEEN", 0.0)
    looks: list[Any] = [workload(ready=0), UnreachableError("it starts"), workload(ready=1)]

    class Cluster:
        def list(self, path: str, **query: Any) -> list[dict[str, Any]]:
            if not path.endswith("/deployments"):
                return []
            found = looks.pop(0)
            if isinstance(found, Exception):
                raise found
            return [found]

    client: Any = Cluster()
    assert rollout(client, "pachyderm", 60).values["ready"] is True
    assert looks == []


@pytest.mark.parametrize(
    ("state", "previous"), [("terminated", None), ("waiting", None), ("running", "true")]
)
def test_the_last_words_are_of_the_container_that_ended_last(
    state: str, previous: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node keeps the log of one that ended: that of the previous one is gone where none runs now."""
    crashed = {"name": "pachd", "ready": False, "restartCount": 2, "state": {state: {}}}

    class Cluster:
        def list(self, path: str, **query: Any) -> list[dict[str, Any]]:
            if path.endswith("/deployments"):
                return [workload(ready=0)]
            return [pod(containerStatuses=[crashed])] if path.endswith("/pods") else []

        def text(self, path: str, **query: Any) -> str:
            assert (path.endswith("/pods/pachd-1/log"), query["container"]) == (True, "pachd")
            return "told to fail\n" if query["previous"] == previous else "another"

    monkeypatch.setattr(_chart_rollout, "_SECONDS_BETWEEN", 1.0)
    client: Any = Cluster()
    with pytest.raises(PachydermError, match="pod pachd-1 wrote last: told to fail"):
        rollout(client, "pachyderm", 1)
