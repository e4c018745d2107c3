# SPDX-License-Identifier: GPL-3.0-or-later
"""Single facts about nodes and device plugins. No I/O. PRIVATE: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._kubernetes_pods import Object


def images(item: Object) -> list[str]:
    return [container["image"] for container in item["spec"]["template"]["spec"]["containers"]]


def is_plugin(item: Object) -> bool:
    """By what NVIDIA's manifests, its operator and others call it."""
    names = [item["metadata"]["name"], *images(item)]
    return any("nvidia-device-plugin" in name or "k8s-device-plugin" in name for name in names)


def is_mps(item: Object) -> bool:
    """The chart's daemon for MPS has the plugin's labels and lends nothing."""
    return "-mps-control-daemon" in item["metadata"]["name"]


def plugin(item: Object) -> dict[str, Any]:
    metadata = item["metadata"]
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "managed_by": labels(item).get("app.kubernetes.io/managed-by"),
        "release": (metadata.get("annotations") or {}).get("meta.helm.sh/release-name"),
        "images": images(item),
    }


def labels(item: Object) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def node_of(pod: Object) -> str:
    """Its node; of one that is not placed yet, that which its DaemonSet made it for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for rule in term.get("matchFields") or []:
            if rule["key"] == "metadata.name":
                return str(rule["values"][0])
    return ""


def totals(nodes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Sums over nodes; `free` counts only those that take pods now."""
    total: dict[str, dict[str, int]] = {}
    for node in nodes:
        for name, entry in node["gpus"].items():
            own = total.setdefault(name, dict.fromkeys(("capacity", "allocatable", "requested", "free"), 0))
            for key, number in entry.items():
                own[key] += number
            if node["ready"] and node["schedulable"]:
                own["free"] += max(entry["allocatable"] - entry["requested"], 0)
    return total
