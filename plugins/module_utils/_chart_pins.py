# SPDX-License-Identifier: GPL-3.0-or-later
"""What Pachyderm's chart rolls anew at each render unless it is told. PRIVATE to the collection.

Generated once, kept in a secret of ours, passed back on every run. No I/O.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._chart_settings import Settings

SECRET = "gpulab-pachyderm"
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned value: its place in the chart's values, and in what a render made of it.

    `variable` is the role's, "" where there is none. `fixed` says that another value would part the release
    from data that it has. `rendered` is (kind, name, key).
    """

    path: tuple[str, ...]
    rendered: tuple[str, str, str]
    variable: str = ""
    fixed: bool = False
    length: int = 32


PINS: dict[str, Pin] = {
    "cluster-deployment-id": Pin(
        ("pachd", "clusterDeploymentID"),
        ("Secret", "pachyderm-deployment-id-secret", "CLUSTER_DEPLOYMENT_ID"),
        "cluster_id",
        fixed=True,
    ),
    "root-token": Pin(("pachd", "rootToken"), ("Secret", "pachyderm-auth", "root-token"), "root_token"),
    "pachd-oauth-client-secret": Pin(
        ("pachd", "oauthClientSecret"), ("Secret", "pachyderm-auth", "pachd-oauth-client-secret")
    ),
    "console-oauth-client-secret": Pin(
        ("console", "config", "oauthClientSecret"),
        ("Secret", "pachyderm-console-secret", "OAUTH_CLIENT_SECRET"),
    ),
    "postgresql-password": Pin(
        ("global", "postgresql", "postgresqlPassword"),
        ("Secret", "postgres", "postgresql-password"),
        "postgresql_password",
        fixed=True,
    ),
    "postgresql-postgres-password": Pin(
        ("global", "postgresql", "postgresqlPostgresPassword"),
        ("Secret", "postgres", "postgresql-postgres-password"),
        fixed=True,
    ),
    "host-path": Pin(
        ("pachd", "storage", "local", "hostPath"),
        ("Deployment", "pachd", "STORAGE_HOST_PATH"),
        "host_path",
        fixed=True,
        length=5,
    ),
}


def generate(name: str) -> str:
    """A new value, of the chart's own length and letters."""
    text = "".join(secrets.choice(_ALPHABET) for _letter in range(PINS[name].length))
    return f"/var/pachyderm-{text}/" if name == "host-path" else text


def announce(name: str) -> str:
    """In place of a value that is yet to be generated, for runs that write nothing."""
    return "/generated/" if name == "host-path" else "(generated)"


def decode(secret: Mapping[str, Any]) -> dict[str, str]:
    """The pins in a Secret as the API returns it; others' keys and damaged values are left out."""
    found = {}
    for name, text in (secret.get("data") or {}).items():
        if name in PINS:
            try:
                found[name] = base64.b64decode(text, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
    return {name: value for name, value in found.items() if value}


def recover(values: Mapping[str, Any], manifest: str) -> dict[str, str]:
    """The pins of a release: from the values that it was given, else from what its render made up."""
    rendered = _rendered(manifest)
    found = {}
    for name, pin in PINS.items():
        value: Any = values
        for key in pin.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        value = value or rendered.get(pin.rendered)
        if value:
            found[name] = str(value)
    return found


def _rendered(manifest: str) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for item in documents(manifest):
        kind, name = item.get("kind", ""), item.get("metadata", {}).get("name", "")
        if kind == "Secret":
            for key, text in (item.get("data") or {}).items():
                found[kind, name, key] = base64.b64decode(text).decode(errors="replace")
            for key, text in (item.get("stringData") or {}).items():
                found[kind, name, key] = str(text)
        elif kind == "Deployment" and name == "pachd":
            for container in item["spec"]["template"]["spec"].get("containers", []):
                for variable in container.get("env") or []:
                    # The chart appends "pachd" to the path that it is given.
                    if variable.get("name") == "STORAGE_HOST_PATH" and variable.get("value"):
                        found[kind, name, "STORAGE_HOST_PATH"] = variable["value"].removesuffix("pachd")
    return found


def documents(manifest: str) -> Iterable[dict[str, Any]]:
    """The objects of a rendered manifest."""
    yaml = importlib.import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [item for item in yaml.load_all(manifest, Loader=loader) if isinstance(item, dict)]


def settle(
    settings: Settings, kept: Mapping[str, str], make: Callable[[str], str] = generate
) -> tuple[dict[str, str], list[str]]:
    """(the pins of this run, refusals). `kept` are those of before; what is missing is made by `make`.

    A value that the user gives wins, unless data depends on the one that is kept.
    """
    pins, refusals = {}, []
    for name, pin in PINS.items():
        given = getattr(settings, pin.variable) if pin.variable else ""
        if name == "postgresql-password" and not settings.postgresql_bundled:
            given = ""  # the external server's own, which is passed as it is given
        before = kept.get(name, "")
        if given and before and given != before and pin.fixed:
            refusals.append(
                f"pachyderm_{pin.variable} differs from {name} in secret {SECRET}, which existing data"
                " depends on; leave it empty"
            )
        pins[name] = (before if pin.fixed and before else given or before) or make(name)
    return pins, refusals
