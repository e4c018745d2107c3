# SPDX-License-Identifier: GPL-3.0-or-later
"""What is generated once, kept, and passed back."""

from __future__ import annotations

import base64
import re

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_pins import (
    PINS,
    announce,
    decode,
    generate,
    recover,
    settle,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_settings import Settings

KEPT = {name: f"kept-{name}" for name in PINS} | {"host-path": "/x/"}


def code(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_each_pin_is_generated_once() -> None:
    first, refusals = settle(Settings(), {})
    assert refusals == []
    assert set(first) == set(PINS)
    assert settle(Settings(), first) == (first, [])
    assert settle(Settings(), {})[0] != first


@pytest.mark.parametrize("name", sorted(PINS))
def test_generated_values_have_the_form_that_the_chart_gives_them(name: str) -> None:
    form = r"/var/pachyderm-[A-Za-z0-9]{5}/" if name == "host-path" else r"[A-Za-z0-9]{32}"
    assert re.fullmatch(form, generate(name))
    assert not re.fullmatch(form, announce(name))


def test_a_root_token_can_be_changed() -> None:
    assert settle(Settings(root_token="new"), KEPT)[0]["root-token"] == "new"


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({"host_path": "/y/"}, "pachyderm_host_path"),
        ({"cluster_id": "other"}, "pachyderm_cluster_id"),
        ({"postgresql_password": "other"}, "pachyderm_postgresql_password"),
    ],
)
def test_what_data_depends_on_cannot(given: dict[str, str], variable: str) -> None:
    pins, refusals = settle(Settings(**given), KEPT)  # type: ignore[arg-type]
    assert pins == KEPT
    assert len(refusals) == 1
    assert variable in refusals[0]
    assert not any(value in refusals[0] for value in given.values())


def test_the_password_of_an_external_server_is_not_kept_to() -> None:
    settings = Settings(postgresql_bundled=False, postgresql_host="db", postgresql_password="other")
    assert settle(settings, KEPT) == (KEPT, [])


def test_a_secret_is_read_without_what_is_not_ours_or_damaged() -> None:
    data = {"root-token": code("t"), "note": code("x"), "host-path": "no base64!", "postgresql-password": ""}
    assert decode({"data": data}) == {"root-token": "t"}
    assert decode({}) == {}


def test_a_lost_secret_is_recovered_from_the_values_of_the_release() -> None:
    values: dict[str, object] = {}
    for name, pin in PINS.items():
        below = values
        for key in pin.path[:-1]:
            below = below.setdefault(key, {})  # type: ignore[assignment]
        below[pin.path[-1]] = KEPT[name]
    assert recover(values, "") == KEPT


def test_of_a_release_installed_by_hand_from_what_its_render_made_up() -> None:
    manifest = yaml.safe_dump_all(
        [
            {
                "kind": "Secret",
                "metadata": {"name": "pachyderm-deployment-id-secret"},
                "data": {"CLUSTER_DEPLOYMENT_ID": code("id")},
            },
            {
                "kind": "Secret",
                "metadata": {"name": "pachyderm-auth"},
                "stringData": {"root-token": "token", "pachd-oauth-client-secret": "oauth"},
            },
            {
                "kind": "Secret",
                "metadata": {"name": "postgres"},
                "data": {"postgresql-password": code("insecure-user-password")},
            },
            {
                "kind": "Deployment",
                "metadata": {"name": "pachd"},
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [
                                {
                                    "env": [
                                        {"name": "STORAGE_HOST_PATH", "value": "/var/pachyderm-a1B2c/pachd"}
                                    ]
                                }
                            ]
                        }
                    }
                },
            },
            None,
        ]
    )
    assert recover({"pachd": {"rootToken": "given"}}, manifest) == {
        "cluster-deployment-id": "id",
        "root-token": "given",
        "pachd-oauth-client-secret": "oauth",
        "postgresql-password": "insecure-user-password",
        "host-path": "/var/pachyderm-a1B2c/",
    }
