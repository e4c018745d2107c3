# SPDX-License-Identifier: GPL-3.0-or-later
"""What is removed with a release of Pachyderm, and what stays. PRIVATE to the collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ._chart_objects import ROUTE, ROUTE_API, ROUTE_KIND
from ._chart_pins import SECRET
from ._chart_plan import Release
from ._chart_values import TLS_SECRET
from ._kubernetes import Kubernetes
from ._kubernetes_objects_plan import MANAGER
from ._plan import Action

# pachd makes these itself, one set for each pipeline: helm does not know them, and workers would keep
# their GPUs.
_WORKERS = "suite=pachyderm,component=worker"
_WORKER_KINDS = (("ReplicationController", "replicationcontrollers"), ("Service", "services"))
# pachd's own as well.
_PACHD_SECRET = "pachyderm-pjs-worker-authentication"
_CLAIMS = "suite=pachyderm"


def actions(client: Kubernetes, namespace: str, release: Release | None, delete_data: bool) -> list[Action]:
    """In the order in which they are carried out; `item` is the path of what is deleted."""
    within = client.find(f"/api/v1/namespaces/{namespace}")
    if within is None:
        return []
    found: list[Action] = []
    if release is not None and release.status != "uninstalled":
        found.append(Action("uninstall", "release", release.name, {"chart": release.version}, None))
    found += _workers(client, namespace)
    found += _beside(client, namespace)
    if delete_data:
        found += _data(client, namespace)
        # Only one that this collection made.
        if _is_ours(within):
            found.append(_delete("Namespace", namespace, f"/api/v1/namespaces/{namespace}"))
    return found


def kept(client: Kubernetes, namespace: str, delete_data: bool) -> list[str]:
    """What stays, in words: for a message."""
    if delete_data:
        return []
    base = f"/api/v1/namespaces/{namespace}"
    claims = client.list(f"{base}/persistentvolumeclaims", labelSelector=_CLAIMS)
    names = [f"volume claim {item['metadata']['name']}" for item in claims]
    return names + ([f"secret {SECRET}"] if client.find(f"{base}/secrets/{SECRET}") else [])


def _workers(client: Kubernetes, namespace: str) -> Iterator[Action]:
    for kind, plural in _WORKER_KINDS:
        path = f"/api/v1/namespaces/{namespace}/{plural}"
        for item in client.list(path, labelSelector=_WORKERS):
            name = item["metadata"]["name"]
            yield _delete(kind, name, f"{path}/{name}")


def _beside(client: Kubernetes, namespace: str) -> Iterator[Action]:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    if client.find(f"{secrets}/{TLS_SECRET}"):
        yield _delete("Secret", TLS_SECRET, f"{secrets}/{TLS_SECRET}")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    for item in client.list(bindings, labelSelector=f"app.kubernetes.io/managed-by={MANAGER}"):
        name = item["metadata"]["name"]
        yield _delete("RoleBinding", name, f"{bindings}/{name}")
    if client.has_kind(ROUTE_API, ROUTE_KIND):
        path = f"/apis/{ROUTE_API}/namespaces/{namespace}/routes/{ROUTE}"
        if _is_ours(client.find(path)):
            yield _delete(ROUTE_KIND, ROUTE, path)


def _is_ours(item: Mapping[str, Any] | None) -> bool:
    labels = ((item or {}).get("metadata") or {}).get("labels") or {}
    return bool(labels.get("app.kubernetes.io/managed-by") == MANAGER)


def _data(client: Kubernetes, namespace: str) -> Iterator[Action]:
    base = f"/api/v1/namespaces/{namespace}"
    for item in client.list(f"{base}/persistentvolumeclaims", labelSelector=_CLAIMS):
        name = item["metadata"]["name"]
        yield _delete("PersistentVolumeClaim", name, f"{base}/persistentvolumeclaims/{name}")
    for name in (SECRET, _PACHD_SECRET):
        if client.find(f"{base}/secrets/{name}"):
            yield _delete("Secret", name, f"{base}/secrets/{name}")


def _delete(kind: str, name: str, path: str) -> Action:
    return Action("delete", kind, name, {"name": name}, None, path)
