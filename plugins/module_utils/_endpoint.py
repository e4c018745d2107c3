# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pachd is, from what a cluster holds. PRIVATE to the collection: it may change at any time.

The functions that choose do no I/O. Names of services and ports are those of Pachyderm's chart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._errors import PachydermError
from ._kubernetes_pods import is_true

Item = Mapping[str, Any]

PROXY, PACHD, EXTERNAL = "pachyderm-proxy", "pachd", "pachd-lb"
METHODS = ("auto", "service", "node_port", "load_balancer", "ingress", "route", "port_forward")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of pachd. `method` says how it was found, `name` through which object."""

    method: str
    name: str
    host: str
    port: int
    tls: bool = False

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'grpcs' if self.tls else 'grpc'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the cluster: objects of one namespace, and the nodes."""

    services: tuple[Item, ...] = ()
    ingresses: tuple[Item, ...] = ()
    routes: tuple[Item, ...] = ()
    nodes: tuple[Item, ...] = ()
    in_cluster: bool = field(default=False)

    def service(self, *names: str) -> list[Item]:
        """Those of these names that there are, in this order."""
        by_name = {item["metadata"]["name"]: item for item in self.services}
        return [by_name[name] for name in names if name in by_name]


def candidates(found: Found, method: str) -> tuple[list[Endpoint], list[str]]:
    """(endpoints in the order in which they are tried, why the other ways are none)."""
    if method == "auto":
        # What was made to be reached from outside comes first.
        ways = ["route", "ingress", "load_balancer", "node_port", *(["service"] if found.in_cluster else [])]
    else:
        ways = [method]
    endpoints, reasons = [], []
    for way in ways:
        result = _WAYS[way](found)
        if isinstance(result, Endpoint):
            endpoints.append(result)
        else:
            reasons.append(result)
    return endpoints, reasons


def grpc_port(service: Item) -> tuple[Item, bool]:
    """(the port of a service that speaks gRPC, whether with TLS). Raises PachydermError."""
    ports = {entry.get("name"): entry for entry in service["spec"].get("ports") or []}
    for name, tls in (("https-port", True), ("api-grpc-port", False), ("http-port", False)):
        if name in ports:
            return ports[name], tls
    raise PachydermError(f"service {service['metadata']['name']} has no port of pachd's API")


def _service(found: Found) -> Endpoint | str:
    for service in found.service(PROXY, PACHD):
        port, tls = grpc_port(service)
        address = service["spec"].get("clusterIP")
        if address and address != "None":
            return Endpoint("service", service["metadata"]["name"], address, port["port"], tls)
    return f"service: none of {PROXY}, {PACHD} is there"


def _node_port(found: Found) -> Endpoint | str:
    for service in found.service(PROXY, PACHD):
        port, tls = grpc_port(service)
        if port.get("nodePort"):
            for kind in ("ExternalIP", "InternalIP"):
                for node in found.nodes:
                    address = _node_address(node, kind)
                    if address:
                        name = service["metadata"]["name"]
                        return Endpoint("node_port", name, address, port["nodePort"], tls)
            return "node_port: no ready node has an address"
    return "node_port: no service of that type"


def _node_address(node: Item, kind: str) -> str:
    given = node.get("status", {}).get("addresses") or []
    addresses = [entry["address"] for entry in given if entry["type"] == kind]
    return addresses[0] if is_true(node, "Ready") and addresses else ""


def _load_balancer(found: Found) -> Endpoint | str:
    waiting = []
    for service in found.service(PROXY, EXTERNAL, PACHD):
        if service["spec"].get("type") != "LoadBalancer":
            continue
        name = service["metadata"]["name"]
        host = _assigned(service)
        if host:
            port, tls = grpc_port(service)
            return Endpoint("load_balancer", name, host, port["port"], tls)
        waiting.append(name)
    return (
        f"load_balancer: service {waiting[0]} has no address yet; does this cluster assign any?"
        if waiting
        else "load_balancer: no service of that type"
    )


def _assigned(item: Item) -> str:
    given = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return given[0].get("ip") or given[0].get("hostname") or ""


def _ingress(found: Found) -> Endpoint | str:
    for item in found.ingresses:
        spec = item["spec"]
        with_tls = {host for entry in spec.get("tls") or [] for host in entry.get("hosts") or []}
        for rule in spec.get("rules") or []:
            paths = (rule.get("http") or {}).get("paths") or []
            names = {(entry["backend"].get("service") or {}).get("name") for entry in paths}
            host = rule.get("host") or _assigned(item)
            if names & {PROXY, PACHD} and host:
                tls = rule.get("host") in with_tls
                return Endpoint("ingress", item["metadata"]["name"], host, 443 if tls else 80, tls)
    return "ingress: none leads to Pachyderm"


def _route(found: Found) -> Endpoint | str:
    for item in found.routes:
        if item["spec"]["to"]["name"] not in (PROXY, PACHD):
            continue
        name = item["metadata"]["name"]
        admitted = [
            entry
            for entry in (item.get("status") or {}).get("ingress") or []
            if any(c["type"] == "Admitted" and c["status"] == "True" for c in entry.get("conditions") or [])
        ]
        if not admitted:
            return f"route: {name} is not admitted by a router"
        tls = bool(item["spec"].get("tls"))
        return Endpoint("route", name, admitted[0]["host"], 443 if tls else 80, tls)
    return "route: none leads to Pachyderm"


_WAYS: dict[str, Callable[[Found], Endpoint | str]] = {
    "service": _service,
    "node_port": _node_port,
    "load_balancer": _load_balancer,
    "ingress": _ingress,
    "route": _route,
}


def pod_port(service: Item, pods: Iterable[Item]) -> tuple[dict[str, str], int, bool]:
    """(labels, port, whether with TLS) of the pods behind a service, for a forward. Raises PachydermError."""
    port, tls = grpc_port(service)
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return dict(service["spec"]["selector"]), target, tls
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for entry in container.get("ports") or []:
                if entry.get("name") == target:
                    return dict(service["spec"]["selector"]), int(entry["containerPort"]), tls
    raise PachydermError(f"service {service['metadata']['name']}: no pod is behind it")
