# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are kept that are slow to make, and the keys that say what each was made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class TestlabError(Exception):
    """What stops a verb, as one line for the user."""

    __test__ = False  # pytest: not a test, for all its name


def directory(environment: Mapping[str, str] = os.environ) -> Path:
    """TESTLAB_CACHE, or gpulab-testlab in the user's cache directory. It need not exist yet."""
    if named := environment.get("TESTLAB_CACHE"):
        return Path(named).absolute()
    user = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user).absolute() / "gpulab-testlab"


def key(*parts: str | Path) -> str:
    """Twelve hexadecimal digits that change with any of the parts.

    A string counts as it is. A path counts with names, modes (executable or not), links and content of all
    that lies under it, but not with its own place; one that does not exist counts as empty.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"string {len(part)} {part}".encode())
        else:
            for line in _tree(part):
                digest.update(line)
    return digest.hexdigest()[:12]


def _tree(top: Path) -> Iterator[bytes]:
    paths = [top] if top.is_file() else sorted(top.rglob("*"))
    for path in paths:
        name = path.relative_to(top)
        if "__pycache__" in name.parts or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            yield f"link {name} {path.readlink()}\n".encode()
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield f"file {name} {os.access(path, os.X_OK)} {content}\n".encode()


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """An empty directory, gone afterwards. What a killed run left in it goes first, so hold a lock."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever else holds it. A killed process holds none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
