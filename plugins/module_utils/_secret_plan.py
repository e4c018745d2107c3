# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about secrets. Pure: no I/O. PRIVATE to the collection: it may change at any time.

pachd gives no value of a secret back. What it does give back is the type, which is free text for all but
Kubernetes' own types and which only those see who may list secrets. So a salted digest of the values is kept
there: whoever reads it has to guess a value, and pay for each guess.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ._plan import Action, Plan

TYPE_PREFIX = "gpulab.pachyderm/scrypt-"
_SALT_BYTES = 16
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secret:
    """A declared secret. `type` is None for the one that holds a digest of `data`, values by key.

    `update` says when one that exists is written again: changed, always or on_create (never).
    """

    name: str
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    type: str | None = None
    update: str = "changed"
    state: str = "present"
    where: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """A secret to be written with this type, in place of one that exists if `replaces`."""

    secret: Secret
    type: str
    replaces: bool


def digest_type(data: Mapping[str, bytes], salt: bytes) -> str:
    """The type that tells these values from others."""
    whole = json.dumps({key: value.hex() for key, value in data.items()}, sort_keys=True).encode()
    digest = hashlib.scrypt(whole, salt=salt, n=2**14, r=8, p=1, dklen=_DIGEST_BYTES)
    return f"{TYPE_PREFIX}{salt.hex()}-{digest.hex()}"


def holds(data: Mapping[str, bytes], type_: str) -> bool:
    """Whether a secret of this type holds these values. False where its type has no digest."""
    salt, _dash, digest = type_.removeprefix(TYPE_PREFIX).partition("-")
    if not type_.startswith(TYPE_PREFIX) or len(salt) != 2 * _SALT_BYTES or not digest:
        return False
    try:
        return digest_type(data, bytes.fromhex(salt)) == type_
    except ValueError:
        return False


def plan_secrets(declared: Sequence[Secret], types: Mapping[str, str], salt: bytes) -> Plan:
    """`types` has the type of each secret that exists, by its name; `salt` is for what is written."""
    actions = []
    for secret in declared:
        known = types.get(secret.name)
        if secret.state == "absent":
            if known is not None:
                actions.append(Action("delete", "secret", secret.name, {"name": secret.name}, None, secret))
        elif known is None or _outdated(secret, known):
            write = Write(secret, secret.type or digest_type(secret.data, salt), known is not None)
            before = None if known is None else {"name": secret.name, "values": "unknown or other ones"}
            after = {"name": secret.name, "keys": sorted(secret.data), "values": "the declared ones"}
            verb = "create" if known is None else "update"
            actions.append(Action(verb, "secret", secret.name, before, after, write))
    return Plan(tuple(actions))


def _outdated(secret: Secret, known: str) -> bool:
    if secret.update == "changed":
        return not holds(secret.data, known)
    return secret.update == "always"
