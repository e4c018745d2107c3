# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads JSON into messages of the SDK as strictly as Go's protojson, and writes it as protojson does.

betterproto's own from_dict drops unknown fields and checks no types; its to_dict writes a float32 with the
digits of a double and leaves out a message that is present but empty. Neither may happen to a pipeline spec.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pachd_embedded.pps import gojson
from pachd_embedded.pps.json_scanner import ProtoJsonError, Scanner, Token
from pachd_embedded.pps.proto_schema import Field, fields_by_json_key, fields_of, full_name

# protojson stops at 10,000 levels; this process at what Python's stack surely holds.
MAX_DEPTH = 100

_INT_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"([-+]?)(?=[0-9.])(0|[1-9][0-9]*)?(?:\.([0-9]{0,9}))?s")
_MAX_DURATION_SECONDS = 315_576_000_000  # about 10,000 years, the limit of google.protobuf.Duration
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[-+][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(message: type[Any], text: str) -> Any:
    """The message that a JSON text describes; ProtoJsonError names the first thing wrong and where it is.

    Durations and times keep microseconds, which is what the SDK's classes hold.
    """
    scanner = Scanner(text)
    result = _message(scanner, message, 1)
    scanner.read()  # refuses anything behind the message
    return result


def _message(scanner: Scanner, message: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ProtoJsonError("exceeded max recursion depth")
    result = message()
    # An object in the text is a message that is present, even when it sets nothing.
    result._serialized_on_wire = True
    seen: set[str] = set()
    seen_oneofs: set[str] = set()
    for key in _keys(scanner):
        field = fields_by_json_key(message).get(key.text)
        if field is None:
            raise scanner.error(key.pos, f"unknown field {key.raw}")
        if field.name in seen:
            raise scanner.error(key.pos, f"duplicate field {key.raw}")
        seen.add(field.name)
        if scanner.peek().kind == "null":
            scanner.read()
            continue
        if field.oneof in seen_oneofs:
            where = f"{full_name(message)}.{field.oneof}"
            raise scanner.error(key.pos, f"error parsing {key.raw}, oneof {where} is already set")
        if field.oneof:
            seen_oneofs.add(field.oneof)
        setattr(result, field.name, _field(scanner, field, depth))
    return result


def _keys(scanner: Scanner) -> Any:
    """The keys of the object that comes next; the caller reads each value before it asks for the next key."""
    token = scanner.read()
    if token.kind != "{":
        raise scanner.unexpected(token)
    while (token := scanner.read()).kind != "}":
        if token.kind != "name":
            raise scanner.unexpected(token)
        yield token


def _field(scanner: Scanner, field: Field, depth: int) -> Any:
    if field.map:
        values: dict[str, Any] = {}
        for key in _keys(scanner):
            if key.text in values:
                raise scanner.error(key.pos, f"duplicate map key {key.raw}")
            values[key.text] = _value(scanner, field, depth)
        return values
    if not field.repeated:
        return _value(scanner, field, depth)
    token = scanner.read()
    if token.kind != "[":
        raise scanner.unexpected(token)
    items = []
    while scanner.peek().kind != "]":
        items.append(_value(scanner, field, depth))
    scanner.read()
    return items


def _value(scanner: Scanner, field: Field, depth: int) -> Any:
    if field.kind == "message" and not field.wraps:
        if field.type is timedelta:
            return _well_known(scanner, "Duration", _duration)
        if field.type is datetime:
            return _well_known(scanner, "Timestamp", _timestamp)
        return _message(scanner, field.type, depth + 1)
    token = scanner.read()
    kind = field.wraps or field.kind
    value = _scalar(kind, field, token)
    if value is None:
        raise scanner.error(token.pos, f"invalid value for {kind} type: {token.raw}")
    return value


def _scalar(kind: str, field: Field, token: Token) -> Any:
    """The Python value of a scalar token, or None where it does not fit the field."""
    if kind == "bool":
        return {"true": True, "false": False}.get(token.raw)
    if kind == "string":
        return token.text if token.kind == "string" else None
    if kind == "bytes":
        return _bytes(token)
    if kind == "enum":
        return _enum(field.type, token)
    number = token.raw if token.kind == "number" else token.text if token.kind == "string" else ""
    if kind in _INT_RANGES:
        return _integer(kind, number)
    return _float(kind, number, token)


def _integer(kind: str, number: str) -> int | None:
    """An integer written in any way JSON has for it, such as 1, 1.0 and 1e3, within the range of the kind."""
    if not _NUMBER.fullmatch(number):
        return None
    value = Decimal(number)
    low, high = _INT_RANGES[kind]
    if value.adjusted() > 20 or value != value.to_integral_value() or not low <= value <= high:
        return None
    return int(value)


def _float(kind: str, number: str, token: Token) -> float | None:
    if token.kind == "string" and number in ("NaN", "Infinity", "-Infinity"):
        return float(number)
    if not _NUMBER.fullmatch(number):
        return None
    value = float(number)
    if math.isinf(value):
        return None
    return _float32(value) if kind == "float" else value


def _float32(value: float) -> float | None:
    """What a float32 keeps of a value; None where it is too large for one."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return None


def _enum(enum: type[Any], token: Token) -> int | None:
    if token.kind == "string":
        return enum[token.text] if token.text in enum.__members__ else None
    value = _integer("int32", token.raw)
    if value is None or value not in enum.__members__.values():
        return value
    return enum(value)


def _bytes(token: Token) -> bytes | None:
    """Base64 in the standard or the URL alphabet, with or without padding."""
    if token.kind != "string":
        return None
    padded = token.text.translate({ord("-"): "+", ord("_"): "/"})
    if "=" not in padded:
        padded += "=" * (-len(padded) % 4)
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error:
        return None


def _well_known(scanner: Scanner, name: str, convert: Callable[[str], Any]) -> Any:
    token = scanner.read()
    if token.kind != "string":
        raise scanner.unexpected(token)
    try:
        return convert(token.text)
    except OverflowError:
        raise scanner.error(token.pos, f"google.protobuf.{name} value out of range: {token.raw}") from None
    except ValueError:
        raise scanner.error(token.pos, f"invalid google.protobuf.{name} value {token.raw}") from None


def _duration(text: str) -> timedelta:
    """Seconds with up to nine decimals and the suffix s, as "10s" or "-0.5s"; there is no other unit."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(text)
    sign, seconds, fraction = found.groups()
    if int(seconds or 0) > _MAX_DURATION_SECONDS:
        raise OverflowError(text)
    value = timedelta(seconds=int(seconds or 0), microseconds=int((fraction or "").ljust(9, "0")) // 1000)
    return -value if sign == "-" else value


def _timestamp(text: str) -> datetime:
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError(text)
    moment, fraction, zone = found.groups()
    micros = int((fraction or "").ljust(9, "0")) // 1000
    return datetime.fromisoformat(moment + zone).astimezone(UTC) + timedelta(microseconds=micros)


def render(message: Any) -> str:
    """The proto JSON of a message: declared order, 64-bit integers as strings, unset fields left out."""
    return gojson.dump(to_value(message))


def to_value(message: Any) -> dict[str, Any]:
    """The JSON object of a message, ready for gojson.dump."""
    message_type: Any = type(message)
    result: dict[str, Any] = {}
    for field in fields_of(message_type):
        value = getattr(message, field.name)
        if not _is_set(message, field, value):
            continue
        if field.map:
            result[field.json_name] = {key: _to_json(field, value[key]) for key in sorted(value)}
        elif field.repeated:
            result[field.json_name] = [_to_json(field, item) for item in value]
        else:
            result[field.json_name] = _to_json(field, value)
    return result


def _is_set(message: Any, field: Field, value: Any) -> bool:
    if value is None:
        return False
    if field.wraps:
        return True
    if field.oneof:
        return bool(message._group_current[field.oneof] == field.name)
    if field.kind != "message" or field.repeated:
        return bool(value)
    if isinstance(value, timedelta):
        return value != timedelta(0)
    if isinstance(value, datetime):
        return value != _EPOCH
    return bool(value._serialized_on_wire)


def _to_json(field: Field, value: Any) -> Any:
    kind = field.wraps or field.kind
    if kind == "message":
        if isinstance(value, timedelta):
            return _duration_text(value)
        if isinstance(value, datetime):
            return _timestamp_text(value)
        return to_value(value)
    if kind == "enum":
        return field.type(value).name if value in field.type.__members__.values() else int(value)
    if kind in ("int64", "uint64"):
        return str(value)
    if kind == "float":
        return gojson.Number(gojson.float32_text(value)) if math.isfinite(value) else _non_finite(value)
    if kind == "double":
        return value if math.isfinite(value) else _non_finite(value)
    if kind == "bytes":
        return base64.b64encode(value).decode()
    return value


def _non_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _fraction(micros: int) -> str:
    """Decimals of a second as proto JSON writes them: none, three or six."""
    if not micros:
        return ""
    return f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"


def _duration_text(value: timedelta) -> str:
    seconds, rest = divmod(abs(value), timedelta(seconds=1))
    sign = "-" if value < timedelta(0) else ""
    return f"{sign}{seconds}{_fraction(rest.microseconds)}s"


def _timestamp_text(value: datetime) -> str:
    moment = value.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}{_fraction(moment.microsecond)}Z"
