# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role puts beside the chart: namespace, secrets, and on OpenShift a role binding and a route.

PRIVATE to the collection: it may change at any time. No I/O.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ._chart_pins import SECRET
from ._chart_settings import Settings
from ._chart_values import TLS_SECRET
from ._kubernetes_objects_plan import MANAGER

Object = dict[str, Any]

SCC_API, SCC_KIND = "security.openshift.io/v1", "SecurityContextConstraints"
ROUTE_API, ROUTE_KIND = "route.openshift.io/v1", "Route"
ROUTE = "pachyderm"
# The chart's own, and that of the pods that name none (etcd, PostgreSQL, pgbouncer, the proxy).
_ACCOUNTS = ("default", "pachyderm", "pachyderm-worker")
# By which what is ours is found again.
_LABELS = {"app.kubernetes.io/managed-by": MANAGER}


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(_LABELS)}}


def secret(name: str, within: str, data: Mapping[str, str], type_: str = "Opaque") -> Object:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in sorted(data.items())}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(name, within),
        "type": type_,
        "data": encoded,
    }


def before_release(settings: Settings, pins: Mapping[str, str], within: str) -> list[Object]:
    """What has to be there before the chart. The pins come first: a run that is killed must not lose them."""
    found = [namespace(within), secret(SECRET, within, pins)]
    if settings.tls_certificate:
        pair = {"tls.crt": settings.tls_certificate, "tls.key": settings.tls_key}
        found.append(secret(TLS_SECRET, within, pair, "kubernetes.io/tls"))
    if settings.openshift_scc:
        found.append(scc_binding(settings.openshift_scc, within))
    return found


def after_release(settings: Settings, within: str) -> list[Object]:
    return [route(settings.route_host, within)] if settings.route else []


def scc_binding(scc: str, within: str) -> Object:
    """Lets the chart's service accounts use a SecurityContextConstraints.

    The role of a binding cannot be changed, so its name holds that of the constraints.
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(f"gpulab-pachyderm-scc-{scc}", within),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            # OpenShift makes this role for each of its SecurityContextConstraints.
            "name": f"system:openshift:scc:{scc}",
        },
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": within} for name in _ACCOUNTS],
    }


def route(host: str, within: str) -> Object:
    """To the proxy. The router speaks no HTTP/2 without TLS, so TLS ends at the proxy."""
    return {
        "apiVersion": ROUTE_API,
        "kind": ROUTE_KIND,
        "metadata": _metadata(ROUTE, within),
        "spec": {
            **({"host": host} if host else {}),
            "to": {"kind": "Service", "name": "pachyderm-proxy"},
            "port": {"targetPort": "https-port"},
            "tls": {"termination": "passthrough"},
        },
    }


def _metadata(name: str, within: str) -> Object:
    return {"name": name, "namespace": within, "labels": dict(_LABELS)}
