# SPDX-License-Identifier: GPL-3.0-or-later
"""A context of pachctl's config file. PRIVATE to the collection: it may change at any time.

The SDK reads the file when it is imported, and knows only the active context. A message never quotes the
file, which holds tokens.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._errors import PachydermError

DEFAULT_PATH = "~/.pachyderm/config.json"


@dataclass(frozen=True, slots=True)
class Context:
    """What a context says, None where it does not. `where` names it in messages."""

    where: str
    address: str | None = None
    token: str | None = field(default=None, repr=False)
    ca_cert: bytes | None = None
    project: str | None = None


def read_context(path: str | None, name: str | None) -> Context | None:
    """The context `name` of the file, its active one if that is None. Raises PachydermError.

    Without a path it is PACH_CONFIG's, or the one in the home directory. None where neither path nor name is
    given and there is no such file, or no active context in it.
    """
    file = Path(path or os.environ.get("PACH_CONFIG") or DEFAULT_PATH).expanduser()
    is_named = bool(path or name or os.environ.get("PACH_CONFIG"))
    if not is_named and not file.exists():
        return None
    contexts, active = _contexts(file)
    chosen = name or active
    if not chosen and not path:
        return None
    known = ", ".join(contexts) or "none"
    if not chosen:
        raise PachydermError(f"context: {file} has no active context; name one of {known}")
    if chosen not in contexts:
        raise PachydermError(f"context: {chosen} is not in {file}; it has {known}")
    return _context(contexts[chosen], f"context {chosen} of {file}")


def _contexts(file: Path) -> tuple[Mapping[str, Any], str]:
    """(the contexts in the file, the name of its active one or "")."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PachydermError(f"pach_config: {file}: {error.strerror}") from error
    except ValueError:
        # From None: the parser's error holds the text.
        raise PachydermError(f"pach_config: {file}: is no JSON; its text is not shown") from None
    config = document.get("v2") if isinstance(document, dict) else None
    contexts = config.get("contexts", {}) if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(contexts, dict):
        raise PachydermError(f"pach_config: {file}: is no config file of pachctl 2: it has no v2.contexts")
    return contexts, str(config.get("active_context") or "")


def _context(values: Any, where: str) -> Context:
    if not isinstance(values, dict):
        raise PachydermError(f"pach_config: {where}: is no mapping")
    for key in ("pachd_address", "session_token", "server_cas", "project"):
        if not isinstance(values.get(key) or "", str):
            raise PachydermError(f"pach_config: {where}: {key} is no text")
    return Context(
        where=where,
        address=values.get("pachd_address") or _forwarded(values.get("port_forwarders")),
        token=values.get("session_token") or None,
        ca_cert=_decoded(values.get("server_cas"), where),
        project=values.get("project") or None,
    )


def _forwarded(ports: Any) -> str | None:
    """The address at which a running `pachctl port-forward` has pachd."""
    port = ports.get("pachd") if isinstance(ports, dict) else None
    return f"grpc://127.0.0.1:{port}" if port else None


def _decoded(text: str | None, where: str) -> bytes | None:
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PachydermError(f"pach_config: {where}: server_cas is no base64") from None
