# SPDX-License-Identifier: GPL-3.0-or-later
"""ModifyFile: one stream of changes, applied to a commit as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Any

from ..errors import unknown
from ..file_hash import Chunker
from ..store.chunks import ChunkStore, ChunkWriter
from ..store.db import Database
from ..store.tree import Root, TreeStore
from .commits import Commits
from .entries import DEFAULT_DATUM, Chunk, FileEntry, entry_key, entry_of, entry_value
from .lookup import Lookup
from .model import BranchKey, Commit, CommitRef
from .paths import clean_delete_path, clean_read_path, clean_write_path
from .snapshot import Snapshot


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
class _Written:
    """Content that arrived for a path, in a row."""

    path: str
    datum: str
    chunks: list[Chunk] = field(default_factory=list)


class Files:
    """Writes into commits. Content is stored while it arrives; what it means is decided at the end."""

    def __init__(
        self,
        db: Database,
        chunks: ChunkStore,
        trees: TreeStore,
        lookup: Lookup,
        commits: Commits,
    ) -> None:
        self._db = db
        self._chunks = chunks
        self._trees = trees
        self._lookup = lookup
        self._commits = commits

    def snapshot(self, ref: CommitRef) -> tuple[Commit, Snapshot]:
        """The files of a commit, open ones included. Raises where pachd can't read it either."""
        commit = self._lookup.get_commit(ref)
        commit = self._based(commit)
        if commit.invalid:
            raise unknown(commit.invalid)
        snapshot = Snapshot(self._trees, commit.tree)
        self._db.guard.read(snapshot, commit.tree)
        return commit, snapshot

    def read(self, chunks: Iterable[Chunk], offset: int = 0) -> Iterator[bytes]:
        """The content behind `chunks`, from `offset` bytes on."""
        for digest, size in chunks:
            if offset >= size:
                offset -= size
            else:
                yield self._chunks.get(bytes.fromhex(digest))[offset:]
                offset = 0

    def modify(
        self, ref: CommitRef, changes: Iterable[Change], confirm: Callable[[], None] = lambda: None
    ) -> None:
        """Apply `changes` in order. A finished or missing head gets a new commit with just these changes.

        `confirm` is called last; when it raises, nothing is written.
        """
        self._lookup.get_repo(ref.repo)
        with self._chunks.writer() as writer:
            steps = list(self._receive(changes, writer))
            writer.flush()
            with self._db.transaction():
                commit, one_shot = self._target(ref)
                edits = _Edits(self, writer, commit)
                for step in steps:
                    edits.apply(step)
                writer.flush()
                self._commits.set_tree(commit.seq, self._trees.apply(commit.tree, edits.for_tree()))
                if one_shot:
                    self._commits.close(commit, "", "")
                confirm()

    def store(self, writer: ChunkWriter, data: Iterable[bytes]) -> list[Chunk]:
        """Write content as chunks; the caller flushes the writer."""
        chunker = Chunker()
        chunks: list[Chunk] = []
        for block in data:
            chunks += [(writer.put(bytes(chunk)).hex(), len(chunk)) for chunk in chunker.update(block)]
        return chunks + [(writer.put(bytes(chunk)).hex(), len(chunk)) for chunk in chunker.finish()]

    def append(self, writer: ChunkWriter, old: Iterable[Chunk], new: Iterable[Chunk]) -> list[Chunk]:
        """`old` followed by `new`, cut as if it had been written at once."""
        *kept, last = list(old) or [("", 0)]
        if last[1] == 0:
            return [*kept, *new]
        writer.flush()
        return [*kept, *self.store(writer, self.read([last, *new]))]

    def tree(self, root: Root) -> Snapshot:
        return Snapshot(self._trees, root)

    def _receive(self, changes: Iterable[Change], writer: ChunkWriter) -> Iterator[_Written | Delete | Copy]:
        """Check each change and store its content; additions to one file in a row become one."""
        for _, run in groupby(map(_checked, changes), key=_same_file):
            first = next(run)
            if not isinstance(first, Add):
                yield first
            elif first.path != "/":  # pachd takes it and shows nothing
                data = (add.data for add in chain([first], run) if isinstance(add, Add))
                yield _Written(first.path, first.datum, self.store(writer, data))

    def _target(self, ref: CommitRef) -> tuple[Commit, bool]:
        """The commit to write into and whether it was made just for this stream."""
        if is_commit_id(ref.id):
            return self._open(self._lookup.get_commit(ref)), False
        key = BranchKey(ref.repo, ref.branch or ref.id)
        branch = self._lookup.find_branch(key)
        head = self._lookup.commit_by_seq(branch.head) if branch else None
        if head is not None and head.finishing is None:
            return self._open(head), False
        return self._commits.start(key, None, ""), True

    def _open(self, commit: Commit) -> Commit:
        if commit.finishing is not None:
            raise unknown(f"commit {commit} has already finished")
        return self._based(commit)

    def _based(self, commit: Commit) -> Commit:
        """The commit with the files that it starts from, which it has once its parent is finished."""
        commit = self._commits.based(commit)
        if not commit.based:
            parent = self._lookup.commit_by_seq(commit.parent or 0)
            raise unknown(f"base commit {parent} for commit {commit} unfinished")
        return commit


