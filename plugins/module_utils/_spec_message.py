# SPDX-License-Identifier: GPL-3.0-or-later
"""A pipeline spec as the SDK's message. PRIVATE to the collection: it may change at any time.

A transaction takes messages, and betterproto's own reader leaves numbers of lists as texts and drops what it
does not know.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ._errors import PachydermError
from ._sdk import sdk
from ._spec_1x import plain
from ._spec_normal import INTEGERS, Field, enum_number, fields_of


def request_message(spec: Mapping[str, Any]) -> Any:
    """The pps.CreatePipelineRequest of a spec in protobuf's JSON, as a dry run answers it.

    Raises PachydermError for a field that the SDK does not know: pachd may be newer.
    """
    return _message(spec, sdk().pps.CreatePipelineRequest, "")


def _message(value: Mapping[str, Any], message: Any, path: str) -> Any:
    fields = fields_of(message)
    # For one that is not None and not given, betterproto would make an empty message, and another to compare.
    given: dict[str, Any] = {
        f.attribute: None for f in fields.values() if f.presence and not f.repeated and not f.group
    }
    for key, raw in value.items():
        field = fields.get(plain(key))
        if field is None:
            raise PachydermError(
                f"{path}{key}: the installed pachyderm-sdk does not know this field; install a newer one,"
                " or declare the pipeline in a task of its own"
            )
        if raw is not None:
            below = f"{path}{key}."
            many = field.repeated
            given[field.attribute] = (
                [_value(item, field, below) for item in raw] if many else _value(raw, field, below)
            )
    return message(**given)


def _value(raw: Any, field: Field, path: str) -> Any:
    if field.of is datetime.timedelta:
        return datetime.timedelta(seconds=float(raw.removesuffix("s")))
    if field.of is datetime.datetime:
        return datetime.datetime.fromisoformat(raw)
    if field.kind in INTEGERS or field.of is int:
        return int(raw)
    if field.kind in ("float", "double"):
        return float(raw)
    if field.kind == "enum":
        return enum_number(raw, field.of)
    if field.kind == "message":
        return _message(raw, field.of, path)
    return raw
