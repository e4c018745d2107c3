# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the workloads of a release are up, and if not, why. PRIVATE to the collection.

Each look is four lists, however many pods there are; a fifth, of events, if in the end something is not up.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ._errors import PachydermError, first_few, one_line
from ._image_pulls import pulling
from ._kubernetes import Kubernetes, KubernetesError, UnreachableError
from ._kubernetes_pods import is_ready, last_warning, restarts, trouble, unscheduled
from ._plan import Outcome
from ._progress import Progress

Item = Mapping[str, Any]

_SECONDS_BETWEEN = 2.0
# The pods of pipelines come and go with them; the chart's own are waited for.
_NOT_WORKERS = "component!=worker"


def rollout(client: Kubernetes, namespace: str, seconds: int) -> Outcome:
    """Looks until everything is ready, `seconds` at most. Raises PachydermError that names what is not."""
    end = time.monotonic() + seconds
    pods, left = _look(client, namespace, ())
    progress = Progress(f"namespace {namespace}")
    while left and time.monotonic() < end:
        progress.tell(partial(_note, client, namespace, pods, left))
        time.sleep(_SECONDS_BETWEEN)
        try:
            pods, left = _look(client, namespace, ())
        except UnreachableError:
            # It may be restarting; the last word is that of the final look.
            if time.monotonic() >= end:
                raise
    if left:
        # Events say more, and are many: they are asked for once.
        path = f"/api/v1/namespaces/{namespace}/events"
        pods, left = _look(client, namespace, client.list(path, fieldSelector="type=Warning"))
        left += _last_words(client, namespace, pods)
    shown = [_shown(pod) for pod in pods]
    if left and seconds:
        message = f"namespace {namespace}: not ready within {seconds} s: {first_few(left)}"
        raise PachydermError(message, pods=shown, waiting=left)
    return Outcome(None, {"ready": not left, "waiting": left, "pods": shown})


def _look(
    client: Kubernetes, namespace: str, events: Sequence[Item]
) -> tuple[list[dict[str, Any]], list[str]]:
    """(pods, what is not ready yet and why)."""
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    core = f"/api/v1/namespaces/{namespace}"
    workloads = [
        *client.list(f"{apps}/deployments", labelSelector=_NOT_WORKERS),
        *client.list(f"{apps}/statefulsets", labelSelector=_NOT_WORKERS),
    ]
    pods = client.list(f"{core}/pods", labelSelector=_NOT_WORKERS)
    claims = client.list(f"{core}/persistentvolumeclaims")
    return pods, waiting(workloads, pods, claims, events)


def _note(client: Kubernetes, namespace: str, pods: Sequence[Item], left: Sequence[str]) -> dict[str, str]:
    return {"note": first_few([*pulling(client, namespace, pods), *left], 3)}


def _last_words(client: Kubernetes, namespace: str, pods: Sequence[Item]) -> list[str]:
    """What restarted containers wrote last: a pod's status has no more than a number."""
    said = []
    for pod in pods:
        name, container = pod["metadata"]["name"], _not_ready(pod)
        if container is None or not restarts(pod):
            continue
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        # Of one that does not run now, the node keeps the last log alone, and that is not the previous one.
        previous = "true" if "running" in (container.get("state") or {}) else None
        try:
            text = client.text(path, container=container["name"], previous=previous, tailLines=1)
        except (KubernetesError, UnreachableError):
            continue  # the node has removed it already, or does not answer
        if text.strip():
            said.append(f"pod {name} wrote last: {one_line(text)}")
    return said


def waiting(
    workloads: Sequence[Item], pods: Sequence[Item], claims: Sequence[Item], events: Sequence[Item] = ()
) -> list[str]:
    """One line for each workload that has fewer ready pods than it should, of its newest revision."""
    unbound = {item["metadata"]["name"]: item for item in claims if item["status"].get("phase") != "Bound"}
    lines = []
    for workload in workloads:
        missing = _missing(workload)
        if missing:
            reasons = [
                f"pod {pod['metadata']['name']}: {reason}"
                for pod in pods
                if _selects(workload, pod) and (reason := _reason(pod, unbound, events))
            ]
            lines.append(f"{workload['metadata']['name']}: {'; '.join(reasons) or missing}")
    return lines if workloads else ["no deployment is there"]


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


def _reason(pod: Item, unbound: Mapping[str, Item], events: Sequence[Item]) -> str:
    """Why a pod is not ready, empty if it is."""
    if is_ready(pod):
        return ""
    for name in _claims(pod):
        if name in unbound:
            claim = unbound[name]
            storage_class = claim["spec"].get("storageClassName")
            of = f"of class {storage_class}" if storage_class else "and no storage class is the default"
            said = last_warning(claim, events) or unscheduled(pod)
            state = claim["status"].get("phase", "Pending")
            return f"volume claim {name} is {state} {of}: {said}".rstrip(": ")
    return trouble(pod, events) or "is not ready yet"


def _claims(pod: Item) -> list[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or []
    claims = [entry.get("persistentVolumeClaim") for entry in volumes]
    return [claim["claimName"] for claim in claims if claim]


def _not_ready(pod: Item) -> Item | None:
    """The first container that is not."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    return next((entry for entry in containers if not entry.get("ready")), None)


def _shown(pod: Item) -> dict[str, Any]:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "ready": f"{sum(1 for entry in containers if entry.get('ready'))}/{len(containers)}",
        "not_ready": (_not_ready(pod) or {}).get("name"),
        "restarts": restarts(pod),
    }