class _Edits:
    """The changes of one stream, laid over the tree of the commit that they go into."""

    def __init__(self, files: Files, writer: ChunkWriter, commit: Commit) -> None:
        self._files = files
        self._writer = writer
        self._commit = commit
        # path -> datum -> value; the value None removes the entry.
        self._written: dict[str, dict[str, list[Any] | None]] = {}

    def for_tree(self) -> dict[str, list[Any] | None]:
        return {
            entry_key(path, datum): value
            for path, datums in self._written.items()
            for datum, value in datums.items()
        }

    def apply(self, step: _Written | Delete | Copy) -> None:
        if isinstance(step, _Written):
            self._append(step.path, step.datum, step.chunks)
        elif isinstance(step, Delete):
            self._delete(step.path, step.datum)
        else:
            self._copy(step)

    def _append(self, path: str, datum: str, chunks: Sequence[Chunk]) -> None:
        entry = self._entries(path).get(datum)
        if entry is not None:
            chunks = self._files.append(self._writer, entry.chunks, chunks)
        self._set(path, datum, entry_value(self._commit.id, chunks))

    def _delete(self, path: str, datum: str) -> None:
        if path.endswith("/"):
            below = [file.path for file in self._files.tree(self._commit.tree).files(path.rstrip("/") or "/")]
            below += [written for written in self._written if written.startswith(path)]
            paths = {found for found in below if found.startswith(path)}
        else:
            paths = {path}
        for found in paths:
            for owner in self._entries(found):
                if datum in ("", owner):
                    self._set(found, owner, None)

    def _copy(self, step: Copy) -> None:
        """Copy a file, or a directory's files: each replaces (or extends) the one that has its place."""
        _, source = self._files.snapshot(step.source)
        above = step.source_path.rstrip("/")
        for file in list(source.files(step.source_path)):
            target = step.path.rstrip("/") + file.path[len(above) :]
            if not step.append:
                self._delete(target, "")
            self._append(target, step.datum, file.chunks)

    def _entries(self, path: str) -> dict[str, FileEntry]:
        """The file as it stands after the changes so far: an entry for each datum that wrote it."""
        entries = {entry.datum: entry for entry in self._files.tree(self._commit.tree).entries(path)}
        for datum, value in self._written.get(path, {}).items():
            if value is None:
                entries.pop(datum, None)
            else:
                entries[datum] = entry_of(entry_key(path, datum), value)
        return entries

    def _set(self, path: str, datum: str, value: list[Any] | None) -> None:
        self._written.setdefault(path, {})[datum] = value


def _checked(change: Change) -> Change:
    """The change with its path as PFS stores it, or pachd's refusal."""
    datum = change.datum or DEFAULT_DATUM
    if isinstance(change, Delete):
        return Delete(clean_delete_path(change.path), change.datum)
    if isinstance(change, Add):
        return Add(clean_write_path(change.path), datum, change.data)
    source_path = clean_read_path(change.source_path)
    return Copy(clean_write_path(change.path), datum, change.source, source_path, change.append)


def _same_file(change: Change) -> object:
    """Equal for additions to one file, different for everything else."""
    return (change.path, change.datum) if isinstance(change, Add) else object()


def is_commit_id(name: str) -> bool:
    return len(name) == 32 and all(character in "0123456789abcdef" for character in name)
