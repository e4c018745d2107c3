# SPDX-License-Identifier: GPL-3.0-or-later
"""What lists of nodes, pods and DaemonSets say about GPUs. No I/O. PRIVATE: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from . import _kubernetes_pods as rules
from ._errors import one_line
from ._gpu_capacity_facts import is_mps, is_plugin, labels, node_of, plugin, totals
from ._kubernetes_pods import Object, condition, is_ready, is_true, quantity, select, trouble

# Of which template of a DaemonSet a pod is.
_TEMPLATE = "deprecated.daemonset.template.generation"
_POD_TEMPLATE = "pod-template-generation"
# What NVIDIA's plugin logs where it finds no GPU, and goes on to wait.
_FINDS_NONE = re.compile(r"NVML|libnvidia|driver|no devices found|incompatible", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`resource` is a name or a pattern; `plugin` the labels of the plugin's pods and DaemonSets."""

    resource: str
    plugin: Mapping[str, str]
    nodes: tuple[str, ...] = ()
    selector: str | None = None
    minimum: int = 1


@dataclass(frozen=True)
class View:
    """One look at a cluster. `events` and `logs` are there only when something is missing."""

    wanted: Wanted
    nodes: Sequence[Object]
    pods: Sequence[Object]
    all_sets: Sequence[Object]
    events: Sequence[Object] = ()
    logs: Mapping[str, str] = field(default_factory=dict)

    def explained(self, events: Sequence[Object], logs: Mapping[str, str]) -> View:
        return replace(self, events=events, logs=logs)

    @cached_property
    def by_name(self) -> dict[str, Object]:
        return {node["metadata"]["name"]: node for node in self.nodes}

    @cached_property
    def wanted_names(self) -> list[str]:
        """Nodes that must lend GPUs: those named, and those that the selector matches."""
        names = list(self.wanted.nodes)
        if self.wanted.selector:
            names += [
                name
                for name, node in self.by_name.items()
                if rules.matches(labels(node), self.wanted.selector)
            ]
            # A selector that matches nothing is as wrong as a name that is no node's.
            names = names or [self.wanted.selector]
        return list(dict.fromkeys(names))

    @cached_property
    def missing(self) -> list[str]:
        """Of those, the ones that do not."""
        return [name for name in self.wanted_names if not self._lends(name)]

    @property
    def expected(self) -> int:
        return len(self.wanted_names)

    @cached_property
    def plugin_pods(self) -> dict[str, Object]:
        """The plugin's pod of each node; the newer one while it is being replaced."""
        found: dict[str, Object] = {}
        plugins = [
            pod for pod in self.pods if self.wanted.plugin.items() <= labels(pod).items() and not is_mps(pod)
        ]
        for pod in sorted(plugins, key=lambda pod: pod["metadata"].get("creationTimestamp") or ""):
            found[node_of(pod)] = pod
        return found

    @cached_property
    def sets(self) -> list[Object]:
        """The DaemonSets of the wanted plugin."""
        return [
            item
            for item in self.all_sets
            if self.wanted.plugin.items() <= labels(item).items() and not is_mps(item)
        ]

    @cached_property
    def plugin_namespaces(self) -> list[str]:
        places = [*self.plugin_pods.values(), *self.sets]
        return sorted({item["metadata"]["namespace"] for item in places})

    @cached_property
    def requested(self) -> dict[str, dict[str, int]]:
        """What the pods of each node reserve, by resource."""
        total: dict[str, dict[str, int]] = {}
        for pod in self.pods:
            node = pod["spec"].get("nodeName")
            if node:
                own = total.setdefault(node, {})
                for name, number in self._gpus_of(pod).items():
                    own[name] = own.get(name, 0) + number
        return total

    def result(self) -> dict[str, Any]:
        """The module's return values."""
        nodes = [self._shown(name) for name in self.by_name if self._counts(name)]
        return {
            "nodes": nodes,
            "totals": totals(nodes),
            "pending": self._pending(),
            "plugins": [plugin(item) for item in self.all_sets if is_plugin(item) or item in self.sets],
            "missing": [{"name": name, "reason": self._reason(name)} for name in self.missing],
        }

    def gpus(self, name: str) -> dict[str, dict[str, int]]:
        """Capacity, allocatable and requested of each matching resource of a node."""
        status = self.by_name[name].get("status", {})
        allocatable, capacity = (status.get(key) or {} for key in ("allocatable", "capacity"))
        asked = self.requested.get(name, {})
        names = sorted(key for key in {*capacity, *asked} if fnmatchcase(key, self.wanted.resource))
        return {
            key: {
                "capacity": quantity(capacity.get(key, 0)),
                "allocatable": quantity(allocatable.get(key, 0)),
                "requested": asked.get(key, 0),
            }
            for key in names
        }

    def _gpus_of(self, pod: Object) -> dict[str, int]:
        return {
            name: n
            for name, n in rules.requests(pod).items()
            if n and fnmatchcase(name, self.wanted.resource)
        }

    def _counts(self, name: str) -> bool:
        """Whether a node has to do with GPUs at all."""
        return name in self.wanted_names or name in self.plugin_pods or bool(self.gpus(name))

    def _lends(self, name: str) -> bool:
        return self._too_few(name) is False and not self._unwell(name)

    def _too_few(self, name: str) -> bool:
        if name not in self.by_name:
            return True
        return sum(entry["allocatable"] for entry in self.gpus(name).values()) < self.wanted.minimum

    def _unwell(self, name: str) -> str:
        """Why a node or its plugin cannot be relied on, whatever it still reports; "" if they can."""
        node = self.by_name[name]
        pod = self.plugin_pods.get(name)
        if not is_true(node, "Ready"):
            state = condition(node, "Ready")
            return one_line(f"node is NotReady: {state.get('reason', 'unknown')}: {state.get('message', '')}")
        if pod is None and self.sets:
            # What is still allocatable is of a plugin that has just gone.
            return self._unplaced(node)
        if pod is not None and not is_ready(pod):
            why = trouble(pod, self.events) or "no reason is known yet"
            return f"device plugin pod {pod['metadata']['name']} is not ready: {why}"
        if pod is not None and self._outdated(pod):
            return f"device plugin pod {pod['metadata']['name']} is not replaced by its new version yet"
        return ""

    def _outdated(self, pod: Object) -> bool:
        for item in self.sets:
            metadata = item["metadata"]
            owners = pod["metadata"].get("ownerReferences") or []
            if metadata.get("uid") in [owner.get("uid") for owner in owners]:
                template = (metadata.get("annotations") or {}).get(_TEMPLATE)
                unseen = item.get("status", {}).get("observedGeneration", 0) < metadata.get("generation", 0)
                return unseen or template != labels(pod).get(_POD_TEMPLATE, template)
        return False

    def _shown(self, name: str) -> dict[str, Any]:
        node, pod = self.by_name[name], self.plugin_pods.get(name)
        handlers = node.get("status", {}).get("runtimeHandlers")
        return {
            "name": name,
            "ready": is_true(node, "Ready"),
            "schedulable": not node.get("spec", {}).get("unschedulable", False),
            "gpus": self.gpus(name),
            "labels": {key: text for key, text in labels(node).items() if key.startswith("nvidia.com/")},
            # containerd tells them from release 2 on.
            "runtime_handlers": handlers and [entry.get("name", "") for entry in handlers],
            "plugin": pod
            and {
                "namespace": pod["metadata"]["namespace"],
                "pod": pod["metadata"]["name"],
                "ready": is_ready(pod),
                "reason": trouble(pod, self.events) or None,
            },
            "reason": self._reason(name) if name in self.missing else None,
        }

    def _reason(self, name: str) -> str:
        node = self.by_name.get(name)
        if node is None:
            return "no node matches" if name == self.wanted.selector else "is no node of this cluster"
        unwell = self._unwell(name)
        if unwell:
            return unwell + (self._said(name) if name in self.plugin_pods else "")
        if name not in self.plugin_pods:
            return self._unplaced(node)
        pod, least = self.plugin_pods[name]["metadata"]["name"], self.wanted.minimum
        lent = sum(entry["allocatable"] for entry in self.gpus(name).values())
        return (
            f"device plugin pod {pod} runs and offers {lent} of at least {least}{self._said(name)}"
            "; is the driver loaded, and does the pod run with NVIDIA's runtime?"
        )

    def _said(self, name: str) -> str:
        """What the plugin's log says of the driver; of one that keeps ending, its last line."""
        pod = self.plugin_pods[name]
        lines = self.logs.get(pod["metadata"]["name"], "").splitlines()
        telling = [line for line in lines if _FINDS_NONE.search(line)] or ([] if is_ready(pod) else lines)
        return f", its log says: {one_line(telling[-1])}" if telling else ""

    def _unplaced(self, node: Object) -> str:
        """Why no plugin's pod is on a node."""
        if not self.sets:
            return f"no device plugin is installed (no DaemonSet with {select(self.wanted.plugin)})"
        spec = self.sets[0]["spec"]["template"]["spec"]
        here = "the device plugin does not run here:"
        for name, value in (spec.get("nodeSelector") or {}).items():
            if labels(node).get(name) != value:
                return f"{here} the node lacks the label {name}={value} of its selector"
        for taint in node.get("spec", {}).get("taints") or []:
            if taint["effect"] != "PreferNoSchedule" and not rules.tolerates(spec, taint):
                mark = f"{taint['key']}={taint.get('value', '')}".rstrip("=")
                return f"{here} it does not tolerate the taint {mark}:{taint['effect']}"
        if (spec.get("affinity") or {}).get("nodeAffinity"):
            return f"{here} the node does not fit the plugin's node affinity"
        return "the device plugin has no pod here yet"

    def _pending(self) -> list[dict[str, Any]]:
        """Pods that wait for a node with GPUs, with the scheduler's words."""
        waiting = [pod for pod in self.pods if not pod["spec"].get("nodeName") and self._gpus_of(pod)]
        return [
            {
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "gpus": self._gpus_of(pod),
                "reason": rules.unscheduled(pod),
            }
            for pod in waiting
        ]


def needs_log(view: View) -> list[Object]:
    """The plugin's pods that run, or ran, on nodes which lack GPUs all the same."""
    pods = [view.plugin_pods[name] for name in view.missing if name in view.plugin_pods]
    return [pod for pod in pods if is_ready(pod) or rules.restarts(pod)]
