# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages in protobuf's wire format, for speed. PRIVATE to the collection: it may change at any time.

The SDK's messages take some 0.2 ms each to build or to read, which for thousands of files is longer than all
of the rest. Only what a sync needs is coded here; field numbers are those of the SDK's pfs module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FILE_TYPE_DIR = 2


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file or directory of a commit. `path` has a leading slash, and that of a directory a trailing one."""

    path: str
    size: int
    hash: bytes
    is_dir: bool


def reading(message: Any, *names: str) -> Callable[[bytes], Any]:
    """A reader of this message class of the SDK that leaves all other fields out, as if they were not set."""
    # Comes with the SDK.
    from betterproto import parse_fields

    fields = message()._betterproto.meta_by_field_name
    numbers = {fields[name].number for name in names}

    def read(data: bytes) -> Any:
        return message().parse(b"".join(one.raw for one in parse_fields(data) if one.number in numbers))

    return read


def read_file_info(message: bytes) -> RemoteFile:
    """pfs.FileInfo: file = 1 (path = 2), file_type = 2, size_bytes = 4, hash = 5."""
    path, kind, size, digest = "", 0, 0, b""
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            path = next((v.decode() for n, v in _fields(value) if n == 2 and isinstance(v, bytes)), "")
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 4 and isinstance(value, int):
            size = value
        elif number == 5 and isinstance(value, bytes):
            digest = value
    return RemoteFile(path, size, digest, kind == _FILE_TYPE_DIR)


def read_bytes_value(message: bytes) -> bytes:
    """google.protobuf.BytesValue, a piece of a file: value = 1."""
    return b"".join(value for number, value in _fields(message) if number == 1 and isinstance(value, bytes))


def set_commit(commit: bytes) -> bytes:
    """pfs.ModifyFileRequest: set_commit = 1, an encoded pfs.Commit."""
    return _field(1, commit)


def add_file(path: str, content: bytes) -> bytes:
    """pfs.ModifyFileRequest: add_file = 2 (path = 1, raw = 3, a BytesValue of value = 1). It appends."""
    value = _field(1, content) if content else b""
    return _field(2, _field(1, path.encode()) + _field(3, value))


def delete_file(path: str) -> bytes:
    """pfs.ModifyFileRequest: delete_file = 3 (path = 1)."""
    return _field(3, _field(1, path.encode()))


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field. Raises ValueError where the message is cut off or no protobuf."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            length, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} in a message of pachd")
        if at + length > len(message):
            raise ValueError("a message of pachd is cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("a message of pachd is cut off")
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
