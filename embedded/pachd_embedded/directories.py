# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of any depth: Python's own calls for them recurse, and end at a thousand or so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator


def make(directory: str | os.PathLike[str]) -> None:
    """The directory, and those above it that are not there. Raises OSError."""
    missing = []
    path = os.path.abspath(directory)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise


def walk(top: str | os.PathLike[str], skip_unreadable: bool = False) -> Iterator[os.DirEntry[str]]:
    """All that is below a directory but directories, in no particular order; no link is followed.

    Raises OSError for what cannot be read, unless told to skip it.
    """
    pending = [os.fspath(top)]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            if skip_unreadable:
                continue
            raise
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    yield entry


def remove(directory: str | os.PathLike[str]) -> None:
    """Delete a directory, whatever modes and depths there are in it."""
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", directory], check=False, stderr=subprocess.DEVNULL)
