# SPDX-License-Identifier: GPL-3.0-or-later
"""Local directories that files are fetched into. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ._errors import PachydermError, first_few
from ._fetch_plan import Here
from ._hash_cache import stamp_of


class Destination:
    """A directory, which need not exist yet. Nothing is written through a link that leads out of it.

    With `no_links`, nothing is written through or in the place of any: what it leads to might be deleted.
    """

    def __init__(self, dest: str, no_links: bool) -> None:
        self.no_links = no_links
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
        return Here(status.st_size, stat.S_IMODE(status.st_mode), stamp_of(status))

    def found(self, scope: str) -> list[str]:
        """What is below `scope`, a path below the directory: files and links, with a leading slash.

        Raises PachydermError for what nobody wants to be deleted because it is not in a branch.
        """
        paths: list[str] = []
        problems: list[str] = []
        for directory, names, files in os.walk(f"{self.dest.rstrip('/')}{scope}", onerror=_cannot_list):
            links = [name for name in names if os.path.islink(f"{directory}/{name}")]
            for name in files + links:
                path = f"{directory}/{name}"
                mode = os.lstat(path).st_mode
                if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    paths.append(path[len(self.dest.rstrip("/")) :])
                else:
                    problems.append(f"{path} is neither a file nor a link")
        if problems:
            raise PachydermError(f"delete: {first_few(problems)}; move it away")
        return paths

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
        if self.no_links:
            return f"{path} is a link, which delete does not go through"
        real = os.path.realpath(path)
        if os.path.commonpath([self._root, real]) == self._root:
            return ""
        return f"{path} is a link to {real}, outside of {self.dest}"


def _cannot_list(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise PachydermError(f"{error.filename}: cannot list it: {error.strerror}") from error


def delete_files(dest: str, paths: Iterable[str]) -> None:
    """Deletes these paths below `dest`, and directories that hold nothing afterwards. Raises OSError."""
    top = dest.rstrip("/")
    parents = set()
    for path in paths:
        os.unlink(top + path)
        parents.add(os.path.dirname(path))
    for parent in sorted(parents, key=len, reverse=True):
        while parent != "/":
            try:
                os.rmdir(top + parent)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise
                break
            parent = os.path.dirname(parent)


def _make_directories(path: Path, mode: int | None) -> None:
    if not path.is_dir():
        _make_directories(path.parent, mode)
        path.mkdir(exist_ok=True)
        if mode is not None:
            path.chmod(mode)


@contextlib.contextmanager
def replaced(target: str, mode: int | None, directory_mode: int | None) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` at once, and only if all went well.

    It has the old file's mode where `mode` is None. Directories are made. Raises OSError.
    """
    path = Path(target)
    _make_directories(path.parent, directory_mode)
    # Beside the target, since a rename works within one file system only.
    beside = path.with_name(f".fetch-{secrets.token_hex(8)}")
    with contextlib.ExitStack() as undo:
        stream = open(beside, "xb")  # noqa: SIM115 - closed below, before the file is renamed
        undo.callback(beside.unlink, missing_ok=True)
        with stream:
            yield stream
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(stream.fileno(), stat.S_IMODE(path.stat().st_mode) if mode is None else mode)
        os.replace(beside, path)
        undo.pop_all()
