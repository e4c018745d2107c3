# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a datum: its inputs laid out under pfs/, its outputs taken from pfs/out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..pfs.entries import Chunk
from ..pfs.path_rule import write_refusal
from ..pfs.service import Pfs
from ..store.chunks import ChunkWriter
from .datums import InputFile

BLOCK_BYTES = 1 << 20
# As Linux: more links than this in a row are a loop.
MAX_LINKS = 40


class OutputError(Exception):
    """Something under /pfs/out cannot be stored; the text names it."""


def lay_out(pfs: Pfs, files: list[tuple[InputFile, bytes | None]], scratch: Path) -> int:
    """Make scratch/pfs/<input>/... and an empty scratch/pfs/out; the answer is the bytes written.

    With each file comes the tree of the commit that it is read from.
    """
    (scratch / "pfs" / "out").mkdir(parents=True)
    written = 0
    for file, tree in files:
        top = scratch / "pfs" / file.name
        top.mkdir(exist_ok=True)
        for entry in pfs.files.tree(tree).files(file.path.rstrip("/") or "/"):
            target = top / entry.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                for block in [] if file.empty_files else pfs.files.read(entry.chunks):
                    written += out.write(block)
        if file.is_dir:
            (top / file.path.strip("/")).mkdir(parents=True, exist_ok=True)
    return written


def collect(pfs: Pfs, scratch: Path, writer: ChunkWriter) -> list[tuple[str, list[Chunk]]]:
    """Store what the user code left in /pfs/out: (path, chunks), in no particular order.

    Empty directories, modes and owners are not kept. A symlink into /pfs is followed and stored as what
    it leads to. Raises OutputError for what PFS does not take, and for a link that leads elsewhere: out
    of the datum's root it would name a file of this machine.
    """
    root = scratch / "pfs"
    stored = []
    for path, source in _walk(root, root / "out", ""):
        refusal = write_refusal(path)
        if refusal is not None:
            raise OutputError(refusal)
        stored.append((path, pfs.files.store(writer, _blocks(source, path))))
    return stored


def _walk(root: Path, directory: Path, above: str) -> Iterator[tuple[str, Path]]:
    """Regular files below `directory`, by the path that they have in the output."""
    for name in sorted(os.listdir(directory)):
        path = f"{above}/{name}"
        source = _follow(root, directory / name, path)
        mode = source.stat().st_mode
        if stat.S_ISDIR(mode):
            if path.count("/") > MAX_LINKS and source in directory.parents:
                raise OutputError(f"/pfs/out{path} is a link to a directory above it")
            yield from _walk(root, source, path)
        elif stat.S_ISREG(mode):
            yield path, source
        else:
            raise OutputError(f"/pfs/out{path} is neither a file nor a directory")


def _follow(root: Path, source: Path, path: str) -> Path:
    """Where a symlink leads, as the user code saw it: /pfs is `root`. No link of this machine is followed."""
    for _ in range(MAX_LINKS):
        if not source.is_symlink():
            return source
        target = os.readlink(source)
        if target.startswith("/pfs/"):
            target = f"{root}/{target.removeprefix('/pfs/')}"
        source = Path(os.path.normpath(source.parent / target))
        # Each step is a name in a directory that was reached without links, or through ones checked here.
        if not source.is_relative_to(root) or not os.path.realpath(source.parent).startswith(
            os.path.realpath(root)
        ):
            raise OutputError(f"/pfs/out{path} is a link that leads out of /pfs")
        if not os.path.lexists(source):
            raise OutputError(f"/pfs/out{path} is a link to something that does not exist")
    raise OutputError(f"/pfs/out{path} is a loop of links")


def _blocks(source: Path, path: str) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise OutputError(f"/pfs/out{path} cannot be read: {error.strerror}") from error
