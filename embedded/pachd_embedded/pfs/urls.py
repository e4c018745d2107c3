# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that pachd itself fetches: AddFile with a URL."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import directories
from ..errors import unknown

BLOCK_BYTES = 1 << 20
# Seconds without an answer; pachd would wait for as long as the client does.
FETCH_TIMEOUT = 60


def is_below(path: Path, directories: Iterable[Path]) -> bool:
    """Whether a path is in or below one of the directories, wherever links lead."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(directory.resolve()) for directory in directories)


def fetch(url: str, path: str, recursive: bool, opened: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) blocks of what is behind `url`.

    http and https are fetched. file is read where it is in or below one of the directories `opened`, since a
    client would else read what the server's user may; with `recursive` it may be a directory. Object stores
    are not served.
    """
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme in ("http", "https"):
        yield from _download(url, path)
    elif scheme == "file":
        source = Path(url.removeprefix("file://")).resolve()
        if not is_below(source, opened):
            raise unknown(
                f'error retrieving content from "{url}": start the embedded pachd with --source-dir and a'
                " directory at or above it"
            )
        yield from _read(source, path, recursive)
    else:
        raise unknown(f"unrecognized object store: {scheme}")


def _download(url: str, path: str) -> Iterator[tuple[str, bytes]]:
    yield path, b""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT) as response:
            while block := response.read(BLOCK_BYTES):
                yield path, block
    except urllib.error.HTTPError as error:
        raise unknown(f'error retrieving content from "{url}": {error.code} {error.reason}') from error
    except (OSError, ValueError) as error:
        raise unknown(f'error retrieving content from "{url}": {error}') from error


def _read(source: Path, path: str, recursive: bool) -> Iterator[tuple[str, bytes]]:
    try:
        if recursive and source.is_dir():
            for child in sorted(directories.walk(source), key=lambda entry: entry.path):
                # A link may lead out of what is opened.
                if child.is_file() and is_below(Path(child), [source]):
                    name = child.path.removeprefix(str(source))
                    yield from _read(Path(child), path.rstrip("/") + name, False)
            return
        with source.open("rb") as file:
            yield path, b""
            while block := file.read(BLOCK_BYTES):
                yield path, block
    except OSError as error:
        raise unknown(f'error retrieving content from "{source}": {error.strerror}') from error
