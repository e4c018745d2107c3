# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the workloads of a release are up, and if not, why. PRIVATE to the collection.

Each look is four lists, however many pods there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ._errors import PachydermError, first_few, one_line
from ._kubernetes import Kubernetes
from ._plan import Outcome

Item = Mapping[str, Any]

_SECONDS_BETWEEN = 2.0
# The pods of pipelines come and go with them; the chart's own are waited for.
_NOT_WORKERS = "component!=worker"


def rollout(client: Kubernetes, namespace: str, seconds: int) -> Outcome:
    """Looks until everything is ready, `seconds` at most. Raises PachydermError that names what is not."""
    end = time.monotonic() + seconds
    while True:
        pods, waiting = look(client, namespace)
        if not waiting or time.monotonic() >= end:
            break
        time.sleep(_SECONDS_BETWEEN)
    if waiting and seconds:
        raise PachydermError(
            f"namespace {namespace}: not ready within {seconds} s: {first_few(waiting)}",
            pods=pods,
            waiting=waiting,
        )
    return Outcome(None, {"changed": False, "ready": not waiting, "waiting": waiting, "pods": pods})


def look(client: Kubernetes, namespace: str) -> tuple[list[dict[str, Any]], list[str]]:
    """(pods, what is not ready yet and why)."""
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    core = f"/api/v1/namespaces/{namespace}"
    workloads = [
        *client.list(f"{apps}/deployments", labelSelector=_NOT_WORKERS),
        *client.list(f"{apps}/statefulsets", labelSelector=_NOT_WORKERS),
    ]
    pods = client.list(f"{core}/pods", labelSelector=_NOT_WORKERS)
    claims = client.list(f"{core}/persistentvolumeclaims")
    shown = [_shown(pod) for pod in pods]
    return shown, waiting(workloads, pods, claims)


def waiting(workloads: Iterable[Item], pods: list[dict[str, Any]], claims: Iterable[Item]) -> list[str]:
    """One line for each workload that has fewer ready pods than it should, of the revision that it should"
    " have."""
    unbound = {
        claim["metadata"]["name"]: claim for claim in claims if claim["status"].get("phase") != "Bound"
    }
    lines = []
    found = False
    for workload in workloads:
        found = True
        missing = _missing(workload)
        if missing:
            reasons = [
                f"pod {pod['metadata']['name']}: {reason}"
                for pod in pods
                if _selects(workload, pod) and (reason := _reason(pod, unbound))
            ]
            lines.append(f"{workload['metadata']['name']}: {'; '.join(reasons) or missing}")
    return lines if found else ["no deployment is there"]


def _missing(workload: Item) -> str:
    """What a Deployment or a StatefulSet lacks; empty if it is complete."""
    spec, status = workload["spec"], workload.get("status") or {}
    wanted = spec.get("replicas", 1)
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return "the controller has not seen its new definition yet"
    ready = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    if ready < wanted:
        # Where a quota or a policy forbids pods there is none to ask.
        said = [
            one_line(entry.get("message", ""))
            for entry in status.get("conditions") or []
            if entry["type"] == "ReplicaFailure" and entry["status"] == "True"
        ]
        return said[0] if said else f"{ready} of {wanted} pods are ready"
    if status.get("replicas", 0) > wanted:
        return "a pod of before is still there"
    return ""


def _selects(workload: Item, pod: Item) -> bool:
    labels = pod["metadata"].get("labels") or {}
    wanted = workload["spec"]["selector"].get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def _reason(pod: Item, unbound: Mapping[str, Item]) -> str:
    """Why a pod is not ready, empty if it is."""
    status = pod.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    if pod["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    for claim in _claims(pod):
        if claim in unbound:
            phase = unbound[claim]["status"].get("phase", "Pending")
            storage_class = unbound[claim]["spec"].get("storageClassName")
            of_class = (
                f" of storage class {storage_class}"
                if storage_class
                else ", and no storage class is the default"
            )
            unscheduled = conditions.get("PodScheduled", {}).get("message", "")
            return one_line(f"volume claim {claim} is {phase}{of_class}. {unscheduled}").rstrip(". ")
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return one_line(scheduled.get("message") or scheduled.get("reason") or "is not scheduled")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        text = _container(container)
        if text:
            return text
    return one_line(
        status.get("message") or conditions.get("Ready", {}).get("message") or status.get("phase", "")
    )


def _claims(pod: Item) -> list[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return [
        entry["persistentVolumeClaim"]["claimName"] for entry in volumes if "persistentVolumeClaim" in entry
    ]


def _container(status: Item) -> str:
    if status.get("ready") and not (status.get("state") or {}).get("waiting"):
        return ""
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
    if "waiting" in state:
        text = f"{state['waiting'].get('reason', 'waiting')}: {state['waiting'].get('message', '')}".rstrip(
            ": "
        )
        return one_line(f"{text} (it ended with exit status {last['exitCode']})" if last else text)
    if "terminated" in state and state["terminated"].get("exitCode"):
        return one_line(
            f"{state['terminated'].get('reason', 'ended')} with exit status {state['terminated']['exitCode']}"
        )
    return "" if "terminated" in state else "runs and is not ready"


def _shown(pod: Item) -> dict[str, Any]:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "ready": f"{sum(1 for entry in containers if entry.get('ready'))}/{len(containers)}",
        "restarts": sum(entry.get("restartCount", 0) for entry in containers),
    }
