# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_endpoint on a real Kubernetes: every address that it gives is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api import writes
from tests.cluster.clusters import Cluster, until
from tests.cluster.pachyderm import Lab, installed
from tests.cluster.runs import changed, refused, result

pytestmark = pytest.mark.slow

NAMESPACE = "test-endpoint"


@pytest.fixture(scope="module")
def lab(cluster: Cluster) -> Iterator[Lab]:
    with installed(cluster, NAMESPACE) as lab:
        # An ingress that no controller serves, and a proxy: more ways than one.
        values = {"ingress": {"enabled": True, "host": "pachyderm.example.com"}}
        run = lab.play(
            values=values,
            pachyderm_proxy=True,
            pachyderm_proxy_service_type="NodePort",
            pachyderm_proxy_http_node_port=31080,
            pachyderm_service_type="ClusterIP",
        )
        assert run.status == 0, run.output
        yield lab


def test_auto_takes_what_answers(lab: Lab) -> None:
    """The ingress leads nowhere from here, so it is passed over."""
    told = result(lab.endpoint(test_use=True))
    assert (told["method"], told["port"]) == ("node_port", 31080)
    assert told["version"].startswith("2.12.")


def test_what_it_is_told_to_find(lab: Lab) -> None:
    told = result(lab.endpoint(test_method="ingress", test_wait=0))
    assert told["address"] == "grpc://pachyderm.example.com:80"
    told = result(lab.endpoint(test_method="service", test_wait=0))
    assert (told["name"], told["port"]) == ("pachyderm-proxy", 80)
    assert told["host"] == lab.get("service", "pachyderm-proxy")[0]["spec"]["clusterIP"]


def test_what_is_not_there(lab: Lab) -> None:
    assert "load_balancer: no service of that type" in refused(
        lab.endpoint(test_method="load_balancer", test_wait=0)
    )
    assert "this cluster" not in refused(lab.endpoint(test_method="route", test_wait=0))
    assert "has no services" in refused(lab.endpoint(test_namespace="nobodys", test_wait=0))


def test_a_forward_is_kept_open_taken_again_and_ended(lab: Lab) -> None:
    with lab.cluster.audited() as requests:
        first = result(lab.endpoint("--check", test_method="port_forward"))
        second = result(run := lab.endpoint(test_method="port_forward", test_use=True))
    assert first["started"] is True
    assert second["started"] is False
    assert first["address"] == second["address"]
    assert first["host"] == "127.0.0.1"
    assert not [task for task in changed(run) if task == "Find pachd"]
    assert writes(requests) == []
    assert changed(lab.endpoint("--check", test_state="absent")) == ["Find pachd"]
    assert changed(lab.endpoint(test_state="absent")) == ["Find pachd"]
    assert changed(lab.endpoint(test_state="absent")) == []


def test_a_forward_survives_that_the_pod_is_replaced(lab: Lab) -> None:
    before = result(lab.endpoint(test_method="port_forward"))
    lab.kubectl("delete", "pod", "--selector", "app=pachd", "--wait=true", "--timeout=60s")
    lab.kubectl("wait", "pod", "--selector", "app=pachd", "--for=condition=Ready", "--timeout=90s")
    after = result(lab.endpoint(test_method="port_forward", test_use=True))
    assert after["address"] == before["address"]
    assert after["started"] is False
    lab.endpoint(test_state="absent")


def test_a_forward_ends_by_itself(lab: Lab) -> None:
    result(lab.endpoint(test_method="port_forward", test_lifetime=1))
    until(lambda: changed(lab.endpoint("--check", test_state="absent")) == [], "a forward that ends", 30)
