# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address is chosen from what a cluster holds."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._endpoint import (
    Found,
    candidates,
    grpc_port,
    pod_port,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError

HTTP = {"name": "http-port", "port": 80, "targetPort": "http-port"}
HTTPS = {"name": "https-port", "port": 443, "targetPort": "https-port"}
GRPC = {"name": "api-grpc-port", "port": 30650, "targetPort": "api-grpc-port"}


def service(name: str, *ports: dict[str, Any], type_: str = "ClusterIP", given: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {
            "type": type_,
            "clusterIP": "10.96.0.7",
            "ports": list(ports),
            "selector": {"app": name},
        },
        "status": {"loadBalancer": {"ingress": [{"ip": given}] if given else []}},
    }


def node(ready: str = "True", **addresses: str) -> dict[str, Any]:
    return {
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": kind, "address": address} for kind, address in addresses.items()],
        }
    }


def ingress(host: str = "p.example.com", tls: bool = False, to: str = "pachyderm-proxy") -> dict[str, Any]:
    return {
        "metadata": {"name": "pachyderm-proxy"},
        "spec": {
            "tls": [{"hosts": [host]}] if tls else [],
            "rules": [{"host": host, "http": {"paths": [{"backend": {"service": {"name": to}}}]}}],
        },
    }


def route(admitted: str = "True", tls: bool = True) -> dict[str, Any]:
    condition = {"type": "Admitted", "status": admitted}
    return {
        "metadata": {"name": "pachyderm"},
        "spec": {
            "to": {"kind": "Service", "name": "pachyderm-proxy"},
            **({"tls": {"termination": "passthrough"}} if tls else {}),
        },
        "status": {"ingress": [{"host": "p.apps.example.com", "conditions": [condition]}]},
    }


PACHD = service("pachd", GRPC)
PROXY = service("pachyderm-proxy", HTTP)
SECURE = service("pachyderm-proxy", HTTP, HTTPS)


@pytest.mark.parametrize(
    ("method", "found", "address"),
    [
        ("service", {"services": (PACHD,)}, "grpc://10.96.0.7:30650"),
        # The proxy is what is meant to be reached, where there is one.
        ("service", {"services": (PACHD, PROXY)}, "grpc://10.96.0.7:80"),
        ("service", {"services": (PACHD, SECURE)}, "grpcs://10.96.0.7:443"),
        (
            "node_port",
            {
                "services": (service("pachd", {**GRPC, "nodePort": 30650}, type_="NodePort"),),
                "nodes": (node("False", InternalIP="10.0.0.1"), node(InternalIP="10.0.0.2")),
            },
            "grpc://10.0.0.2:30650",
        ),
        (
            "node_port",
            {
                "services": (
                    service("pachyderm-proxy", {**HTTPS, "nodePort": 30443}, type_="NodePort"),
                    PACHD,
                ),
                "nodes": (node(InternalIP="10.0.0.2"), node(InternalIP="10.0.0.3", ExternalIP="192.0.2.3")),
            },
            "grpcs://192.0.2.3:30443",
        ),
        (
            "load_balancer",
            {"services": (service("pachyderm-proxy", HTTP, type_="LoadBalancer", given="192.0.2.9"),)},
            "grpc://192.0.2.9:80",
        ),
        (
            "load_balancer",
            {"services": (PROXY, service("pachd-lb", GRPC, type_="LoadBalancer", given="2001:db8::9"))},
            "grpc://[2001:db8::9]:30650",
        ),
        ("ingress", {"ingresses": (ingress(),)}, "grpc://p.example.com:80"),
        ("ingress", {"ingresses": (ingress(tls=True),)}, "grpcs://p.example.com:443"),
        ("route", {"routes": (route(),)}, "grpcs://p.apps.example.com:443"),
        ("route", {"routes": (route(tls=False),)}, "grpc://p.apps.example.com:80"),
    ],
)
def test_methods(method: str, found: dict[str, Any], address: str) -> None:
    endpoints, reasons = candidates(Found(**found), method)
    assert [endpoint.address for endpoint in endpoints] == [address]
    assert reasons == []
    assert endpoints[0].method == method


@pytest.mark.parametrize(
    ("method", "found", "reason"),
    [
        ("service", {}, "none of pachyderm-proxy, pachd is there"),
        ("node_port", {"services": (PACHD,)}, "no service of that type"),
        (
            "node_port",
            {"services": (service("pachd", {**GRPC, "nodePort": 30650}),), "nodes": (node("Unknown"),)},
            "no ready node",
        ),
        ("load_balancer", {"services": (PROXY,)}, "no service of that type"),
        (
            "load_balancer",
            {"services": (service("pachyderm-proxy", HTTP, type_="LoadBalancer"),)},
            "has no address yet",
        ),
        ("ingress", {"ingresses": (ingress(to="other"),)}, "none leads to Pachyderm"),
        ("route", {"routes": (route(admitted="False"),)}, "not admitted"),
    ],
)
def test_why_there_is_none(method: str, found: dict[str, Any], reason: str) -> None:
    endpoints, reasons = candidates(Found(**found), method)
    assert endpoints == []
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_auto_takes_what_is_made_to_be_reached_from_outside_first() -> None:
    balanced = service(
        "pachyderm-proxy", {**HTTP, "nodePort": 30080}, type_="LoadBalancer", given="192.0.2.9"
    )
    found = Found(
        (PACHD, balanced), (ingress(),), (route(),), (node(InternalIP="10.0.0.2"),), in_cluster=True
    )
    order = [endpoint.method for endpoint in candidates(found, "auto")[0]]
    assert order == ["route", "ingress", "load_balancer", "node_port", "service"]
    # From outside of the cluster its own addresses lead nowhere.
    assert [e.method for e in candidates(Found((PACHD,)), "auto")[0]] == []


def test_a_service_without_a_port_of_the_api() -> None:
    with pytest.raises(PachydermError, match="no port of pachd's API"):
        grpc_port(service("pachd", {"name": "s3", "port": 1}))


def test_the_port_of_a_pod_behind_a_named_one() -> None:
    pod = {"spec": {"containers": [{"ports": [{"name": "api-grpc-port", "containerPort": 1650}]}]}}
    assert pod_port(PACHD, [pod]) == ({"app": "pachd"}, 1650, False)
    assert pod_port(service("pachd", {**GRPC, "targetPort": 1650}), []) == ({"app": "pachd"}, 1650, False)
    with pytest.raises(PachydermError, match="no pod is behind it"):
        pod_port(PACHD, [])
