# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection: what no table refers to any more is deleted, and its space given back to the disk.

It looks once at what is in use, then walks the trees without holding anybody up: a tree never changes, and
what is written meanwhile is fresh (see guard.py). Killed at any moment it leaves some garbage, no damage.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import roots
from .chunks import ChunkStore
from .db import Database
from .tree import parse_node

log = logging.getLogger(__name__)

# Rows and pages that are deleted at a time, so that nobody waits long for the database.
BATCH = 500
# The background collection takes at most this part of the time.
SHARE = 0.05

ChunksOf = Callable[[Any], Iterable[tuple[str, int]]]


@dataclass(frozen=True)
class Collected:
    """What a collection freed: chunks of files, nodes of trees, and the bytes on disk of both."""

    freed_chunks: int = 0
    freed_nodes: int = 0
    freed_bytes: int = 0


@dataclass
class _Used:
    nodes: set[bytes] = field(default_factory=set)
    chunks: set[bytes] = field(default_factory=set)


class Storage:
    """`collect` on demand, and by itself between `start` and `stop`.

    `chunks_of` tells which chunks (id in hex, bytes) an entry of a file tree names.
    """

    def __init__(self, db: Database, chunks: ChunkStore, chunks_of: ChunksOf) -> None:
        self._db = db
        self._chunks = chunks
        self._chunks_of = chunks_of
        # One collection at a time, and none while somebody checks what there is.
        self.busy = threading.Lock()
        self._stopping = threading.Event()
        self._loop: threading.Thread | None = None

    def start(self, period: float) -> None:
        """Collect every `period` seconds if anything was written meanwhile; never by itself when it is 0."""
        if period:
            self._loop = threading.Thread(target=self._run, args=(period,), name="gc")
            self._loop.start()

    def stop(self) -> None:
        """Ends a collection that runs, too."""
        self._stopping.set()
        if self._loop is not None:
            self._loop.join()

    def collect(self) -> Collected:
        """Delete what nothing refers to; writers, readers and jobs go on meanwhile.

        Raises LookupError, and deletes nothing, when a part of a tree is missing (fsck then tells more).
        """
        with self.busy:
            try:
                used = self._used()
                # Files first: deleting them needs no space, as writing into the database does.
                files, file_bytes = self._delete_files(used.chunks)
                rows = self._delete_rows("chunk", used.chunks)
                nodes = self._delete_rows("node", used.nodes)
            finally:
                self._db.guard.end()
            return Collected(files + rows, nodes, file_bytes + self._shrink())

    def _run(self, period: float) -> None:
        seen, pause = 0, period
        while not self._stopping.wait(pause):
            version = self._db.wait_for_change(seen, timeout=0)
            if version == seen:
                continue
            began = time.monotonic()
            try:
                freed = self.collect()
            except Exception:
                # Tried again: a full disk may have room by then, and nobody waits for an answer.
                log.exception("garbage collection failed")
            else:
                if freed != Collected():
                    log.info("garbage collection: %s", freed)
            seen = self._db.wait_for_change(version, timeout=0)
            pause = max(period, (time.monotonic() - began) / SHARE)

    def _used(self) -> _Used:
        """Everything that can be reached from the tables now."""
        used = _Used()
        with self._db.transaction():
            for sql in roots.FORGOTTEN:
                self._db.execute(sql)
            trees = [(root, True) for root in self._db.guard.start()]
            for kind, has_chunks in ((roots.FILE_TREES, True), (roots.OTHER_TREES, False)):
                trees += [(bytes(row[1]), has_chunks) for sql in kind for row in self._db.rows(sql)]
            used.chunks.update(bytes.fromhex(row[1]) for sql in roots.CHUNKS for row in self._db.rows(sql))
        for root, has_chunks in trees:
            self._mark(root, has_chunks, used)
        return used

    def _mark(self, root: bytes, has_chunks: bool, used: _Used) -> None:
        queue = [root]
        while queue:
            digest = queue.pop()
            if digest in used.nodes:
                continue
            row = self._db.row("SELECT data FROM node WHERE id = ?", digest)
            if row is None:
                raise LookupError(f"tree node {digest.hex()} is missing from the database")
            used.nodes.add(digest)
            children, entries = parse_node(row["data"])
            queue += children
            if has_chunks:
                for _key, value in entries:
                    used.chunks.update(bytes.fromhex(name) for name, _size in self._chunks_of(value))

    def _delete_files(self, used: set[bytes]) -> tuple[int, int]:
        """How many files, and how many bytes they had."""
        count, size = 0, 0
        for digest, path in self._chunks.large():
            if digest in used or self._stopping.is_set():
                continue
            with self._db.guard.lock:
                if not self._db.guard.is_fresh(digest):
                    size += path.stat().st_size
                    path.unlink()
                    count += 1
        return count, size

    def _delete_rows(self, table: str, used: set[bytes]) -> int:
        count, last = 0, b""
        while not self._stopping.is_set():
            sql = f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?"
            ids = [bytes(row["id"]) for row in self._db.rows(sql, last, BATCH)]
            if not ids:
                break
            last = ids[-1]
            if garbage := [digest for digest in ids if digest not in used]:
                with self._db.transaction():
                    dead = [(digest,) for digest in garbage if not self._db.guard.is_fresh(digest)]
                    self._db.executemany(f"DELETE FROM {table} WHERE id = ?", dead)
                count += len(dead)
        return count

    def _shrink(self) -> int:
        """Give the database's free pages back to the disk; how many bytes that are."""
        freed = 0
        while not self._stopping.is_set():
            with self._db.hold():
                before = self._pragma("page_count")
                self._db.rows(f"PRAGMA incremental_vacuum({BATCH})")
                pages = before - self._pragma("page_count")
                if pages <= 0:
                    # The file itself gets shorter only when its journal is written back to it.
                    self._db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
                    break
            freed += pages * self._pragma("page_size")
        return freed

    def _pragma(self, name: str) -> int:
        row = self._db.row(f"PRAGMA {name}")
        assert row is not None
        return int(row[0])
