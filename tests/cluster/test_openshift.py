# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenShift's kinds, by definitions of our own: what the role makes of them, what the module finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.clusters import Cluster
from tests.cluster.pachyderm import FILES, Lab, installed
from tests.cluster.runs import changed, refused, result

pytestmark = pytest.mark.slow

NAMESPACE = "test-openshift"
KINDS = FILES / "openshift.yml"
TLS = {"pachyderm_tls_certificate": "CERTIFICATE", "pachyderm_tls_key": "PRIVATE-KEY-OF-THE-TEST"}
# The chart for tests serves no TLS, and nobody routes: it is the objects that count here.
ROUTED: dict[str, Any] = {
    "pachyderm_proxy": True,
    "pachyderm_service_type": "ClusterIP",
    "pachyderm_route": True,
    "pachyderm_route_host": "pachyderm.apps.example.com",
    "pachyderm_endpoint_method": "none",
    **TLS,
}


def constraints(name: str, allowed: bool) -> str:
    return json.dumps(
        {
            "apiVersion": "security.openshift.io/v1",
            "kind": "SecurityContextConstraints",
            "metadata": {"name": name},
            "allowHostDirVolumePlugin": allowed,
        }
    )


@pytest.fixture(scope="module")
def lab(cluster: Cluster) -> Iterator[Lab]:
    with installed(cluster, NAMESPACE) as lab:
        yield lab


@pytest.fixture(scope="module")
def openshift(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("openshift")
    lab.cluster.kubectl("apply", "--filename", str(KINDS))
    lab.cluster.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    for name, allowed in (("hostmount-anyuid", True), ("anyuid", False)):
        (directory / name).write_text(constraints(name, allowed))
        lab.cluster.kubectl("apply", "--filename", str(directory / name))
    try:
        yield lab
    finally:
        lab.cluster.kubectl("delete", "--filename", str(KINDS), "--timeout=60s")


def test_a_route_without_the_kind_is_refused(lab: Lab) -> None:
    assert "pachyderm_route: this cluster has no routes" in refused(lab.play("--check", **ROUTED))


def test_constraints_that_are_not_there(openshift: Lab) -> None:
    assert "no SecurityContextConstraints mine" in refused(
        openshift.play("--check", pachyderm_openshift_scc="mine")
    )


def test_constraints_that_allow_no_directory_of_the_host(openshift: Lab) -> None:
    assert "anyuid allows no directories" in refused(
        openshift.play("--check", pachyderm_openshift_scc="anyuid")
    )


def test_binding_and_route(openshift: Lab) -> None:
    told = result(run := openshift.play("--diff", **ROUTED))
    assert told["release"]["openshift_scc"] == "hostmount-anyuid"
    assert TLS["pachyderm_tls_key"] not in run.output
    (binding,) = openshift.get("rolebinding", "gpulab-pachyderm-scc-hostmount-anyuid")
    assert binding["roleRef"]["name"] == "system:openshift:scc:hostmount-anyuid"
    assert {subject["name"] for subject in binding["subjects"]} == {
        "default",
        "pachyderm",
        "pachyderm-worker",
    }
    (route,) = openshift.get("route", "pachyderm")
    assert route["spec"] == {
        "host": "pachyderm.apps.example.com",
        "to": {"kind": "Service", "name": "pachyderm-proxy"},
        "port": {"targetPort": "https-port"},
        "tls": {"termination": "passthrough"},
    }
    values = json.loads(openshift.helm("get", "values", "pachyderm", "--output", "json").stdout)
    assert values["global"]["securityContexts"] == {"enabled": False}
    assert changed(openshift.play(**ROUTED)) == []


def test_the_endpoint_is_the_route_once_a_router_admits_it(openshift: Lab) -> None:
    assert "is not admitted by a router" in refused(openshift.endpoint(test_method="route", test_wait=0))
    condition = {"type": "Admitted", "status": "True"}
    status = {"ingress": [{"host": "pachyderm.apps.example.com", "conditions": [condition]}]}
    openshift.kubectl(
        *("patch", "route", "pachyderm", "--subresource=status", "--type=merge"),
        *("--patch", json.dumps({"status": status})),
    )
    told = result(openshift.endpoint(test_method="route", test_wait=0))
    assert told["address"] == "grpcs://pachyderm.apps.example.com:443"


def test_absent_takes_them_away(openshift: Lab) -> None:
    result(openshift.play(pachyderm_state="absent"))
    assert openshift.get("rolebindings", "--selector", "app.kubernetes.io/managed-by=gpulab.pachyderm") == []
    assert openshift.get("routes") == []
    assert [item["metadata"]["name"] for item in openshift.get("secrets")] == ["gpulab-pachyderm"]
