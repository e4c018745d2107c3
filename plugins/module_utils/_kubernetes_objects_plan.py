# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared objects against those of a cluster, without any I/O. PRIVATE: it may change at any time.

Nothing is sent to find out what would change: a server-side dry run is a write to an audit log and to
permissions, and it fails on a cluster that lacks the namespace yet. So the API server's defaults are passed
over here: an object is as declared if all that is declared is in it, and its annotation says that nothing
else was declared before.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ._errors import PachydermError
from ._plan import Action, Plan

MANAGER = "gpulab.pachyderm"
# Hash of what was declared: without it, what is no longer declared would stay.
ANNOTATION = "gpulab.pachyderm/declared"

Object = Mapping[str, Any]

_SUFFIXES = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(["k", "M", "G", "T", "P", "E"], 1)},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(["Ki", "Mi", "Gi", "Ti", "Pi"], 1)},
}
# Where quantities are, which the API server writes in its own form: 0.1 becomes 100m.
_QUANTITIES = ("limits", "requests", "hard", "capacity")


def plan_present(there: Sequence[tuple[Object, Object | None]]) -> Plan:
    """Writes for the objects that are missing or differ, in the order in which they are declared."""
    actions = []
    for declared, actual in there:
        wanted = _normal(declared)
        if actual is None:
            actions.append(_action("create", declared, None, wanted))
        elif not _as_declared(wanted, actual):
            actions.append(_action("change", declared, _shown(wanted, actual), wanted))
    return Plan(tuple(actions))


def plan_absent(there: Sequence[tuple[Object, Object | None]]) -> Plan:
    """Deletes what this collection made, last first; what others made stays, with a warning."""
    actions = []
    warnings = []
    for declared, actual in reversed(there):
        if actual is None or "deletionTimestamp" in actual["metadata"]:
            continue
        if ANNOTATION in (actual["metadata"].get("annotations") or {}):
            actions.append(_action("delete", declared, _normal(declared), None))
        else:
            warnings.append(f"{title(declared)} was not made by {MANAGER} and is left alone")
    return Plan(tuple(actions), tuple(warnings))


def plan_patched(there: Sequence[tuple[Object, Object | None]]) -> Plan:
    """Patches for the objects that differ; null takes a field out. None is made."""
    actions = []
    for declared, actual in there:
        if actual is None:
            raise PachydermError(f"{title(declared)}: is not there, and state patched makes nothing")
        if not contains(actual, declared):
            actions.append(_action("patch", declared, _shown(declared, actual), declared))
    return Plan(tuple(actions))


def stamped(declared: Object) -> dict[str, Any]:
    """What is sent: `declared`, with its own hash as an annotation."""
    metadata = declared["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: _hash(_normal(declared))}
    return {**_normal(declared), "metadata": {**metadata, "annotations": annotations}}


def title(item: Object) -> str:
    """Kind and name for messages."""
    namespace = item["metadata"].get("namespace")
    return f"{item['kind']} {namespace + '/' if namespace else ''}{item['metadata']['name']}"


def contains(actual: Any, declared: Any, key: str = "") -> bool:
    """Whether all of `declared` is in `actual`, which has defaults beside it."""
    if declared in (None, "", [], {}) or (actual is None and declared in (0, False)):
        return actual in (None, "", [], {}) or isinstance(declared, dict)
    if isinstance(declared, Mapping):
        # Of what is not there, nothing is.
        actual = {} if actual is None else actual
        return isinstance(actual, Mapping) and all(
            contains(actual.get(name), value, name if key not in _QUANTITIES else key)
            for name, value in declared.items()
        )
    if isinstance(declared, list):
        return (
            isinstance(actual, list)
            and len(actual) == len(declared)
            and all(contains(one, other) for one, other in zip(actual, declared, strict=True))
        )
    if key in _QUANTITIES and actual is not None:
        return _amount(actual) == _amount(declared)
    return bool(actual == declared)


def _as_declared(wanted: Object, actual: Object) -> bool:
    stamp = (actual["metadata"].get("annotations") or {}).get(ANNOTATION)
    # One that others made as it is declared here is left as it is.
    return stamp in (None, _hash(wanted)) and contains(actual, wanted)


def _normal(declared: Object) -> dict[str, Any]:
    """As the API server has it: a Secret's stringData is a way to write its data."""
    item = dict(declared)
    plain = item.pop("stringData", None)
    if plain:
        coded = {key: base64.b64encode(str(text).encode()).decode() for key, text in plain.items()}
        item["data"] = {**(item.get("data") or {}), **coded}
    return item


def _hash(wanted: Object) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def _shown(declared: Any, actual: Any) -> Any:
    """Of `actual` what is declared, for a diff."""
    if isinstance(declared, Mapping) and isinstance(actual, Mapping):
        return {key: _shown(value, actual[key]) for key, value in declared.items() if key in actual}
    if isinstance(declared, list) and isinstance(actual, list) and len(declared) == len(actual):
        return [_shown(one, other) for one, other in zip(declared, actual, strict=True)]
    return actual


def _action(verb: str, item: Object, before: Object | None, after: Object | None) -> Action:
    kind, name = title(item).split(" ", 1)
    if kind == "Secret":
        changes = [key for key, text in _data(after).items() if _data(before).get(key) != text]
        before, after = before and _hidden(before, []), after and _hidden(after, changes)
    return Action(verb, kind, name, before, after, item)


def _data(secret: Object | None) -> dict[str, Any]:
    return dict((secret or {}).get("data") or {})


def _hidden(secret: Object, changes: Sequence[str]) -> Object:
    data = {key: "(hidden, changes)" if key in changes else "(hidden)" for key in _data(secret)}
    return {**secret, "data": data}


def _amount(text: Any) -> Decimal | str:
    words = str(text)
    digits = words.rstrip("mkKMGTPEi")
    try:
        return Decimal(digits) * _SUFFIXES[words[len(digits) :]]
    except (ArithmeticError, KeyError):
        return words
