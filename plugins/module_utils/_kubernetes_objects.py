# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a cluster, kept as declared. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._errors import PachydermError, first_few, one_line
from ._kubernetes import Kubernetes, KubernetesError, UnreachableError
from ._kubernetes_objects_plan import MANAGER, plan_absent, plan_patched, plan_present, stamped, title
from ._kubernetes_pods import is_ready, restarts, select, trouble
from ._plan import Outcome, Plan
from ._progress import Progress

# Kinds whose pods take time to come, and the fields that count those that have.
_ROLLOUTS = {
    "Deployment": ("replicas", "updatedReplicas", "availableReplicas"),
    "DaemonSet": ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"),
}
_PLANS = {"present": plan_present, "patched": plan_patched, "absent": plan_absent}
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Declared:
    """What is wanted. `wait` is in seconds; 0 does not wait."""

    objects: tuple[dict[str, Any], ...]
    state: str
    wait: int


def parse_objects(params: Mapping[str, Any]) -> Declared:
    """Raises PachydermError for what is no object, naming its place in the list."""
    for index, item in enumerate(params["objects"]):
        for key in ("apiVersion", "kind", "metadata"):
            if not item.get(key):
                raise PachydermError(f"objects[{index}]: has no {key}")
        if not isinstance(item["metadata"], dict) or not item["metadata"].get("name"):
            raise PachydermError(f"objects[{index}]: has no metadata.name")
    return Declared(tuple(params["objects"]), params["state"], params["wait"])


def run_objects(cluster: Kubernetes, declared: Declared, check_mode: bool) -> Outcome:
    """Reads each object, writes those that differ, and waits until they are there (or gone)."""
    there = [(item, _find(cluster, item, declared.state)) for item in declared.objects]
    plan = _PLANS[declared.state](there)
    if not check_mode:
        _carry_out(cluster, plan)
        if declared.wait and declared.state == "absent":
            _wait_absent(cluster, plan, declared.wait)
        elif declared.wait:
            _wait_present(cluster, declared)
    return Outcome(plan)


def list_objects(cluster: Kubernetes, params: Mapping[str, Any], _check_mode: bool) -> Outcome:
    """The objects of one kind; `params` are the options of kubernetes_objects_info."""
    selector = select(params["labels"]) if params["labels"] else None
    found = cluster.list_kind(
        params["api_version"], params["kind"], params["namespace"], labelSelector=selector
    )
    return Outcome(None, {"objects": found})


def _find(cluster: Kubernetes, item: Mapping[str, Any], state: str) -> dict[str, Any] | None:
    # Of a kind that the cluster does not know there is none to remove.
    if state == "absent" and not cluster.has_kind(item["apiVersion"], item["kind"]):
        return None
    return cluster.find(cluster.path(item))


def _carry_out(cluster: Kubernetes, plan: Plan) -> None:
    for action in plan.actions:
        try:
            if action.verb == "delete":
                cluster.delete(cluster.path(action.item), propagationPolicy="Background")
            elif action.verb == "patch":
                cluster.patch(cluster.path(action.item), action.item)
            else:
                cluster.apply(cluster.path(action.item), stamped(action.item), MANAGER)
        except KubernetesError as error:
            raise KubernetesError(
                error.code, f"{action.verb} {action.kind} {action.name}: {error}"
            ) from error


def _wait_absent(cluster: Kubernetes, plan: Plan, seconds: int) -> None:
    """Until what was deleted is gone. Raises PachydermError."""
    end = time.monotonic() + seconds
    left = [action.item for action in plan.actions]
    progress = Progress("what is being deleted")
    while left := [item for item in left if _found(cluster, item)]:
        progress.tell(partial(dict, note=first_few([title(item) for item in left], 3)))
        if time.monotonic() >= end:
            names = first_few([title(item) for item in left])
            raise PachydermError(f"still there after {seconds} s: {names}; finalizers may hold it back")
        time.sleep(_PAUSE)


def _found(cluster: Kubernetes, item: Mapping[str, Any]) -> bool:
    try:
        return cluster.find(cluster.path(item)) is not None
    except UnreachableError:
        return True


def _wait_present(cluster: Kubernetes, declared: Declared) -> None:
    """Until all pods of Deployments and DaemonSets are as declared, and available. Raises PachydermError."""
    end = time.monotonic() + declared.wait
    left = [item for item in declared.objects if item["kind"] in _ROLLOUTS]
    progress = Progress("roll-out")
    while left := [item for item in left if not _rolled_out(cluster, item)]:
        progress.tell(partial(_note, cluster, left[0]))
        if time.monotonic() >= end:
            why = first_few([f"{title(item)}: {_why_not(cluster, item)}" for item in left])
            raise PachydermError(f"not rolled out after {declared.wait} s: {why}")
        time.sleep(_PAUSE)


def _note(cluster: Kubernetes, item: Mapping[str, Any]) -> dict[str, str]:
    return {"note": f"{title(item)}: {_why_not(cluster, item)}"}


def _rolled_out(cluster: Kubernetes, item: Mapping[str, Any]) -> bool:
    try:
        actual = cluster.get(cluster.path(item))
    except UnreachableError:
        return False
    status = actual.get("status", {})
    wanted, *reached = (status.get(name, 0) for name in _ROLLOUTS[item["kind"]])
    seen = status.get("observedGeneration", 0) >= actual["metadata"]["generation"]
    return bool(seen and all(number >= wanted for number in reached))


def _why_not(cluster: Kubernetes, item: Mapping[str, Any]) -> str:
    """What its pods say; its own events where it has none, as under a quota."""
    namespace = item["metadata"].get("namespace", "default")
    labels = select(item["spec"]["selector"]["matchLabels"])
    pods = cluster.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels)
    events = cluster.list(f"/api/v1/namespaces/{namespace}/events", fieldSelector="type=Warning")
    unready = [pod for pod in pods if not is_ready(pod)]
    said = [f"pod {pod['metadata']['name']}: {trouble(pod, events)}{_said(cluster, pod)}" for pod in unready]
    own = [event for event in events if event["involvedObject"].get("kind") == "ReplicaSet" or not pods]
    return first_few(said, 3) or first_few([event.get("message", "") for event in own][-1:]) or "no pods yet"


def _said(cluster: Kubernetes, pod: Mapping[str, Any]) -> str:
    """The last line of a pod that keeps ending."""
    metadata = pod["metadata"]
    if not restarts(pod):
        return ""
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    try:
        lines = cluster.text(path, tailLines=1, container=pod["spec"]["containers"][0]["name"]).splitlines()
    except (KubernetesError, UnreachableError):
        # Not permitted, or its kubelet does not answer: one reason less.
        return ""
    return f", its log says: {one_line(lines[-1])}" if lines else ""
