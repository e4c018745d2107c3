# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in which a run leaves something for the next one. PRIVATE to the collection: may change at any time.

They are in $XDG_CACHE_HOME/gpulab.pachyderm (by default below ~/.cache), readable by their user only. Each is
replaced as a whole, so two runs do no harm to each other. Deleting them costs time only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

DIGEST_BYTES = 32


def digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def cache_file(key: bytes, *directories: str) -> Path:
    """Where what belongs to `key` is kept, in these directories of the cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "gpulab.pachyderm", *directories, digest(key)[:16].hex())


def read(path: Path) -> bytes:
    """What is kept; nothing where there is no such file, or another user could have written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return b""
            return stream.read()
    except OSError:
        return b""


def write(path: Path, content: bytes) -> None:
    """Without a directory to write to nothing is kept, which is no error."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as undo:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        undo.callback(beside.unlink, missing_ok=True)
        with open(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(beside, path)
        undo.pop_all()
