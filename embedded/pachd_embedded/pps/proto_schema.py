# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a message as JSON sees them, read from the SDK's generated classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import betterproto
from pachyderm_sdk.api import pps

# Fields that the generator renamed; JSON goes by the name in the .proto file.
_PROTO_NAMES: dict[tuple[type[Any], str], str] = {(pps.Egress, "url"): "URL"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    `kind` is a proto type (bool, int64, float, string, bytes, enum, message), for a map that of its values;
    `type` is the Python class of one value. `wraps` is the scalar kind of a google.protobuf wrapper.
    """

    name: str
    proto_name: str
    json_name: str
    kind: str
    type: type[Any]
    wraps: str
    oneof: str
    repeated: bool
    map: bool


@cache
def fields_of(message: Any) -> tuple[Field, ...]:
    """The fields of a message class in the order in which the .proto file declares them."""
    schema = message()._betterproto
    return tuple(_field(message, schema, name) for name in schema.meta_by_field_name)


@cache
def fields_by_json_key(message: Any) -> dict[str, Field]:
    """A field by each key that JSON may use for it: lowerCamelCase and the proto name."""
    keys = {field.proto_name: field for field in fields_of(message)}
    return keys | {field.json_name: field for field in fields_of(message)}


def full_name(message: type[Any]) -> str:
    """The message's name in the protobuf package, e.g. pps_v2.Egress."""
    return f"{message.__module__.rsplit('.', 1)[-1]}_v2.{message.__name__}"


def _field(message: type[Any], schema: Any, name: str) -> Field:
    meta = schema.meta_by_field_name[name]
    is_map = meta.proto_type == betterproto.TYPE_MAP
    proto_name = _PROTO_NAMES.get((message, name), name)
    head, *tail = proto_name.split("_")
    return Field(
        name=name,
        proto_name=proto_name,
        json_name=head + "".join(part[:1].upper() + part[1:] for part in tail),
        kind=meta.map_types[1] if is_map else meta.proto_type,
        type=schema.cls_by_field[f"{name}.value" if is_map else name],
        wraps=meta.wraps or "",
        oneof=meta.group or "",
        repeated=schema.default_gen[name] is list,
        map=is_map,
    )
