# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: content that is written first and becomes part of commits later, as often as one likes.

A file set has what it adds and what it deletes of what is there before. Added to a commit it first deletes,
then appends, so two that hold the same path are concatenated in the order in which they are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..errors import PachError, unknown
from ..store.chunks import ChunkStore
from ..store.db import Database
from ..store.tree import Root, TreeStore
from .commits import Commits
from .edits import Change, Edits
from .entries import entry_key, entry_value, split_key
from .file_set_store import FileSet, FileSetStore
from .lookup import Lookup
from .model import CommitRef
from .modify import Files

# As in pachd 2.12, in seconds.
DEFAULT_TTL = 600
MAX_TTL = 1800
# What ShardFileSet takes for a shard where the client does not say.
SHARD_FILES = 1_000_000
SHARD_BYTES = 1_000_000_000

# (from this path on, up to that one and without it); "" is no bound.
PathRange = tuple[str, str]


class FileSets:
    def __init__(
        self,
        db: Database,
        chunks: ChunkStore,
        trees: TreeStore,
        lookup: Lookup,
        commits: Commits,
        files: Files,
        store: FileSetStore,
    ) -> None:
        self._db = db
        self._chunks = chunks
        self._trees = trees
        self._lookup = lookup
        self._commits = commits
        self._files = files
        self._store = store

    def create(self, changes: Iterable[Change], confirm: Callable[[], None]) -> str:
        """A file set of these changes. A deleted directory loses what the set itself has in it."""
        with self._chunks.writer() as writer:
            steps = list(self._files.receive(changes, writer))
            writer.flush()
            with self._db.transaction():
                edits = Edits(self._files, writer, None, "")
                for step in steps:
                    edits.apply(step)
                writer.flush()
                file_set_id = self._put(edits, DEFAULT_TTL)
                confirm()
                return file_set_id

    def of_commit(self, ref: CommitRef, only_its_changes: bool) -> str:
        """The files of a commit, or what it changed of its parent's."""
        with self._db.transaction():
            commit, _snapshot = self._files.snapshot(ref)
            if not only_its_changes:
                return self._store.put(FileSet(commit.tree, None), DEFAULT_TTL)
            base = self._commits.base(commit)
            changed = list(self._trees.diff(base, commit.tree))
            added = {key: value for key, _old, value in changed if value is not None}
            deleted = [split_key(key) for key, _old, _new in changed]
            return self._store.put(
                FileSet(self._trees.apply(None, added), self._tree_of(deleted)), DEFAULT_TTL
            )

    def add(self, ref: CommitRef, file_set_id: str) -> None:
        """Write a file set into an open commit."""
        with self._chunks.writer() as writer, self._db.transaction():
            commit = self._files.open_commit(self._lookup.get_commit(ref))
            edits = Edits(self._files, writer, commit.tree, commit.id)
            try:
                self._lay_over(edits, self._store.get(file_set_id))
            except PachError as error:
                prefix = "" if error.text.startswith("parsing") else "add file set: "
                raise PachError(error.code, prefix + error.text) from None
            writer.flush()
            self._files.write(commit, edits)

    def compose(self, file_set_ids: Sequence[str], seconds: float) -> str:
        """One file set that does what these do one after the other. 0 seconds: it never expires."""
        with self._chunks.writer() as writer, self._db.transaction():
            edits = Edits(self._files, writer, None, "")
            for file_set_id in file_set_ids:
                self._lay_over(edits, self._store.get(file_set_id))
            writer.flush()
            return self._put(edits, seconds or float("inf"))

    def renew(self, file_set_id: str, seconds: int) -> None:
        nanoseconds = seconds * 10**9
        if seconds < 1:
            raise unknown(f"ttl ({nanoseconds}) must be at least one second")
        if seconds > MAX_TTL:
            raise unknown(f"ttl ({nanoseconds}) exceeds max ttl ({MAX_TTL * 10**9})")
        self._store.keep(file_set_id, seconds)

    def shards(self, file_set_id: str, files: int, size: int) -> list[PathRange]:
        """Ranges of paths that hold up to so many files (or bytes, whichever comes first) each."""
        most_files, most_bytes = files if files > 0 else SHARD_FILES, size if size > 0 else SHARD_BYTES
        ranges: list[PathRange] = []
        lower, count, total = "", 0, 0
        for file in self._files.tree(self._store.get(file_set_id).additive).files():
            if count >= most_files or total >= most_bytes:
                ranges.append((lower, file.path))
                lower, count, total = file.path, 0, 0
            count += 1
            total += file.size
        return [*ranges, (lower, "")]

    def _put(self, edits: Edits, seconds: float) -> str:
        added = {key: value for key, value in edits.for_tree().items() if value is not None}
        file_set = FileSet(self._trees.apply(None, added), self._tree_of(edits.deleted))
        return self._store.put(file_set, seconds)

    def _tree_of(self, deleted: Iterable[tuple[str, str]]) -> Root:
        return self._trees.apply(None, {entry_key(*each): entry_value("", []) for each in deleted})

    def _lay_over(self, edits: Edits, file_set: FileSet) -> None:
        for key, _value in self._trees.scan(file_set.deletive):
            edits.delete(*split_key(key))
        for file in self._files.tree(file_set.additive).files():
            edits.append(file.path, file.datum, file.chunks)
