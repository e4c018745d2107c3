# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: options and calls. PRIVATE to the collection: it may change at any time.

No value may get into a message, a result or a diff.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._items import items
from ._plan import Outcome, Plan, refuse_twice
from ._sdk import sdk
from ._secret_plan import TYPE_PREFIX, Secret, Write, plan_secrets

# Kubernetes' rules for names, for keys, and for the size of all values of a secret.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_MAX_NAME = 253
_MAX_BYTES = 1024 * 1024
_SALT_BYTES = 16


def parse_secrets(params: Mapping[str, Any]) -> list[Secret]:
    """The secrets that a module's options declare, files read. Raises PachydermError."""
    secrets = [_parse(item, prefix) for item, prefix in items(params, "secrets", ("type", "update", "state"))]
    if problem := refuse_twice("secret", [s.name for s in secrets], "secrets"):
        raise PachydermError(problem)
    return secrets


def _parse(item: Mapping[str, Any], prefix: str) -> Secret:
    name = item["name"]
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise PachydermError(
            f"{prefix}name: {name}: only lower-case letters, digits, - and ., a letter or digit at each"
            f" end, and at most {_MAX_NAME} characters"
        )
    data: dict[str, bytes] = {}
    if item["state"] == "present":
        data = _data(item, prefix)
        if item["type"] is not None and item["update"] == "changed":
            raise PachydermError(
                f"{prefix}type: a secret with a type of yours has no room for a digest; give update:"
                " always or on_create too, or leave the type out"
            )
        if (item["type"] or "").startswith(TYPE_PREFIX):
            raise PachydermError(f"{prefix}type: begins as the module's own type; leave it out")
    return Secret(name, data, item["type"] or None, item["update"], item["state"], prefix)


def _data(item: Mapping[str, Any], prefix: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key, value in (item["data"] or {}).items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise PachydermError(f"{prefix}data.{key}: must be text; put it in quotes")
        found[key] = str(value).encode()
    for key, path in (item["files"] or {}).items():
        if key in found:
            raise PachydermError(f"{prefix}files.{key}: is in data too; give one of them")
        try:
            found[key] = Path(os.path.expanduser(os.path.expandvars(str(path)))).read_bytes()
        except OSError as error:
            raise PachydermError(f"{prefix}files.{key}: {path}: {error.strerror}") from error
        except ValueError as error:
            raise PachydermError(f"{prefix}files.{key}: is no path, since it holds a NUL") from error
    for key in found:
        if not _KEY.fullmatch(key) or len(key) > _MAX_NAME:
            raise PachydermError(f"{prefix}data: key {key}: only letters, digits, -, _ and . are allowed")
    if not found:
        raise PachydermError(f"{prefix}data: is required, or files, with a key at least")
    if sum(map(len, found.values())) > _MAX_BYTES:
        raise PachydermError(f"{prefix}data: more than 1 MiB in all, which Kubernetes does not take")
    return found


def run_secrets(pachd: Pachd, declared: Sequence[Secret], check_mode: bool) -> Outcome:
    """Brings the declared secrets about; in check mode it only says how."""
    plan = _planned(pachd, declared)
    if not check_mode:
        converge(plan, partial(_apply, pachd), partial(_planned, pachd, declared))
    present = [{"name": s.name, "keys": sorted(s.data)} for s in declared if s.state == "present"]
    return Outcome(plan, {"secrets": present})


def _planned(pachd: Pachd, declared: Sequence[Secret]) -> Plan:
    types = {info.secret.name: info.type for info in pachd.pps.list_secret().secret_info}
    return plan_secrets(declared, types, os.urandom(_SALT_BYTES))


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        _write(pachd, action.item)


def _write(pachd: Pachd, item: Secret | Write) -> None:
    secret = item.secret if isinstance(item, Write) else item
    replaced = isinstance(item, Write) and item.replaces
    label = f"{secret.where}secret {secret.name}"
    try:
        if replaced or isinstance(item, Secret):
            pachd.pps.delete_secret(secret=sdk().pps.Secret(name=secret.name))
    except PachdError as error:
        raise PachydermError(f"{label}: cannot delete it: {error}") from error
    if isinstance(item, Secret):
        return
    try:
        pachd.pps.create_secret(file=_manifest(item))
    except PachdError as error:
        gone = ", and it is gone now; run again" if replaced else ""
        # From None: pachd may quote what it was sent.
        raise PachydermError(f"{label}: cannot create it{gone}: {error}") from None


def _manifest(write: Write) -> bytes:
    """The secret as Kubernetes takes it."""
    data = {key: base64.b64encode(value).decode() for key, value in write.secret.data.items()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": write.secret.name},
            "type": write.type,
            "data": data,
        }
    ).encode()
