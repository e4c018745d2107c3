# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of local files that were read before. PRIVATE to the collection: it may change at any time.

One file for each tree, named by a hash of the tree's real path. It holds MAGIC, a BLAKE2b of all that
follows, and for each file its device, inode, size, mtime and ctime (nanoseconds) and hash. One that is
damaged, or that another user could have written, counts as empty.

A hash is that of the content as long as all of these are as they were. An edit that puts mtime back changes
ctime, which no program can set. A file that was changed less than SETTLE_SECONDS before it was read is not
kept: a clock that ticks slowly could hide a second edit. Neither is one with a time of the future.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from . import _cache_file

MAGIC = b"gpulab.pachyderm hashes 1\n"
SETTLE_SECONDS = 2.0
# Device, inode, size, mtime_ns, ctime_ns: packed, since there may be very many.
_STAMP = struct.Struct("<QQQqq")
_TIMES = struct.Struct("<24xqq")
_RECORD = struct.Struct("<40s32s")

Stamp = bytes
# Hash and stamp of a file, or why it cannot be read.
Answer: TypeAlias = "tuple[bytes, Stamp] | str"


def stamp_of(status: os.stat_result) -> Stamp:
    return _STAMP.pack(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class HashCache:
    """The hashes of a tree. `root` is its directory, or the file if it is one."""

    def __init__(self, root: str) -> None:
        self._path = _cache_file.cache_file(os.fsencode(os.path.realpath(root)))
        self._known = dict(_records(_cache_file.read(self._path)))

    def get(self, stamp: Stamp) -> bytes | None:
        return self._known.get(stamp)

    def replace(self, hashes: Iterable[tuple[Stamp, bytes]], read_at: float) -> None:
        """Remembers these and nothing else. `read_at` (seconds since 1970) is when reading began."""
        settled = int((read_at - SETTLE_SECONDS) * 1e9)
        known = {stamp: digest for stamp, digest in hashes if max(_TIMES.unpack(stamp)) < settled}
        if known == self._known:
            return
        body = b"".join(_RECORD.pack(stamp, digest) for stamp, digest in known.items())
        _cache_file.write(self._path, MAGIC + _cache_file.digest(body) + body)


def _records(content: bytes) -> Iterator[tuple[Stamp, bytes]]:
    start = len(MAGIC) + _cache_file.DIGEST_BYTES
    body = memoryview(content)[start:]
    if content[:start] != MAGIC + _cache_file.digest(body) or len(body) % _RECORD.size:
        return
    yield from _RECORD.iter_unpack(body)
