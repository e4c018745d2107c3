# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that pods wait for, for who watches. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._kubernetes import Kubernetes, KubernetesError, UnreachableError
from ._kubernetes_pods import is_on_the_way, last_warning


def pulling(client: Kubernetes, namespace: str, pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """What nodes say of pods that wait for an image, which is no state of a pod's own."""
    waiting = [pod for pod in pods if is_on_the_way(pod)]
    try:
        path = f"/api/v1/namespaces/{namespace}/events"
        events = client.list(path, fieldSelector="reason=Pulling") if waiting else []
    except (KubernetesError, UnreachableError):
        return []  # it is restarting, or this user may not read events
    said = [(pod["metadata"]["name"], last_warning(pod, events).partition(": ")[2]) for pod in waiting]
    return [f"pod {name}: {text}" for name, text in said if text]
