# SPDX-License-Identifier: GPL-3.0-or-later
"""One form for pipeline specs that mean the same. PRIVATE to the collection: it may change at any time.

pachd stores a spec as its user wrote it and answers a dry run in protobuf's own JSON: numbers of 64 bits as
text, the project filled in, flags of the request carried along. The schema that tells them equal is that of
the SDK's own message, so no field is named twice.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._sdk import sdk
from ._spec_1x import plain

Spec = dict[str, Any]

# Flags of a request, and what pachd fills in itself: no part of what a pipeline is.
NOT_SPEC = ("update", "reprocess", "dryRun", "specCommit")

INTEGERS = ("int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: its names in JSON and in Python, its type in protobuf, what its values are.

    `group` is the name of the oneof that it is of, or "".
    """

    name: str
    attribute: str
    kind: str
    repeated: bool
    presence: bool
    of: Any
    group: str


def normal(spec: Mapping[str, Any], project: str) -> Spec:
    """The spec in the one form: camelCase names, numbers as numbers, no field that is at its zero value.

    `project` is where a pipeline goes whose spec names none. Fields that the SDK does not know stay as they
    are: pachd may be newer.
    """
    whole: Spec = _message(spec, sdk().pps.CreatePipelineRequest)
    for name in NOT_SPEC:
        whole.pop(name, None)
    whole.setdefault("pipeline", {}).setdefault("project", {"name": project})
    home = whole["pipeline"]["project"].get("name", project)
    for pfs in pfs_inputs(whole.get("input")):
        # What pachd assumes where an input does not say it.
        pfs.setdefault("project", home)
        pfs.setdefault("branch", "master")
        pfs.setdefault("repoType", "user")
        pfs.setdefault("name", pfs.get("repo", ""))
    return whole


def merged(defaults: Mapping[str, Any], spec: Mapping[str, Any], message: Any) -> Spec:
    """`spec` over `defaults`, which have camelCase names, as pachd merges them: by RFC 7396."""
    fields = fields_of(message) if message else {}
    whole = dict(defaults)
    for key, raw in spec.items():
        field = fields.get(plain(key))
        name = field.name if field else key
        if raw is None:
            whole.pop(name, None)
        elif isinstance(raw, Mapping):
            below, old = field.of if field and field.kind == "message" else None, whole.get(name)
            whole[name] = merged(old if isinstance(old, Mapping) else {}, raw, below)
        else:
            whole[name] = raw
    return whole


def pfs_inputs(value: Any) -> Iterator[Spec]:
    """Each pfs input of an input in the one form, at any depth."""
    if not isinstance(value, dict):
        return
    if isinstance(value.get("pfs"), dict):
        yield value["pfs"]
    for inner in value.values():
        for item in inner if isinstance(inner, list) else []:
            yield from pfs_inputs(item)


@functools.cache
def fields_of(message: Any) -> dict[str, Field]:
    """The fields of a message class by their plain name."""
    about = message()._betterproto
    found = {}
    for name, meta in about.meta_by_field_name.items():
        repeated = about.default_gen[name] is list
        has_presence = meta.proto_type == "message" or bool(meta.wraps) or meta.optional or bool(meta.group)
        of, group = about.cls_by_field.get(name), meta.group or ""
        found[plain(name)] = Field(_json_name(name), name, meta.proto_type, repeated, has_presence, of, group)
    return found


def _json_name(name: str) -> str:
    if name == "url":
        return "URL"
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


def _message(value: Any, message: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    fields = fields_of(message)
    whole: Spec = {}
    for key, raw in value.items():
        field = fields.get(plain(key))
        if field is None:
            whole[key] = raw
        elif raw is not None:
            item = _field_value(raw, field)
            if (field.presence and not field.repeated) or item not in (0, "", False, [], {}):
                whole[field.name] = item
    return whole


def _field_value(raw: Any, field: Field) -> Any:
    if field.repeated and isinstance(raw, list):
        return [_single(item, field) for item in raw]
    return _single(raw, field)


def _single(raw: Any, field: Field) -> Any:
    if field.kind == "message" and field.of is datetime.timedelta:
        return _attempt(raw, lambda text: float(text.removesuffix("s")))
    if field.kind == "message" and field.of is int:
        return _attempt(raw, int)
    if field.kind == "message" and isinstance(raw, Mapping):
        return _message(raw, field.of)
    if field.kind in INTEGERS:
        return _attempt(raw, int)
    if field.kind == "float":
        # pachd keeps 32 bits of it: 0.01 comes back as 0.009999999776482582.
        return _attempt(raw, lambda number: float(f"{float(number):.6g}"))
    if field.kind == "double":
        return _attempt(raw, float)
    if field.kind == "enum":
        return enum_number(raw, field.of)
    return raw


def enum_number(raw: Any, enum: Any) -> Any:
    """The number of an enum's name; of what is none, `raw` itself."""
    if isinstance(raw, str):
        number = next((member.value for member in enum if member.name == raw), None)
        return raw if number is None else number
    return raw


def _attempt(raw: Any, change: Callable[[Any], Any]) -> Any:
    """`change(raw)`, or `raw` itself where it is of another type: pachd then says what is wrong with it."""
    try:
        return raw if isinstance(raw, bool) else change(raw)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return raw
