# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of others: read, kept, replaced whole or not at all. PRIVATE to the collection.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ._container_runtime_types import Entry, RuntimeConfigError


def read(path: str) -> str | None:
    """The text of a file, or None if there is none. Line ends stay as they are."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise RuntimeConfigError(f"{path}: byte {error.start} is not UTF-8; write the file anew") from error
    except OSError as error:
        raise RuntimeConfigError(f"{path}: cannot be read: {error.strerror}") from error


@contextmanager
def _written(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RuntimeConfigError(f"{path}: cannot be written: {error.strerror}") from error


def stage(path: str, text: str) -> str:
    """Writes the text beside the file, so that only a rename is left to do; returns where.

    The name is always the same: what a run that was killed left is overwritten by the next.
    """
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.gpulab-new")
    with _written(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            # It may hold a registry's password; the mode of the file is set when it is moved.
            opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(opened, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            discard(temporary)
            raise
    return temporary


def discard(path: str) -> None:
    """Removes a file that nobody needs, if that can be done: this runs after errors as well."""
    with suppress(OSError):
        os.unlink(path)


def remove(path: str) -> None:
    """Removes a file, if it is there."""
    with _written(path), suppress(FileNotFoundError):
        os.unlink(path)


def remove_empty(folder: str) -> None:
    """Removes a folder that we made, unless somebody else put something into it."""
    with suppress(OSError):
        os.rmdir(folder)


def back_up(path: str) -> str | None:
    """Keeps the file under a second name, which costs no space on a full disk; None if there is no file."""
    if not os.path.exists(path):
        return None
    now = time.time_ns()
    backup = f"{path}.{time.strftime('%Y-%m-%d@%H:%M:%S', time.localtime(now // 10**9))}.{now % 10**9:09}~"
    with _written(path):
        os.link(path, backup)
    return backup


@contextmanager
def _new_files_like(path: str) -> Iterator[None]:
    """A new file gets the mode of the file `path`: the drop-in has a copy of the registry passwords in it."""
    mode = os.stat(path).st_mode if os.path.exists(path) else 0o644
    before = os.umask(~mode & 0o777)
    try:
        yield
    finally:
        os.umask(before)


def replace(
    files: dict[str, str | None], keep: str, first: Callable[[], None], move: Callable[[str, str], None]
) -> str | None:
    """Puts texts in place, in that order; None removes a file. Returns the backup of the file `keep`.

    All are on the disk before the first is moved. `first` is called between; `move` replaces a file, or
    makes one with what the umask leaves.
    A symbolic link stays one: the file that it leads to is replaced.
    """
    staged = {}
    try:
        for path, text in files.items():
            if text is not None:
                staged[path] = stage(os.path.realpath(path), text)
        first()
        backup = back_up(os.path.realpath(keep)) if keep in staged else None
        for path in files:
            if path in staged:
                with _new_files_like(keep):
                    move(staged[path], os.path.realpath(path))
            else:
                remove(os.path.realpath(path))
    finally:
        for temporary in staged.values():
            discard(temporary)
    return backup


def load_entry(record: Path) -> Entry | None:
    """What an earlier run remembered of the configuration file."""
    text = read(str(record))
    if text is None:
        return None
    try:
        return Entry(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise RuntimeConfigError(f"{record}: not as it was written ({error}); remove it") from error


def save(path: Path, text: str) -> None:
    """A file of our own, whole or not at all."""
    with _written(str(path)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staged = stage(str(path), text)
    with _written(str(path)):
        os.replace(staged, path)


def save_entry(record: Path, entry: Entry | None) -> None:
    """Remembers it for later runs; None forgets."""
    if entry is None:
        remove(str(record))
    else:
        save(record, json.dumps(asdict(entry)))
