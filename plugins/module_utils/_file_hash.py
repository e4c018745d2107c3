# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash that pachd 2.12 gives a file (FileInfo.hash), and the chunks that it is made of.

PRIVATE to the collection: may change at any time.

With B for BLAKE2b of 256 bits, the hash of a file is B over the concatenated B of its chunks. Chunks end
where the content says so: after a byte where the low 23 bits of a rolling sum (buzhash, 64-byte window that
starts as zeros in each chunk) are 0, once the chunk has MIN_CHUNK bytes, and at MAX_CHUNK bytes in any case.
So a file below MIN_CHUNK bytes is one chunk, and an empty file none. The rule was measured on a real pachd;
it holds for a file whose bytes all came in one stream.

numpy is needed for speed only, and only for files of MIN_CHUNK bytes and more: about 140 MB/s with it,
some 5 MB/s without, with the same result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from ._buzhash_table import TABLE

MIN_CHUNK = 1_000_000
MAX_CHUNK = 20_000_000

_WINDOW = 64
_CUT_MASK = (1 << 23) - 1
_WORD_MASK = (1 << 64) - 1
# Bytes scanned at a time: the numbers made of them have to stay in the processor's cache.
_BLOCK = 64 * 1024
_READ_SIZE = 1024 * 1024

# Takes a chunk's bytes and the first and last of the lengths to try; the first of them to cut at, or None.
_CutFinder = Callable[[bytearray, int, int], "int | None"]


class Chunker:
    """Splits the bytes of one file, in any framing, into the chunks that pachd makes of them.

    Holds at most MAX_CHUNK bytes and a little of the next chunk. To go on with a file that grows, start
    with the content of its last chunk: the chunks are the same as those of the whole.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        # Lengths of the pending chunk at which a cut has been ruled out: all up to this one.
        self._scanned = MIN_CHUNK - 1
        self._find_cut: _CutFinder | None = None
        self._empty = True

    def update(self, data: bytes | bytearray | memoryview) -> list[bytes]:
        """Takes the next bytes of the file; returns the chunks that they complete, most often none."""
        chunks = []
        view = memoryview(data)
        for start in range(0, len(view), _BLOCK):
            self._empty = False
            self._pending += view[start : start + _BLOCK]
            if len(self._pending) - self._scanned >= _BLOCK:
                chunks += self._cut()
        return chunks

    def finish(self) -> list[bytes]:
        """The chunks that remain at the end of the file. An empty file has none.

        The last one is empty if the file ends where a chunk does: pachd hashes that one too.
        """
        return [] if self._empty else [*self._cut(), bytes(self._pending)]

    def _cut(self) -> list[bytes]:
        """The pending chunk, if it ends in what has not been scanned. That is too short to end two."""
        end = min(len(self._pending), MAX_CHUNK)
        if end <= self._scanned:
            return []
        self._find_cut = self._find_cut or _cut_finder()
        length = self._find_cut(self._pending, self._scanned + 1, end)
        if length is None and end < MAX_CHUNK:
            self._scanned = end
            return []
        chunk = bytes(memoryview(self._pending)[: length or end])
        del self._pending[: len(chunk)]
        self._scanned = MIN_CHUNK - 1
        return [chunk]


def split(stream: BinaryIO) -> Iterator[bytes]:
    """The chunks of all that `stream` still has to read."""
    chunker = Chunker()
    while data := stream.read(_READ_SIZE):
        yield from chunker.update(data)
    yield from chunker.finish()


def chunk_id(data: bytes | bytearray | memoryview) -> bytes:
    """The 32 bytes that name a chunk: BLAKE2b of its content."""
    return hashlib.blake2b(data, digest_size=32).digest()


def hash_of_chunks(ids: Iterable[bytes]) -> bytes:
    """The hash (32 bytes) of the file that has the chunks of these ids, in order."""
    return chunk_id(b"".join(ids))


def hash_bytes(data: bytes) -> bytes:
    """The hash (32 bytes) of a file with this content."""
    if 0 < len(data) < MIN_CHUNK:
        return hash_of_chunks([chunk_id(data)])
    chunker = Chunker()
    return hash_of_chunks([chunk_id(chunk) for chunk in chunker.update(data) + chunker.finish()])


def hash_file(path: str | os.PathLike[str]) -> bytes:
    """The hash (32 bytes) of the local file at `path`, read in bounded memory. Raises OSError."""
    with open(path, "rb", buffering=0) as stream:
        return hash_stream(stream, os.fstat(stream.fileno()).st_size)


def hash_stream(stream: BinaryIO, size: int) -> bytes:
    """The hash (32 bytes) of all that `stream` still has to read, which is probably `size` bytes."""
    if size < MIN_CHUNK:
        start = stream.read(size + 1)
        if len(start) == size:
            return hash_bytes(start)
        stream.seek(-len(start), os.SEEK_CUR)
    return hash_of_chunks(chunk_id(chunk) for chunk in split(stream))


def _cut_finder() -> _CutFinder:
    """The fastest finder there is. It has its own work space, so each chunker takes its own."""
    try:
        return _numpy_cut_finder()
    except ImportError:
        return _find_cut


def _find_cut(chunk: bytearray, first: int, last: int) -> int | None:
    total = 0
    for byte in chunk[first - _WINDOW - 1 : first - 1]:
        total = (total << 1 & _WORD_MASK | total >> 63) ^ TABLE[byte]
    leaving = chunk[first - _WINDOW - 1 : last - _WINDOW]
    entering = chunk[first - 1 : last]
    for length, (old, new) in enumerate(zip(leaving, entering, strict=True), first):
        total = (total << 1 & _WORD_MASK | total >> 63) ^ TABLE[old] ^ TABLE[new]
        if not total & _CUT_MASK:
            return length
    return None


def _numpy_cut_finder() -> _CutFinder:
    """Raises ImportError without numpy.

    With a full window the sum at a byte is the XOR of rotl(T[byte j back], j) for j from 0 to 63. Sums over
    k bytes give those over 2k as sum[n] ^ rotl(sum[n - k], k), so six steps give all sums of a block.
    """
    import numpy as np

    table = np.array(TABLE, dtype=np.uint64)
    sums, high, low = (np.empty(_BLOCK + _WINDOW - 1, dtype=np.uint64) for _array in range(3))

    def find_in_block(chunk: bytearray, first: int, last: int) -> int | None:
        count = last - first + _WINDOW
        window = np.frombuffer(chunk, dtype=np.uint8, count=count, offset=first - _WINDOW)
        # "clip" (no byte is out of range) lets numpy write to `out` without a copy.
        block = np.take(table, window, out=sums[:count], mode="clip")
        for step in (1, 2, 4, 8, 16, 32):
            count -= step
            earlier = block[:-step]
            np.left_shift(earlier, np.uint64(step), out=high[:count])
            np.right_shift(earlier, np.uint64(64 - step), out=low[:count])
            np.bitwise_or(high[:count], low[:count], out=high[:count])
            block = np.bitwise_xor(block[step:], high[:count], out=block[step:])
        cuts = np.flatnonzero((block & np.uint64(_CUT_MASK)) == 0)
        return first + int(cuts[0]) if cuts.size else None

    def find(chunk: bytearray, first: int, last: int) -> int | None:
        for start in range(first, last + 1, _BLOCK):
            cut = find_in_block(chunk, start, min(start + _BLOCK - 1, last))
            if cut is not None:
                return cut
        return None

    return find
