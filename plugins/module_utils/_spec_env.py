# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the values of transform.env out of what a module prints. PRIVATE: it may change at any time.

Which of them is a secret, a name does not tell, so none is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._spec_1x import plain

HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, changed)"


def hide_env(spec: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A copy of a spec in the one form, with a placeholder for each value of transform.env.

    A value that is another one than in `before` has a placeholder of its own, so that a diff shows it.
    """
    env = _env(spec)
    if not env:
        return dict(spec)
    old = _env(before or {})
    shown = {
        key: HIDDEN_CHANGED if key in old and old[key] != value else HIDDEN for key, value in env.items()
    }
    return {**spec, "transform": {**spec["transform"], "env": shown}}


def forget_env(spec: object) -> None:
    """Overwrites the values in a spec as its user wrote it: Ansible prints options as `invocation`."""
    for transform in _values(spec, "transform"):
        for env in _values(transform, "env"):
            if isinstance(env, dict):
                env.update(dict.fromkeys(env, HIDDEN))


def _values(mapping: object, name: str) -> list[Any]:
    return [v for k, v in mapping.items() if plain(str(k)) == name] if isinstance(mapping, dict) else []


def _env(spec: Mapping[str, Any]) -> dict[str, Any]:
    transform = spec.get("transform")
    env = transform.get("env") if isinstance(transform, Mapping) else None
    return dict(env) if isinstance(env, Mapping) else {}
