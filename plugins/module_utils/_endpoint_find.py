# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of pachd in a cluster: look, choose, and if need be forward. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ._connection import Pachd
from ._endpoint import PACHD, PROXY, Endpoint, Found, candidates, pod_port
from ._endpoint_forward import Forward, Target, ready_pod
from ._errors import PachydermError
from ._kubernetes import Kubernetes
from ._kubernetes_pods import select
from ._options import ConnectionOptions
from ._plan import Action, Outcome, Plan
from ._progress import Progress
from ._sdk import sdk

_DIRECTORY = "~/.ansible/gpulab.pachyderm"
_POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# Seconds for a connection that shows whether an address is within reach.
_REACH = 3.0
_PAUSE = 1.0


def find(client: Kubernetes, params: Mapping[str, Any], _check: bool) -> Outcome:
    """A forward is no change: like a connection, it leaves nothing behind. Check mode opens it, too."""
    end = time.monotonic() + params["wait"]
    progress = Progress("pachd's address")
    while True:
        try:
            endpoint, started = _endpoint(client, params)
        except PachydermError as error:
            # An address that is yet to be assigned, a pod that is not ready.
            if time.monotonic() + _PAUSE > end:
                raise
            progress.tell(partial(dict, note=str(error)))
            time.sleep(_PAUSE)
        else:
            break
    values = {
        "address": endpoint.address,
        "method": endpoint.method,
        "name": endpoint.name,
        "host": endpoint.host,
        "port": endpoint.port,
        "tls": endpoint.tls,
        "started": started,
    }
    if params["wait"]:
        values["version"] = _version(endpoint, params["pachd_ca_cert"], max(end - time.monotonic(), 1.0))
    return Outcome(None, values)


def end_forward(client: Kubernetes, params: Mapping[str, Any], check: bool) -> Outcome:
    forward = _forward(client, params)
    running = forward.port() is not None if check else forward.stop()
    actions = (Action("end", "port forward", params["namespace"], {"running": True}),) if running else ()
    return Outcome(Plan(actions))


def _endpoint(client: Kubernetes, params: Mapping[str, Any]) -> tuple[Endpoint, bool]:
    """(the endpoint, whether a forward was started for it). Raises PachydermError."""
    method, namespace = params["method"], params["namespace"]
    services = client.list(f"/api/v1/namespaces/{namespace}/services")
    if not services:
        raise PachydermError(f"namespace {namespace} has no services; is Pachyderm installed there?")
    if method != "port_forward":
        found = _look(client, namespace, method, services)
        endpoints, reasons = candidates(found, method)
        if method != "auto":
            if endpoints:
                return endpoints[0], False
            raise PachydermError(f"namespace {namespace}: {'; '.join(reasons)}")
        for endpoint in endpoints:
            if _reachable(endpoint):
                return endpoint, False
    return _forwarded(client, params, Found(services=tuple(services)))


def _look(client: Kubernetes, namespace: str, method: str, services: list[dict[str, Any]]) -> Found:
    """Only what the method needs: somebody may be permitted to see no more."""

    def items(way: str, path: str) -> tuple[dict[str, Any], ...]:
        return tuple(client.list(path)) if method in ("auto", way) else ()

    wants_nodes = method == "node_port" or any(item["spec"].get("type") == "NodePort" for item in services)
    has_routes = method in ("auto", "route") and client.has_kind("route.openshift.io/v1", "Route")
    return Found(
        services=tuple(services),
        ingresses=items("ingress", f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"),
        routes=tuple(client.list(f"/apis/route.openshift.io/v1/namespaces/{namespace}/routes"))
        if has_routes
        else (),
        nodes=items("node_port", "/api/v1/nodes") if wants_nodes else (),
        in_cluster=_POD_TOKEN.exists(),
    )


def _reachable(endpoint: Endpoint) -> bool:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=_REACH):
            return True
    except OSError:
        return False


def _forwarded(client: Kubernetes, params: Mapping[str, Any], found: Found) -> tuple[Endpoint, bool]:
    namespace = params["namespace"]
    services = found.service(PROXY, PACHD)
    if not services:
        raise PachydermError(f"namespace {namespace} has neither service {PROXY} nor {PACHD}")
    selector = select(services[0]["spec"]["selector"])
    pods = client.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
    labels, port, tls = pod_port(services[0], pods)
    target = Target(namespace, labels, port)
    forward = _forward(client, params)
    listens = forward.port()
    started = listens is None
    if listens is None:
        ready_pod(client, target)
        listens = forward.start(params, target, params["port"], params["lifetime"])
    return Endpoint("port_forward", services[0]["metadata"]["name"], "127.0.0.1", listens, tls), started


def _forward(client: Kubernetes, params: Mapping[str, Any]) -> Forward:
    """Each cluster and namespace has its own, whoever asks."""
    key = hashlib.sha256(f"{client.host} {params['namespace']}".encode()).hexdigest()[:16]
    return Forward(Path(os.path.expanduser(_DIRECTORY)) / f"forward-{key}.json")


def _version(endpoint: Endpoint, ca_cert: str | None, seconds: float) -> str:
    """What pachd itself says. Raises PachydermError if it does not answer in time."""
    options = ConnectionOptions.parse(
        {"pachd_address": endpoint.address, "auth_token": None, "ca_cert": ca_cert, "timeout": seconds}
    )
    with Pachd(options) as pachd:
        version = sdk().version.ApiStub(pachd.calls).get_version()
    return f"{version.major}.{version.minor}.{version.micro}{version.additional}"
