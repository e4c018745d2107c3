# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod asks for, why it does not run, which labels fit. No I/O. PRIVATE: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ._errors import one_line

Object = Mapping[str, Any]

# States on the way to a running container, which say nothing about what is wrong.
_ON_THE_WAY = ("ContainerCreating", "PodInitializing")


def condition(item: Object, kind: str) -> Object:
    """One of the conditions of a node or a pod; {} if it has none of that kind yet."""
    conditions = item.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})


def is_true(item: Object, kind: str) -> bool:
    return condition(item, kind).get("status") == "True"


def is_ready(pod: Object) -> bool:
    """Whether it runs and serves; one that is being deleted does no longer."""
    return is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]


def requests(pod: Object) -> dict[str, int]:
    """Extended resources, such as nvidia.com/gpu, that the scheduler reserves for a pod.

    What init containers ask for is theirs before the others start, so the bigger sum counts; one that
    restarts always runs beside them (Kubernetes: Sidecar Containers, Resource sharing within containers).
    """
    spec = pod["spec"]
    beside: dict[str, int] = {}
    before: dict[str, int] = {}
    for entry in spec.get("initContainers") or []:
        if entry.get("restartPolicy") == "Always":
            _add(beside, _extended(entry))
        else:
            for name, number in _extended(entry).items():
                before[name] = max(before.get(name, 0), number + beside.get(name, 0))
    for entry in spec["containers"]:
        _add(beside, _extended(entry))
    return {name: max(beside.get(name, 0), before.get(name, 0)) for name in sorted({*beside, *before})}


def _extended(container: Object) -> dict[str, int]:
    """Only whole numbers of what has a domain in its name; requests and limits of these are equal."""
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity(number) for name, number in asked.items() if "/" in name}


def quantity(text: Any) -> int:
    """A whole number as Kubernetes writes it: 8, or 2k."""
    number = str(text)
    return int(float(number[:-1]) * 1000) if number.endswith("k") else int(float(number))


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def unscheduled(pod: Object) -> str:
    """The scheduler's own words about a pod that it finds no node for; "" if there are none."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return ""
    return one_line(scheduled.get("message") or scheduled.get("reason") or "")


def trouble(pod: Object, events: Sequence[Object] = ()) -> str:
    """Why a pod is not ready, in one line; "" if it is, or nothing is known yet.

    `events` are Warning events; those of other pods are passed over.
    """
    if is_ready(pod):
        return ""
    status = pod.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return one_line(f"{status['reason']}: {status.get('message', '')}").rstrip(": ")
    containers = _containers(pod)
    said = [text for text in map(_container_trouble, containers) if text]
    return unscheduled(pod) or "; ".join(said) or last_warning(pod, events) or _on_the_way(containers)


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _container_trouble(status: Object) -> str:
    waiting = status.get("state", {}).get("waiting") or {}
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    words = []
    if waiting and waiting.get("reason") not in _ON_THE_WAY:
        words.append(f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": "))
    if ended.get("exitCode"):
        words.append(f"exited with {ended['exitCode']} ({ended.get('reason')}) {ended.get('message', '')}")
    return one_line(f"container {status['name']}: {', '.join(words)}") if words else ""


def last_warning(item: Object, events: Sequence[Object]) -> str:
    """The newest of events about an object, such as that no runtime of a name is configured.

    Events outlive what they are about, so those of an earlier object of the same name are not this one's.
    """
    own = [event for event in events if event["involvedObject"].get("uid") == item["metadata"]["uid"]]
    if not own:
        return ""
    newest = max(own, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return one_line(f"{newest.get('reason')}: {newest.get('message', '')}")


def is_on_the_way(pod: Object) -> bool:
    """Whether a container of it is being created, for which its image may be pulled."""
    return _on_the_way(_containers(pod)) in _ON_THE_WAY


def _on_the_way(containers: Sequence[Object]) -> str:
    reasons = [status.get("state", {}).get("waiting", {}).get("reason") for status in containers]
    return next((str(reason) for reason in reasons if reason), "")


def restarts(pod: Object) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return sum(int(status.get("restartCount", 0)) for status in statuses)


def tolerates(pod_spec: Object, taint: Object) -> bool:
    """Whether a pod may run on a node with `taint`."""
    return any(
        entry.get("effect", taint["effect"]) in (taint["effect"], "")
        and entry.get("key", taint["key"]) in (taint["key"], "")
        and (entry.get("operator") == "Exists" or entry.get("value", "") == taint.get("value", ""))
        for entry in pod_spec.get("tolerations") or []
    )


def select(labels: Mapping[str, str]) -> str:
    """Labels as a selector, sorted: it stands in messages."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def matches(labels: Mapping[str, str], selector: str) -> bool:
    """Whether labels fit a selector of the forms a=b, a!=b, a, !a, joined by commas."""
    for term in filter(None, (part.strip() for part in selector.split(","))):
        name, operator, value = re.match(r"(!?[^=!]+)(==|!=|=)?(.*)", term).groups()  # type: ignore[union-attr]
        if operator is None:
            fits = (name.removeprefix("!") in labels) is not name.startswith("!")
        else:
            fits = (labels.get(name.strip()) == value.strip()) is not (operator == "!=")
        if not fits:
            return False
    return True
