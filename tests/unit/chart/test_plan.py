# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does to a release, and what it refuses to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_plan import (
    Release,
    Wanted,
    check_pins,
    parse_version,
    refusals,
    release_actions,
    same_values,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError

VALUES = {"pachd": {"activateAuth": True, "rootToken": "secret-token"}}
WANTED = Wanted("pachyderm", "pachyderm", "2.12.0", VALUES)
DEPLOYED = Release("pachyderm", 3, "deployed", "pachyderm", "2.12.0", 1000.0, VALUES)
NOW = 1010.0


def wanted(**changes: Any) -> Wanted:
    return dataclasses.replace(WANTED, **changes)


def release(**changes: Any) -> Release:
    return dataclasses.replace(DEPLOYED, **changes)


@pytest.mark.parametrize(
    ("found", "declared", "verbs"),
    [
        (None, WANTED, ["install"]),
        # Every upgrade replaces pachd's pod, so an equal one is none.
        (DEPLOYED, WANTED, []),
        (release(values={"pachd": {**VALUES["pachd"], "x": None}}), WANTED, []),
        (release(version="2.11.6"), WANTED, ["upgrade"]),
        (release(values={}), WANTED, ["upgrade"]),
        (DEPLOYED, wanted(values={"pachd": {"activateAuth": True, "rootToken": "new"}}), ["upgrade"]),
        (release(status="failed"), WANTED, ["upgrade"]),
        (release(status="uninstalled"), WANTED, ["install"]),
        (release(status="pending-upgrade"), WANTED, ["roll back", "upgrade"]),
        (release(status="pending-rollback"), WANTED, ["roll back", "upgrade"]),
        (release(status="pending-install", revision=1), WANTED, ["uninstall", "install"]),
        (release(status="uninstalling"), WANTED, ["uninstall", "install"]),
    ],
)
def test_actions(found: Release | None, declared: Wanted, verbs: list[str]) -> None:
    actions = release_actions(declared, found)
    assert [action.verb for action in actions] == verbs
    assert "secret-token" not in str([(action.before, action.after) for action in actions])


@pytest.mark.parametrize(
    ("found", "declared", "message"),
    [
        (None, WANTED, ""),
        (DEPLOYED, WANTED, ""),
        (release(version="2.11.6"), WANTED, ""),
        (release(version="2.12.0-rc.3"), WANTED, ""),
        (release(version="2.13.0"), WANTED, "downgrade"),
        (release(version="2.13.0"), wanted(allow=frozenset(["downgrade"])), ""),
        (release(version="1.13.4"), WANTED, "major"),
        (release(version="1.13.4"), wanted(allow=frozenset(["major"])), ""),
        (release(version="3.0.0"), wanted(allow=frozenset(["major"])), "downgrade"),
        (release(status="pending-upgrade"), WANTED, "pending-upgrade since 10 s"),
        (release(status="pending-install"), WANTED, "pachyderm_stuck_after"),
        (release(status="pending-upgrade"), wanted(stuck_after=0), ""),
        (release(status="pending-upgrade", updated=NOW - 301), WANTED, ""),
        (release(status="failed"), WANTED, ""),
    ],
)
def test_refusals(found: Release | None, declared: Wanted, message: str) -> None:
    told = "; ".join(refusals(declared, found, NOW))
    assert (message in told) if message else told == ""


OFF = wanted(values={"pachd": {"activateAuth": False}})


@pytest.mark.parametrize(
    ("found", "declared", "refused"),
    [
        (DEPLOYED, OFF, True),
        # The chart's own default is on.
        (release(values={}), OFF, True),
        (release(values={"pachd": {"activateAuth": False}}), OFF, False),
        (release(values={"pachd": {"activateAuth": False}}), WANTED, False),
        (DEPLOYED, dataclasses.replace(OFF, allow=frozenset(["auth_off"])), False),
        (None, OFF, False),
    ],
)
def test_trap_authentication_stays_on_when_the_chart_is_told_otherwise(
    found: Release | None, declared: Wanted, refused: bool
) -> None:
    told = refusals(declared, found, NOW)
    assert bool(told) is refused
    assert all("pachctl auth deactivate" in line for line in told)


@pytest.mark.parametrize(
    ("found", "secret", "claims", "recover", "message"),
    [
        (None, False, [], False, ""),
        (None, False, ["somebodys-claim"], False, ""),
        (DEPLOYED, True, [], False, ""),
        (DEPLOYED, False, [], True, ""),
        (DEPLOYED, False, [], False, "its release is there.*pachyderm_recover_secret"),
        # Trap: a claim outlives `helm uninstall`.
        (
            None,
            False,
            ["etcd-storage-etcd-0"],
            False,
            "volume claim etcd-storage-etcd-0 is there.*restore it",
        ),
        (None, False, ["data-postgres-0"], False, "volume claim data-postgres-0"),
        # Without a release there is nothing to recover from.
        (None, False, ["data-postgres-0"], True, "restore it"),
    ],
)
def test_new_passwords_are_not_rolled_over_a_database(
    found: Release | None, secret: bool, claims: list[str], recover: bool, message: str
) -> None:
    if not message:
        check_pins(found, secret, claims, recover)
        return
    with pytest.raises(PachydermError, match=message):
        check_pins(found, secret, claims, recover)


def test_versions_sort_as_semantic_versioning_does() -> None:
    ordered = ["1.13.4", "2.9.0", "2.12.0-rc.3", "2.12.0", "v2.12.1", "3.0.0"]
    assert sorted(ordered, key=parse_version) == ordered
    with pytest.raises(PachydermError, match="no version"):
        parse_version("latest")


def test_nulls_do_not_make_values_differ() -> None:
    assert same_values({"a": 1, "b": None, "c": [{"d": None}]}, {"a": 1, "c": [{}]})
    assert not same_values({"a": 1}, {"a": "1"})
