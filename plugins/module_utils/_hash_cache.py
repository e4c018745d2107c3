# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of local files that were read before. PRIVATE to the collection: it may change at any time.

One file for each tree, in $XDG_CACHE_HOME/gpulab.pachyderm (by default below ~/.cache), named by a hash of
the tree's real path. It holds MAGIC, a BLAKE2b of all that follows, and for each file its device, inode,
size, mtime and ctime (nanoseconds) and hash. It is replaced as a whole, so two runs do no harm to each other.
One that is damaged, or that another user could have written, counts as empty. Deleting it costs time only.

A hash is that of the content as long as all of these are as they were. An edit that puts mtime back changes
ctime, which no program can set. A file that was changed less than SETTLE_SECONDS before it was read is not
kept: a clock that ticks slowly could hide a second edit. Neither is one with a time of the future.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

MAGIC = b"gpulab.pachyderm hashes 1\n"
SETTLE_SECONDS = 2.0
_RECORD = struct.Struct("<QQQqq32s")
_DIGEST_BYTES = 32

# Device, inode, size, mtime_ns, ctime_ns.
Stamp = tuple[int, int, int, int, int]
# Hash and stamp of a file, or why it cannot be read.
Answer: TypeAlias = "tuple[bytes, Stamp] | str"


def stamp_of(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class HashCache:
    """The hashes of a tree. `root` is its directory, or the file if it is one."""

    def __init__(self, root: str) -> None:
        name = _digest(os.fsencode(os.path.realpath(root)))[:16].hex()
        self._path = _directory() / name
        self._known = dict(_read(self._path))

    def get(self, stamp: Stamp) -> bytes | None:
        return self._known.get(stamp)

    def replace(self, hashes: Iterable[tuple[Stamp, bytes]], read_at: float) -> None:
        """Remembers these and nothing else. `read_at` (seconds since 1970) is when reading began."""
        settled = int((read_at - SETTLE_SECONDS) * 1e9)
        known = {stamp: digest for stamp, digest in hashes if max(stamp[3], stamp[4]) < settled}
        if known == self._known:
            return
        body = b"".join(_RECORD.pack(*stamp, digest) for stamp, digest in known.items())
        # Without a directory to write to there is no cache, and all is read each time.
        with contextlib.suppress(OSError):
            _write(self._path, MAGIC + _digest(body) + body)


def _directory() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "gpulab.pachyderm"


def _read(path: Path) -> Iterator[tuple[Stamp, bytes]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return
            content = stream.read()
    except OSError:
        return
    start = len(MAGIC) + _DIGEST_BYTES
    body = memoryview(content)[start:]
    if content[:start] != MAGIC + _digest(body) or len(body) % _RECORD.size:
        return
    for device, inode, size, mtime, ctime, digest in _RECORD.iter_unpack(body):
        yield (device, inode, size, mtime, ctime), digest


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    with contextlib.ExitStack() as undo:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        undo.callback(beside.unlink, missing_ok=True)
        with open(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(beside, path)
        undo.pop_all()


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
