# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether all that the tables refer to is there and is what its name, a hash, says it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import PachError
from ..file_hash import chunk_id
from . import roots
from .chunks import ChunkStore
from .collector import ChunksOf
from .db import Database
from .tree import node_id, parse_node


@dataclass
class Verifier:
    """`problems` once; each damaged node or chunk is told once, with the first that refers to it."""

    db: Database
    chunks: ChunkStore
    chunks_of: ChunksOf
    _nodes: set[bytes] = field(default_factory=set)
    _chunks: set[str] = field(default_factory=set)

    def problems(self) -> Iterator[str]:
        """One line for each. The caller keeps garbage collection away meanwhile."""
        for row in self.db.rows("PRAGMA integrity_check"):
            if row[0] != "ok":
                yield f"database: {row[0]}"
        for row in self.db.rows("PRAGMA foreign_key_check"):
            yield f"database: a row of table {row[0]} refers to one of table {row[2]} that is not there"
        for sql in roots.FILE_TREES:
            for name, root in self.db.rows(sql):
                yield from self._tree(name, bytes(root), has_chunks=True)
        for sql in roots.OTHER_TREES:
            for name, root in self.db.rows(sql):
                yield from self._tree(name, bytes(root), has_chunks=False)
        for sql in roots.CHUNKS:
            for name, digest in self.db.rows(sql):
                yield from self._chunk(name, digest, None)

    def _tree(self, name: str, root: bytes, has_chunks: bool) -> Iterator[str]:
        queue = [root]
        while queue:
            digest = queue.pop()
            if digest in self._nodes:
                continue
            self._nodes.add(digest)
            row = self.db.row("SELECT data FROM node WHERE id = ?", digest)
            if row is None or node_id(row["data"]) != digest:
                yield f"{name}: tree node {digest.hex()} is {'missing' if row is None else 'damaged'}"
                continue
            children, entries = parse_node(row["data"])
            queue += children
            for key, value in entries if has_chunks else []:
                path = key.partition("\0")[0]
                for chunk, size in self.chunks_of(value):
                    yield from self._chunk(f"{name}:{path}", chunk, size)

    def _chunk(self, name: str, digest: str, size: int | None) -> Iterator[str]:
        if digest in self._chunks:
            return
        self._chunks.add(digest)
        try:
            data = self.chunks.get(bytes.fromhex(digest))
        except PachError:
            yield f"{name}: chunk {digest} is missing"
            return
        if chunk_id(data).hex() != digest or size not in (None, len(data)):
            yield f"{name}: chunk {digest} is damaged"
