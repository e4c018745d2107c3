# SPDX-License-Identifier: GPL-3.0-or-later
"""Compact JSON as Go's encoders write it: its form of numbers, and HTML characters escaped if asked."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import Any

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Number(str):
    """A JSON number with its digits as they were written."""

    __slots__ = ()


def load(text: str) -> Any:
    """Valid JSON as Python objects; numbers become Number, so that merging changes no digit."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def dump(value: Any) -> str:
    """JSON with no spaces, keys in the order of the dict."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(key)}:{dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, str):
        return _string(value)
    return json.dumps(value)


def dump_canonical(value: Any) -> str:
    """JSON with sorted keys, numbers as a double prints them, and <, >, & escaped."""
    text = dump(_canonical(value))
    for char, escape in _HTML.items():
        text = text.replace(char, escape)
    return text


def float_text(value: float) -> str:
    """The shortest digits that give the double again; an exponent below 1e-6 and from 1e21 on."""
    return _number_text(repr(value), value)


def float32_text(value: float) -> str:
    """The shortest digits that give the same float32, e.g. 0.01 for 0.009999999776482582."""
    wanted = struct.pack("<f", value)
    digits = next(
        text
        for precision in range(1, 10)
        if struct.pack("<f", float(text := f"{value:.{precision}g}")) == wanted
    )
    return _number_text(digits, value)


def _number_text(digits: str, value: float) -> str:
    number = Decimal(digits)
    if number == 0:
        return "-0" if number.is_signed() else "0"
    if 1e-6 <= abs(value) < 1e21:
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _e, exponent = f"{number.normalize():e}".partition("e")
    return f"{mantissa}e{exponent}"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _canonical(value: Any) -> Any:
    if isinstance(value, Number):
        return float(value)
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value
