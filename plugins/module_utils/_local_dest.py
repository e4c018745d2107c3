# SPDX-License-Identifier: GPL-3.0-or-later
"""Local directories that files are fetched into. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ._errors import PachydermError
from ._fetch_plan import Here


class Destination:
    """A directory, which need not exist yet. Nothing is written through a link that leads out of it."""

    def __init__(self, dest: str) -> None:
        self.dest = dest.rstrip("/") or "/"
        self._root = os.path.realpath(dest)
        self._above: dict[str, str] = {}

    def look(self, target: str) -> Here:
        """What is at the path `target`, which is below the directory. Raises PachydermError."""
        try:
            if problem := self._directory_problem(os.path.dirname(target)):
                return Here(problem=problem)
            if problem := self._link_problem(target):
                return Here(problem=problem)
            status = os.stat(target)
        except (FileNotFoundError, NotADirectoryError):
            return Here()
        except OSError as error:
            raise PachydermError(f"{target}: cannot look at it: {error.strerror}") from error
        if stat.S_ISDIR(status.st_mode):
            return Here(problem=f"{target} is a directory here and a file there")
        if not stat.S_ISREG(status.st_mode):
            return Here(problem=f"{target} is no regular file here")
        return Here(status.st_size)

    def _directory_problem(self, path: str) -> str:
        """Why `path` cannot hold files, itself or by what is above it; else ""."""
        if path not in self._above:
            problem = ""
            if len(path) > len(self.dest):
                problem = self._directory_problem(os.path.dirname(path)) or self._link_problem(path)
            if not problem and os.path.lexists(path) and not os.path.isdir(path):
                problem = f"{path} is a file here and a directory there"
            self._above[path] = problem
        return self._above[path]

    def _link_problem(self, path: str) -> str:
        if not os.path.islink(path):
            return ""
        real = os.path.realpath(path)
        if os.path.commonpath([self._root, real]) == self._root:
            return ""
        return f"{path} is a link to {real}, outside of {self.dest}"


@contextlib.contextmanager
def replaced(target: str) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` at once, and only if all went well.

    It has the old file's mode. Directories are made. Raises OSError.
    """
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename works within one file system only.
    beside = path.with_name(f".fetch-{secrets.token_hex(8)}")
    with contextlib.ExitStack() as undo:
        stream = open(beside, "xb")  # noqa: SIM115 - closed below, before the file is renamed
        undo.callback(beside.unlink, missing_ok=True)
        with stream:
            yield stream
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(stream.fileno(), stat.S_IMODE(path.stat().st_mode))
        os.replace(beside, path)
        undo.pop_all()
