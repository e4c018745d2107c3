# SPDX-License-Identifier: GPL-3.0-or-later
"""Content-addressed chunks: a chunk is stored once, under the BLAKE2b-256 of its bytes.

Small chunks live in SQLite (one file each would cost more in the file system than their content);
larger ones are files under chunks/, written in drafts/ and renamed, so that a name never shows half a chunk.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import data_loss
from ..file_hash import chunk_id
from .db import Database

# Up to here SQLite reads and writes a blob faster than the file system does a file (sqlite.org/fasterthanfs).
INLINE_BYTES = 100_000
# Small chunks are written in batches: a transaction each would make 2,000 small files 2,000 transactions.
BATCH_BYTES = 4 << 20


class ChunkStore:
    """`put` many, then `flush` before anything refers to them."""

    def __init__(self, db: Database, directory: Path) -> None:
        self._db = db
        self._directory = directory / "chunks"
        self._drafts = directory / "drafts"
        self._directory.mkdir(exist_ok=True)
        # What is there was being written when the last server was killed.
        shutil.rmtree(self._drafts, ignore_errors=True)
        self._drafts.mkdir()

    @contextmanager
    def writer(self) -> Iterator[ChunkWriter]:
        """What is put stays until the end of the `with`; by then something in the database refers to it."""
        held = self._db.guard.enter()
        try:
            yield ChunkWriter(self._db, self._directory, self._drafts, held)
        finally:
            self._db.guard.leave(held)

    def get(self, digest: bytes) -> bytes:
        """The content of a chunk. Raises PachError (DATA_LOSS) when it is not there."""
        row = self._db.row("SELECT data FROM chunk WHERE id = ?", digest)
        if row:
            return bytes(row["data"])
        try:
            return _path(self._directory, digest).read_bytes()
        except FileNotFoundError:
            raise data_loss(
                f"chunk {digest.hex()} is missing from the storage; fsck lists what lacks it"
            ) from None

    def check(self, begin: bytes, end: bytes, read: bool) -> int:
        """How many chunks there are from id `begin` on, up to `end` and without it (b"" is no bound).

        `read`: raises PachError (DATA_LOSS) at one whose content is not what its id says.
        """
        small = [bytes(row["id"]) for row in self._db.rows("SELECT id FROM chunk")]
        found = [
            digest
            for digest in (*small, *(digest for digest, _path in self.large()))
            if begin <= digest and (not end or digest < end)
        ]
        for digest in found if read else []:
            if chunk_id(self.get(digest)) != digest:
                raise data_loss(f"chunk {digest.hex()} is damaged")
        return len(found)

    def large(self) -> Iterator[tuple[bytes, Path]]:
        """The chunks that are files, as they are found on disk."""
        for file in self._directory.glob("??/*"):
            yield bytes.fromhex(file.name), file


class ChunkWriter:
    """One client's writes; not thread-safe."""

    def __init__(self, db: Database, directory: Path, drafts: Path, held: set[bytes]) -> None:
        self._db = db
        self._directory = directory
        self._drafts = drafts
        self._held = held
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0

    def put(self, data: bytes) -> bytes:
        """Store `data`; the answer is its id. Durable after `flush`."""
        digest = chunk_id(data)
        self._db.guard.hold(self._held, digest)
        if len(data) > INLINE_BYTES:
            self._write_file(digest, data)
        else:
            self._pending.append((digest, data))
            self._pending_bytes += len(data)
            if self._pending_bytes >= BATCH_BYTES:
                self.flush()
        return digest

    def flush(self) -> None:
        if self._pending:
            with self._db.transaction():
                self._db.executemany("INSERT OR IGNORE INTO chunk VALUES (?, ?)", self._pending)
            self._pending = []
            self._pending_bytes = 0

    def _write_file(self, digest: bytes, data: bytes) -> None:
        target = _path(self._directory, digest)
        if target.exists():
            return
        target.parent.mkdir(exist_ok=True)
        draft = self._drafts / f"{target.name}.{threading.get_ident()}"
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(target)
        except OSError:  # a full disk: what is half there must not take more of it
            draft.unlink(missing_ok=True)
            raise


def _path(directory: Path, digest: bytes) -> Path:
    name = digest.hex()
    return directory / name[:2] / name
