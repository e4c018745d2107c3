# SPDX-License-Identifier: GPL-3.0-or-later
"""Typos in values: the chart's own schema lets an unknown key pass. PRIVATE to the collection. No I/O."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

# Keys that templates of chart 2.12 read and its values.yaml does not name, or names in a comment only.
_UNLISTED = (
    "global.postgresql.ssl",
    "pachd.activateEnterpriseMember",
    "pachd.enterpriseLicenseKey",
    "pachd.enterpriseRootToken",
    "pachd.enterpriseRootTokenSecretName",
    "pachd.enterpriseServerAddress",
    "pachd.enterpriseServerToken",
    "pachd.enterpriseServerTokenSecretName",
    "pachd.externalService.identityPort",
    "pachd.externalService.oidcPort",
    "pachd.worker.image.tag",
    "pachw.affinity",
    "pachw.minReplicas",
    "pachw.nodeSelector",
    "pachw.resources",
    "pachw.tolerations",
)
# Charts inside the chart: their own values are not listed here, so only what nearly is a listed key is a
# typo.
_INNER = ("postgresql", "loki-stack", "determined")
# Maps whose keys are the user's, also where the chart gives some.
_FREE = frozenset({"resources", "requests", "limits", "labels", "annotations", "initdbScripts"})
_ALIKE = 0.8


def unknown_keys(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """One line for each key of `values` that the chart's `defaults` do not have, with the nearest one."""
    known = _known(defaults)
    return [_line(path, near) for path, near in _walk(values, known, ())]


def _known(defaults: Mapping[str, Any]) -> dict[str, Any]:
    known = _copy(defaults)
    for dotted in _UNLISTED:
        keys = dotted.split(".")
        below: Any = known
        for key in keys[:-1]:
            below = below.get(key) if isinstance(below, dict) else None
        if isinstance(below, dict):
            below.setdefault(keys[-1], None)
    return known


def _copy(defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in defaults.items()}


def _walk(
    values: Mapping[str, Any], known: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in values.items():
        here = (*path, str(key))
        if key not in known:
            near = difflib.get_close_matches(str(key), [str(name) for name in known], 1, _ALIKE)
            if not (path and path[0] in _INNER) or near:
                loose = near or difflib.get_close_matches(str(key), [str(name) for name in known], 1, 0.0)
                yield here, loose[0] if loose else ""
        # An empty map is one that the user fills.
        elif (
            isinstance(value, Mapping) and isinstance(known[key], Mapping) and known[key] and key not in _FREE
        ):
            yield from _walk(value, known[key], here)


def _line(path: tuple[str, ...], near: str) -> str:
    known = ".".join((*path[:-1], near))
    return f"the chart has no value {'.'.join(path)}" + (f"; the nearest is {known}" if near else "")
