# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as entries of a tree: key "path NUL datum", value [commit id, [[chunk id in hex, bytes], ...]].

The commit id is that of the commit which last wrote the file. NUL sorts before every character that
a path may hold, so entries come in the order of their paths, a directory's files together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..file_hash import hash_of_chunks

# The datum of files that a client wrote, as the API names it.
DEFAULT_DATUM = "default"

Chunk = tuple[str, int]


@dataclass(frozen=True, slots=True)
class FileEntry:
    path: str
    datum: str
    commit: str
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(size for _chunk, size in self.chunks)

    @property
    def hash(self) -> bytes:
        return hash_of_chunks([bytes.fromhex(digest) for digest, _size in self.chunks])


def entry_key(path: str, datum: str) -> str:
    return f"{path}\0{datum}"


def split_key(key: str) -> tuple[str, str]:
    path, _zero, datum = key.partition("\0")
    return path, datum


def entry_value(commit: str, chunks: Sequence[Chunk]) -> list[Any]:
    return [commit, [list(chunk) for chunk in chunks]]


def entry_of(key: str, value: list[Any]) -> FileEntry:
    path, datum = split_key(key)
    return FileEntry(path, datum, value[0], tuple((digest, size) for digest, size in value[1]))


def parents(path: str) -> Iterator[str]:
    """The directories above `path`, the nearest first, without the root: /a/b, /a for /a/b/c."""
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


def bytes_of_entry(value: list[Any]) -> int:
    return sum(size for _chunk, size in value[1])


def chunks_of_entry(value: list[Any]) -> Iterator[Chunk]:
    return ((digest, size) for digest, size in value[1])
