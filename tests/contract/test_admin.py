# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients ask before they talk: version, cluster, and the services that 2.12 has only names of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client

from tests.contract.conftest import Connect
from tests.contract.fixtures import Refused


def test_the_version_is_2_12(client: Client) -> None:
    version = client.get_version()
    assert (version.major, version.minor) == (2, 12)


def test_the_cluster_has_an_id(client: Client) -> None:
    assert client.admin.inspect_cluster().id


def test_the_cluster_keeps_its_id(client: Client, connect: Connect) -> None:
    assert client.admin.inspect_cluster().id == connect().admin.inspect_cluster().id


def test_the_cluster_has_a_deployment_id(client: Client) -> None:
    assert client.admin.inspect_cluster().deployment_id


def test_the_cluster_is_not_paused(client: Client) -> None:
    assert not client.admin.inspect_cluster().paused


@pytest.mark.embedded_only
def test_the_cluster_tells_how_many_gpus_there_are(client: Client) -> None:
    assert client.admin.inspect_cluster().metadata == {"gpulab.gpus": "2"}


DEPRECATED: dict[str, tuple[Callable[[Client], Any], str]] = {
    "enterprise.GetState": (lambda c: c.enterprise.get_state(), "enterprise"),
    "enterprise.Activate": (lambda c: c.enterprise.activate(license_server="x", id="y"), "enterprise"),
    "enterprise.GetActivationCode": (lambda c: c.enterprise.get_activation_code(), "enterprise"),
    "enterprise.Heartbeat": (lambda c: c.enterprise.heartbeat(), "enterprise"),
    "enterprise.Deactivate": (lambda c: c.enterprise.deactivate(), "enterprise"),
    "enterprise.Pause": (lambda c: c.enterprise.pause(), "enterprise"),
    "enterprise.Unpause": (lambda c: c.enterprise.unpause(), "enterprise"),
    "enterprise.PauseStatus": (lambda c: c.enterprise.pause_status(), "enterprise"),
    "license.Activate": (lambda c: c.license.activate(activation_code="x"), "license"),
    "license.GetActivationCode": (lambda c: c.license.get_activation_code(), "license"),
    "license.AddCluster": (lambda c: c.license.add_cluster(id="x"), "license"),
    "license.UpdateCluster": (lambda c: c.license.update_cluster(id="x"), "license"),
    "license.DeleteCluster": (lambda c: c.license.delete_cluster(id="x"), "license"),
    "license.ListClusters": (lambda c: c.license.list_clusters(), "license"),
    "license.Heartbeat": (lambda c: c.license.heartbeat(id="x"), "license"),
    "license.DeleteAll": (lambda c: c.license.delete_all(), "license"),
}


@pytest.mark.parametrize(("call", "name"), DEPRECATED.values(), ids=DEPRECATED)
def test_licences_are_deprecated(
    client: Client, call: Callable[[Client], Any], name: str, refused: Refused
) -> None:
    with refused(StatusCode.UNKNOWN, f"{name} server is deprecated"):
        call(client)


def test_no_clusters_are_licensed(client: Client) -> None:
    assert list(client.license.list_user_clusters().clusters) == []
