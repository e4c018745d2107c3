# SPDX-License-Identifier: GPL-3.0-or-later
"""Types of a pipeline spec's values. PRIVATE to the collection: it may change at any time.

pachd refuses them, too, but names neither the key nor the file. What is accepted is what protobuf's JSON
mapping accepts: whole numbers and durations may be texts, null means that a field is not set.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ._sdk import sdk
from ._spec_1x import plain
from ._spec_normal import INTEGERS, Field, fields_of

_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")


def type_problem(spec: Mapping[str, Any]) -> str:
    """The path of the first field whose value is of a wrong type, and what it must be; "" if there is none.

    Fields that the SDK does not know are left to pachd. No text out of transform.env is ever in the answer.
    """
    return next(_of_message(spec, sdk().pps.CreatePipelineRequest, ""), "")


def _of_message(value: Any, message: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield _must(path, "a mapping", value)
        return
    fields = fields_of(message)
    for key, raw in value.items():
        field = fields.get(plain(str(key)))
        if field is not None and raw is not None:
            yield from _of_field(raw, field, f"{path}.{key}" if path else str(key))


def _of_field(raw: Any, field: Field, path: str) -> Iterator[str]:
    if field.kind == "map":
        # Each map of a spec has texts as its values: env, labels, annotations, node selectors.
        if not isinstance(raw, Mapping):
            yield _must(path, "a mapping of texts", raw)
            return
        wrong = [key for key, value in raw.items() if not isinstance(value, str)]
        yield from (_must(f"{path}.{key}", "a text in quotes", raw[key]) for key in wrong)
    elif field.repeated:
        if not isinstance(raw, list):
            yield _must(path, "a list", raw)
            return
        for index, item in enumerate(raw):
            yield from _of_single(item, field, f"{path}[{index}]")
    else:
        yield from _of_single(raw, field, path)


def _of_single(raw: Any, field: Field, path: str) -> Iterator[str]:
    if field.kind == "message" and field.of is datetime.timedelta:
        if not isinstance(raw, str) or not _DURATION.fullmatch(raw):
            yield _must(path, 'a text of seconds such as "30s"', raw, show=True)
    elif field.kind in INTEGERS or field.of is int:
        if not _is_number(raw, whole=True):
            yield _must(path, "a whole number", raw, show=True)
    elif field.kind in ("float", "double"):
        if not _is_number(raw, whole=False):
            yield _must(path, "a number", raw, show=True)
    elif field.kind == "bool":
        if not isinstance(raw, bool):
            yield _must(path, "true or false, without quotes", raw)
    elif field.kind == "enum":
        if isinstance(raw, bool) or not isinstance(raw, str | int):
            yield _must(path, "a name", raw)
    elif field.kind == "message" and hasattr(field.of, "_betterproto"):
        yield from _of_message(raw, field.of, path)
    elif not isinstance(raw, str):
        yield _must(path, "a text", raw)


def _is_number(raw: Any, whole: bool) -> bool:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        return False
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return False
    return number.is_integer() or not whole


def _must(path: str, what: str, raw: Any, show: bool = False) -> str:
    """`show`: the value may be printed. It is no more than a number or a time that its user mistyped."""
    if show and isinstance(raw, str | int | float) and not isinstance(raw, bool):
        return f"{path}: must be {what}, not {raw!r}"
    return f"{path}: must be {what}, not {_kind(raw)}"


def _kind(raw: Any) -> str:
    if raw is None:
        return "null"
    kinds = {"bool": "true or false", "str": "a text", "list": "a list", "dict": "a mapping"}
    return kinds.get(type(raw).__name__, "a number")
