# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a datum: its inputs laid out under pfs/, its outputs taken from pfs/out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .. import directories
from ..pfs.entries import Chunk
from ..pfs.path_rule import write_refusal
from ..pfs.service import Pfs
from ..store.chunks import ChunkWriter
from ..store.full import is_full
from .datums import InputFile

BLOCK_BYTES = 1 << 20
# As Linux: more links than this in a row are a loop.
MAX_LINKS = 40


class DatumFileError(Exception):
    """A file of the datum cannot be laid out or stored; the text names it as the user code sees it."""


def lay_out(pfs: Pfs, files: list[tuple[InputFile, bytes | None]], scratch: Path) -> int:
    """Make scratch/pfs/<input>/... and an empty scratch/pfs/out; the answer is the bytes written.

    With each file comes the tree of the commit that it is read from. Raises DatumFileError.
    """
    (scratch / "pfs" / "out").mkdir(parents=True)
    written = 0
    for file, tree in files:
        top = scratch / "pfs" / file.name
        with _told(f"/pfs/{file.name} cannot be made"):
            top.mkdir(exist_ok=True)
        for entry in pfs.files.tree(tree).files(file.path.rstrip("/") or "/"):
            with _told(f"/pfs/{file.name}{entry.path} cannot be written"):
                target = top / entry.path.lstrip("/")
                directories.make(target.parent)
                with target.open("wb") as out:
                    for block in [] if file.empty_files else pfs.files.read(entry.chunks):
                        written += out.write(block)
        if file.is_dir:
            directories.make(top / file.path.strip("/"))
    return written


def write_env(scratch: Path, env: Mapping[str, str]) -> None:
    """/pfs/.env holds all variables of the datum, a line each."""
    path = scratch / "pfs" / ".env"
    with open(path, "w", errors="surrogateescape", opener=_private) as out:
        out.writelines(f"{name}={value}\n" for name, value in env.items())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def collect(pfs: Pfs, scratch: Path, writer: ChunkWriter) -> list[tuple[str, list[Chunk]]]:
    """Store what the user code left in /pfs/out: (path, chunks), in no particular order.

    Empty directories, modes and owners are not kept. A symlink into /pfs is followed and stored as what
    it leads to. Raises DatumFileError for what PFS does not take, and for a link that leads elsewhere: out
    of the datum's root it would name a file of this machine.
    """
    stored = []
    for path, source in _walk(scratch / "pfs"):
        refusal = write_refusal(path)
        if refusal is not None:
            raise DatumFileError(refusal)
        with _told(f"/pfs/out{path} cannot be stored"):
            stored.append((path, pfs.files.store(writer, _blocks(source))))
    return stored


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What the system refuses, such as too long a path, is an error of the datum; a full disk is not."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise
        raise DatumFileError(f"{what}: {error.strerror}") from error


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """The regular files of /pfs/out: where they are, by the path that they have in the output."""
    out = root / "out"
    if out.is_symlink() or not out.is_dir():
        # Followed, it could be any directory of this machine.
        raise DatumFileError("/pfs/out is no longer the directory that the code was given")
    # Each directory with its path in the output and the directories that led to it.
    pending: list[tuple[Path, str, frozenset[Path]]] = [(out, "", frozenset())]
    while pending:
        directory, above, way = pending.pop()
        way |= {directory}
        with _told(f"/pfs/out{above} cannot be stored"):
            _allow_reading(directory)
            names = os.listdir(directory)
        for name in names:
            path = f"{above}/{name}"
            with _told(f"/pfs/out{path} cannot be stored"):
                source = _follow(root, directory / name, path)
                mode = source.stat().st_mode
                if stat.S_ISREG(mode):
                    _allow_reading(source)
            if stat.S_ISREG(mode):
                yield path, source
            elif not stat.S_ISDIR(mode):
                raise DatumFileError(f"/pfs/out{path} is neither a file nor a directory")
            elif source in way:
                raise DatumFileError(f"/pfs/out{path} is a link to a directory above it")
            else:
                pending.append((source, path, way))


def _allow_reading(path: Path) -> None:
    """Modes are not kept, so those that shut out this server's user must not matter either."""
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        path.chmod(0o700)


def _follow(root: Path, source: Path, path: str) -> Path:
    """Where a symlink leads, as the user code saw it: /pfs is `root`. No link of this machine is followed."""
    for _hop in range(MAX_LINKS):
        if not source.is_symlink():
            return source
        target = os.readlink(source)
        if target.startswith("/pfs/"):
            target = f"{root}/{target.removeprefix('/pfs/')}"
        source = Path(os.path.normpath(source.parent / target))
        # Where the directory really is, because user code may have put links in its place as well.
        directory = Path(os.path.realpath(source.parent))
        if not directory.is_relative_to(os.path.realpath(root)):
            raise DatumFileError(f"/pfs/out{path} is a link that leads out of /pfs")
        if not os.path.lexists(source):
            raise DatumFileError(f"/pfs/out{path} is a link to something that does not exist")
    raise DatumFileError(f"/pfs/out{path} is a loop of links")


def _blocks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
