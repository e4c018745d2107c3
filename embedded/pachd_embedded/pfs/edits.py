# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream of ModifyFile asks for, and what becomes of a tree by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..store.chunks import ChunkWriter
from ..store.tree import Root
from .entries import Chunk, FileEntry, entry_key, entry_of, entry_value
from .model import CommitRef

if TYPE_CHECKING:
    from .modify import Files


@dataclass(frozen=True, slots=True)
class Add:
    """Append bytes to a file; it is created when it is not there."""

    path: str
    datum: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file, or with a trailing slash a directory's files. An empty datum means: of any datum."""

    path: str
    datum: str


@dataclass(frozen=True, slots=True)
class Copy:
    path: str
    datum: str
    source: CommitRef
    source_path: str
    append: bool


Change = Add | Delete | Copy


@dataclass(slots=True)
class Written:
    """Content that arrived for a path, in a row."""

    path: str
    datum: str
    chunks: list[Chunk] = field(default_factory=list)


class Edits:
    """Changes laid over a tree. `owner` is the id of the commit that they are written in."""

    def __init__(self, files: Files, writer: ChunkWriter, base: Root, owner: str) -> None:
        self._files = files
        self._writer = writer
        self._base = base
        self._owner = owner
        # (path, datum) of single files, whether they were there or not; "" is any datum.
        self.deleted: set[tuple[str, str]] = set()
        # path -> datum -> value; the value None removes the entry.
        self._written: dict[str, dict[str, list[Any] | None]] = {}

    def for_tree(self) -> dict[str, list[Any] | None]:
        return {
            entry_key(path, datum): value
            for path, datums in self._written.items()
            for datum, value in datums.items()
        }

    def apply(self, step: Written | Delete | Copy) -> None:
        if isinstance(step, Written):
            self.append(step.path, step.datum, step.chunks)
        elif isinstance(step, Delete):
            self.delete(step.path, step.datum)
        else:
            self._copy(step)

    def append(self, path: str, datum: str, chunks: Sequence[Chunk]) -> None:
        entry = self._entries(path).get(datum)
        if entry is not None:
            chunks = self._files.append(self._writer, entry.chunks, chunks)
        self._set(path, datum, entry_value(self._owner, chunks))

    def delete(self, path: str, datum: str) -> None:
        if path.endswith("/"):
            below = [file.path for file in self._files.tree(self._base).files(path.rstrip("/") or "/")]
            below += [written for written in self._written if written.startswith(path)]
            paths = {found for found in below if found.startswith(path)}
        else:
            paths = {path}
            self.deleted.add((path, datum))
        for found in paths:
            for owner in self._entries(found):
                if datum in ("", owner):
                    self._set(found, owner, None)

    def _copy(self, step: Copy) -> None:
        """Copy a file, or a directory's files: each replaces (or extends) the one that has its place."""
        _commit, source = self._files.snapshot(step.source)
        above = step.source_path.rstrip("/")
        for file in list(source.files(step.source_path)):
            target = step.path.rstrip("/") + file.path[len(above) :]
            if (
                not target
            ):  # a file copied to the root: as with one that is added there, nothing is seen of it
                continue
            if not step.append:
                self.delete(target, "")
            self.append(target, step.datum, file.chunks)

    def _entries(self, path: str) -> dict[str, FileEntry]:
        """The file as it stands after the changes so far: an entry for each datum that wrote it."""
        entries = {entry.datum: entry for entry in self._files.tree(self._base).entries(path)}
        for datum, value in self._written.get(path, {}).items():
            if value is None:
                entries.pop(datum, None)
            else:
                entries[datum] = entry_of(entry_key(path, datum), value)
        return entries

    def _set(self, path: str, datum: str, value: list[Any] | None) -> None:
        self._written.setdefault(path, {})[datum] = value
