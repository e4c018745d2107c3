# SPDX-License-Identifier: GPL-3.0-or-later
"""ModifyFile: one stream of changes, applied to a commit as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby

from ..errors import unknown
from ..file_hash import Chunker
from ..store.chunks import ChunkStore, ChunkWriter
from ..store.db import Database
from ..store.tree import Root, TreeStore
from .commits import Commits, refuse_forgotten
from .edits import Add, Change, Copy, Delete, Edits, Written
from .entries import DEFAULT_DATUM, Chunk
from .file_set_store import FileSetStore, is_file_set
from .lookup import Lookup
from .model import BranchKey, Commit, CommitRef
from .paths import clean_delete_path, clean_read_path, clean_write_path
from .snapshot import Snapshot


class Files:
    """Writes into commits. Content is stored while it arrives; what it means is decided at the end."""

    def __init__(
        self,
        db: Database,
        chunks: ChunkStore,
        trees: TreeStore,
        lookup: Lookup,
        commits: Commits,
        file_sets: FileSetStore,
    ) -> None:
        self._db = db
        self._chunks = chunks
        self._trees = trees
        self._lookup = lookup
        self._commits = commits
        self._file_sets = file_sets

    def snapshot(self, ref: CommitRef) -> tuple[Commit, Snapshot]:
        """The files of a commit, open ones included. Raises where pachd can't read it either.

        Commits of the repo __filesets__ are file sets.
        """
        if is_file_set(ref.repo):
            commit = self._file_sets.commit(ref)
        else:
            commit = self._based(self._lookup.get_commit(ref))
        if commit.invalid:
            raise unknown(commit.invalid)
        refuse_forgotten(commit)
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
            steps = list(self.receive(changes, writer))
            writer.flush()
            with self._db.transaction():
                commit, one_shot = self._target(ref)
                edits = Edits(self, writer, commit.tree, commit.id)
                for step in steps:
                    edits.apply(step)
                writer.flush()
                self.write(commit, edits)
                if one_shot:
                    self._commits.close(commit, "", "")
                confirm()

    def write(self, commit: Commit, edits: Edits) -> None:
        """Put changes that were laid over the commit's tree into it."""
        self._commits.set_tree(commit.seq, self._trees.apply(commit.tree, edits.for_tree()))

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

    def receive(self, changes: Iterable[Change], writer: ChunkWriter) -> Iterator[Written | Delete | Copy]:
        """Check each change and store its content; additions to one file in a row become one."""
        for _file, run in groupby(map(_checked, changes), key=_same_file):
            first = next(run, None)
            if isinstance(first, Add):
                if first.path == "/":  # pachd takes it and shows nothing
                    continue
                data = (add.data for add in chain([first], run) if isinstance(add, Add))
                yield Written(first.path, first.datum, self.store(writer, data))
            elif first is not None:
                yield first

    def _target(self, ref: CommitRef) -> tuple[Commit, bool]:
        """The commit to write into and whether it was made just for this stream."""
        if is_commit_id(ref.id):
            return self.open_commit(self._lookup.get_commit(ref)), False
        key = BranchKey(ref.repo, ref.branch or ref.id)
        branch = self._lookup.find_branch(key)
        head = self._lookup.commit_by_seq(branch.head) if branch else None
        if head is not None and head.finishing is None:
            return self.open_commit(head), False
        return self._commits.start(key, None, ""), True

    def open_commit(self, commit: Commit) -> Commit:
        """The commit, to write into it. Raises where it is finished, or its parent is not."""
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
