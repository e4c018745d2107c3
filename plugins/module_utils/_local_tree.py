# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a local tree, as PFS will hold them. PRIVATE to the collection: it may change at any time.

Everything that cannot be uploaded is found here, before pachd is asked for anything, and is named.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ._errors import PachydermError, first_few
from ._hash_cache import Stamp, stamp_of
from ._patterns import Patterns
from ._pfs_paths import write_refusal

# Bytes of a file that go into one message. gRPC's limit is 20 MiB; several streams hold a few each.
FRAME_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file here. `path` is where it goes in PFS, with a leading slash; `size` is in bytes.

    `stamp` tells whether it is as it was when the tree was read.
    """

    path: str
    source: str
    size: int
    stamp: Stamp = b""

    def frames(self) -> Iterator[bytes]:
        """Its content, in pieces of at most FRAME_BYTES; one empty piece for an empty file.

        Raises PachydermError if the file cannot be read, or was written to in the meantime: a mixture of old
        and new content must not be committed.
        """
        try:
            with open(self.source, "rb", buffering=0) as stream:
                before = os.fstat(stream.fileno())
                count = 0
                # A log that grows as fast as it is read would never end.
                while count <= before.st_size and (piece := stream.read(FRAME_BYTES)):
                    count += len(piece)
                    yield piece
                if count == 0:
                    yield b""
                after = os.fstat(stream.fileno())
        except OSError as error:
            raise PachydermError(f"{self.source}: cannot read it: {error.strerror}") from error
        same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if not same or count != after.st_size:
            raise PachydermError(
                f"{self.source}: was changed while it was read; run again when nobody writes to it"
            )


def scan(src: str, dest: str, patterns: Patterns) -> list[LocalFile]:
    """The files of `src` that `patterns` keep, sorted by path. What they do not keep may be anything.

    A directory's content goes below `dest`. A file goes to `dest`, or below it if that ends with a slash.
    A link to a file inside of the tree counts as that file. Raises PachydermError, naming what is in the way:
    links to elsewhere, to directories or to nothing, sockets and the like, names that PFS refuses, and what
    may not be read.
    """
    root = Path(src)
    try:
        is_dir = stat.S_ISDIR(root.stat().st_mode)
    except OSError as error:
        raise PachydermError(f"src: {src}: {error.strerror}") from error
    base = dest.rstrip("/")
    walk = _Walk(os.path.realpath(src), patterns)
    if is_dir:
        walk.directory(src, base, "")
    else:
        walk.entry(src, f"{base}/{root.name}" if dest.endswith("/") else base, follow=True)
    if walk.problems:
        raise PachydermError(f"src: {first_few(walk.problems)}")
    return sorted(walk.files, key=lambda file: file.path)


class _Walk:
    """One pass over a tree; `problems` has a text for each thing that cannot be uploaded."""

    def __init__(self, root: str, patterns: Patterns) -> None:
        self.root = root
        self.patterns = patterns
        self.files: list[LocalFile] = []
        self.problems: list[str] = []

    def directory(self, source: str, path: str, below: str) -> None:
        """Adds what is in a directory; `below` is how the patterns see it, "" or with a slash at its end."""
        try:
            with os.scandir(source) as entries:
                found = list(entries)
        except OSError as error:
            self.problems.append(f"{_shown(source)}: cannot list it: {error.strerror}")
            return
        for entry in found:
            name = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                if self.patterns.enter(name) and self._named_well(entry.path, f"{path}/{entry.name}"):
                    self.directory(entry.path, f"{path}/{entry.name}", f"{name}/")
            elif self.patterns.keep(name):
                self.entry(entry.path, f"{path}/{entry.name}", follow=not entry.is_symlink())

    def entry(self, source: str, path: str, follow: bool) -> None:
        """Adds what is no directory. With `follow` it is no link, or one that the user named as src."""
        if not self._named_well(source, path):
            return
        if not follow and (problem := self._link_problem(source)):
            self.problems.append(f"{_shown(source)}: {problem}")
            return
        try:
            status = os.stat(source)
        except OSError as error:
            self.problems.append(f"{_shown(source)}: {error.strerror}")
            return
        if not stat.S_ISREG(status.st_mode):
            kind = _kind(status.st_mode)
            self.problems.append(f"{_shown(source)}: is a {kind}; only regular files can be uploaded")
        elif not os.access(source, os.R_OK, effective_ids=True):
            self.problems.append(f"{_shown(source)}: cannot read it: Permission denied")
        else:
            self.files.append(LocalFile(path, source, status.st_size, stamp_of(status)))

    def _named_well(self, source: str, path: str) -> bool:
        refusal = write_refusal(path)
        if refusal:
            # pachd's text repeats the path; what comes after it is the reason.
            reason = refusal.split(" invalid: ", 1)[-1]
            self.problems.append(f"{_shown(source)}: PFS refuses this name: {reason}; rename it")
        return not refusal

    def _link_problem(self, source: str) -> str:
        target = os.path.realpath(source)
        if not os.path.exists(target):
            return "is a link to nothing"
        if os.path.isdir(target):
            return "is a link to a directory; only links to files of the tree are followed"
        if os.path.commonpath([self.root, target]) != self.root:
            return f"is a link to {_shown(target)}, outside of the tree"
        return ""


def _kind(mode: int) -> str:
    for is_kind, name in (
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISFIFO, "named pipe"),
        (stat.S_ISBLK, "block device"),
        (stat.S_ISCHR, "character device"),
    ):
        if is_kind(mode):
            return name
    return "special file"


def _shown(path: str) -> str:
    """A path that can be printed on one line, whatever bytes are in its name."""
    return path if path.isprintable() else ascii(path)
