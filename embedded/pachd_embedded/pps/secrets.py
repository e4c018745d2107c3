# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as Kubernetes keeps them for pachd: named sets of keys and values, for user code and nobody else.

One file each, mode 0600 in a directory of mode 0700, and not in the database, whose pages, log and exports
others may come to read. No message, log line or error holds a value.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PachError, unknown

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_MAX_NAME = 253
_PREFIX = "failed to create secret: "


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """What may be shown of a secret. `created` is in seconds of the epoch."""

    name: str
    type: str
    created: float


class Secrets:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)

    def create(self, file: bytes) -> None:
        """From a Kubernetes Secret in JSON. Values are in `data` (base64) or `stringData`."""
        secret = _parsed(file)
        name, type_ = secret["name"], secret["type"]
        path = self._directory / name
        try:
            # Written whole under another name first: a crash leaves no half of a secret.
            draft = self._directory / f".{name}"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as out:
                json.dump({"type": type_, "created": time.time(), "data": secret["data"]}, out)
                out.flush()
                os.fsync(out.fileno())
            os.link(draft, path)
        except FileExistsError:
            raise unknown(f'{_PREFIX}secrets "{name}" already exists') from None
        finally:
            draft.unlink(missing_ok=True)

    def inspect(self, name: str) -> SecretRecord:
        return _record(name, self._read(name, "get"))

    def infos(self) -> list[SecretRecord]:
        """By name."""
        return [self.inspect(name) for name in self._names()]

    def delete(self, name: str) -> None:
        self._read(name, "delete")
        (self._directory / name).unlink(missing_ok=True)

    def delete_all(self) -> None:
        for name in self._names():
            (self._directory / name).unlink(missing_ok=True)

    def keys(self) -> Mapping[str, frozenset[str]]:
        """The keys of each secret, for the check of a pipeline's spec."""
        return {name: frozenset(self._read(name, "get")["data"]) for name in self._names()}

    def values(self, name: str) -> dict[str, bytes]:
        """What user code gets."""
        return {key: base64.b64decode(text) for key, text in self._read(name, "get")["data"].items()}

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._directory.iterdir() if not path.name.startswith("."))

    def _read(self, name: str, verb: str) -> dict[str, Any]:
        try:
            if len(name) <= _MAX_NAME and _NAME.fullmatch(name):  # else it could be a path
                return dict(json.loads((self._directory / name).read_text()))
        except FileNotFoundError:
            pass
        raise unknown(f'failed to {verb} secret: secrets "{name}" not found')


def _record(name: str, content: Mapping[str, Any]) -> SecretRecord:
    return SecretRecord(name, content["type"], content["created"])


def _parsed(file: bytes) -> dict[str, Any]:
    """`name`, `type` and `data` (key -> base64) of a Kubernetes Secret; PachError names what is wrong."""
    try:
        secret = json.loads(file)
    except ValueError:
        # Python's own words would quote the file.
        raise unknown("failed to unmarshal secret: it is not JSON") from None
    if not isinstance(secret, dict) or not isinstance(secret.get("metadata") or {}, dict):
        raise unknown("failed to unmarshal secret: it is not a Kubernetes Secret")
    metadata = secret.get("metadata") or {}
    labels = metadata.get("labels") or {}
    suite = labels.get("suite", "") if isinstance(labels, dict) else ""
    if suite not in ("", "pachyderm"):
        raise unknown(f"invalid suite label set on secret: suite={suite}")
    name = metadata.get("name", "")
    if not name:
        raise _invalid("", "metadata.name: Required value: name or generateName is required")
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        raise _invalid(str(name), f'metadata.name: Invalid value: "{name}": {rule}')
    data = _texts(secret, "data", name) | {
        key: base64.b64encode(text.encode()).decode()
        for key, text in _texts(secret, "stringData", name).items()
    }
    for key, text in data.items():
        if len(key) > _MAX_NAME or key.startswith("..") or key == "." or not _KEY.fullmatch(key):
            raise _invalid(name, f'data[{key}]: Invalid value: "{key}": a valid config key must consist of'
                           " alphanumeric characters, '-', '_' or '.'")  # fmt: skip
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error:
            raise unknown(f"failed to unmarshal secret: data.{key} is not base64") from None
    return {"name": name, "type": str(secret.get("type") or "Opaque"), "data": data}


def _texts(secret: Mapping[str, Any], field: str, name: str) -> dict[str, str]:
    found = secret.get(field) or {}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise unknown(f"failed to unmarshal secret: {field} of {name} is not a map of strings")
    return found


def _invalid(name: str, reason: str) -> PachError:
    return unknown(f'{_PREFIX}Secret "{name}" is invalid: {reason}')
