# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does to a release of Pachyderm. PRIVATE to the collection: it may change at any time. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._chart_pins import SECRET
from ._chart_values import masked
from ._errors import PachydermError
from ._plan import Action

# What an installation of before left, if its secret is gone.
_DATA_CLAIMS = re.compile(r"^(data-postgres-\d+|etcd-storage-etcd-\d+|pachyderm-data)$")
_VERSION = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?")
_PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")


@dataclass(frozen=True, slots=True)
class Release:
    """The last revision of a release; `updated` is in seconds since 1970, `values` are the user's."""

    name: str
    revision: int
    status: str
    chart: str
    version: str
    updated: float
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manifest: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is declared. `allow` are the leaves given, `stuck_after` is in seconds."""

    release: str
    namespace: str
    version: str
    values: Mapping[str, Any] = field(repr=False)
    allow: frozenset[str] = frozenset()
    stuck_after: int = 300


def check_pins(release: Release | None, secret: bool, claims: Iterable[str], recover: bool) -> None:
    """Raises PachydermError where new passwords would be rolled over an existing database."""
    if secret:
        return
    data = sorted(name for name in claims if _DATA_CLAIMS.match(name))
    there = (["its release"] if release else []) + [f"volume claim {name}" for name in data]
    if not there or (release and recover):
        return
    what = f"secret {SECRET} is missing, but {' and '.join(there)} {'is' if len(there) == 1 else 'are'} there"
    if release:
        how = (
            "restore it from a backup, or set pachyderm_recover_secret to true to take what the release"
            " was given (helm get values shows it)"
        )
    else:
        how = "restore it from a backup, or delete the claims if their data is not needed"
    raise PachydermError(f"{what}; new passwords would lock pachd out of its database: {how}")


def refusals(wanted: Wanted, release: Release | None, now: float) -> list[str]:
    """Why this run must not touch the release. `now` is in seconds since 1970."""
    if release is None or release.status == "uninstalled":
        return []
    found = []
    if release.status in _PENDING and now - release.updated < wanted.stuck_after:
        found.append(
            f"release {release.name} is {release.status} since {now - release.updated:.0f} s: another helm"
            " may be at work on it. It is taken for stuck, and rolled back, after pachyderm_stuck_after"
            f" ({wanted.stuck_after} s); run again then, or set that to 0"
        )
    found += _version_refusals(wanted, release)
    was_on = release.values.get("pachd", {}).get("activateAuth", True)
    if was_on and not wanted.values["pachd"]["activateAuth"] and "auth_off" not in wanted.allow:
        found.append(
            "pachyderm_auth: authentication is active, and stays active in pachd's database whatever the"
            " chart is told; deactivate it with the root token (pachctl auth deactivate), then add"
            " auth_off to pachyderm_allow"
        )
    return found


def _version_refusals(wanted: Wanted, release: Release) -> list[str]:
    have, want = parse_version(release.version), parse_version(wanted.version)
    step = f"{release.version} is deployed, {wanted.version} is declared"
    if want < have and "downgrade" not in wanted.allow:
        return [
            f"pachyderm_version: {step}: pachd's database does not go back; add downgrade to"
            " pachyderm_allow if you have restored one of that version"
        ]
    if want[0] != have[0] and "major" not in wanted.allow:
        return [
            f"pachyderm_version: {step}: another major version needs a migration; add major to"
            " pachyderm_allow after a backup"
        ]
    return []


def parse_version(text: str) -> tuple[int, int, int, bool, str]:
    """A key that sorts as Semantic Versioning does, but for the parts of a prerelease."""
    match = _VERSION.match(text)
    if not match:
        raise PachydermError(f"pachyderm_version: {text!r} is no version such as 2.12.0")
    return int(match[1]), int(match[2]), int(match[3]), not match[4], match[4] or ""


def release_actions(wanted: Wanted, release: Release | None) -> list[Action]:
    """Empty as long as chart version and values are equal: each upgrade replaces the pachd pod."""
    after = _shown(wanted.version, wanted.values)
    if release is None or release.status == "uninstalled":
        return [Action("install", "release", wanted.release, None, after)]
    before = _shown(release.version, release.values)
    actions = []
    if release.status in ("pending-install", "uninstalling"):
        return [
            Action("uninstall", "release", wanted.release, before, None),
            Action("install", "release", wanted.release, None, after),
        ]
    if release.status in _PENDING:
        actions.append(Action("roll back", "release", wanted.release, before, before))
    same = release.version == wanted.version and same_values(release.values, wanted.values)
    if release.status != "deployed" or not same:
        actions.append(Action("upgrade", "release", wanted.release, before, after))
    return actions


def same_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for nulls, which Helm may drop."""
    return _without_nulls(one) == _without_nulls(other)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(entry) for entry in value]
    return value


def _shown(version: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"chart": version, "values": masked(values)}
