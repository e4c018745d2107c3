# SPDX-License-Identifier: GPL-3.0-or-later
"""Egress: a commit's files, copied to where a URL says. Only directories that the operator opened are served.

A client, or a pipeline's spec, names the URL, and the server writes with its own user's rights.
"""

from __future__ import annotations

import os
import tempfile
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from .. import directories
from ..errors import resource_exhausted, unimplemented, unknown
from ..store.full import is_full
from .entries import FileEntry
from .model import Commit, CommitRef
from .modify import Files
from .urls import is_below

# What a pachd 2.12 can write to, and this one cannot.
_OBJECT_STORES = ("s3", "gs", "gcs", "as", "wasb", "azblob", "minio", "test-minio")


class Egress:
    """`directories` are those below which files may be written."""

    def __init__(self, files: Files, directories: Sequence[Path]) -> None:
        self._files = files
        self._directories = directories

    def check(self, url: str) -> str:
        """Why this server does not write to a URL, or ""."""
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme in _OBJECT_STORES:
            return f"the embedded pachd does not egress to {scheme}: give a file:// URL of a directory"
        if scheme == "file" and not is_below(_directory(url), self._directories):
            return (
                f"the embedded pachd does not egress to {url}: start it with --egress-dir and a directory"
                " at or above that one"
            )
        return ""

    def write(self, commit: Commit, url: str) -> int:
        """Copy all files of a commit; the answer is their bytes. Other files at the URL stay.

        Each file appears whole or not at all. Raises PachError: UNIMPLEMENTED where `check` says why,
        UNKNOWN for a store that no pachd knows and for a file that cannot be written.
        """
        if refused := self.check(url):
            raise unimplemented(refused)
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme != "file":
            raise unknown(f"unrecognized object store: {scheme}")
        directory = _directory(url)
        _commit, snapshot = self._files.snapshot(CommitRef(commit.repo, commit.id))
        return sum(self._write(directory, file) for file in snapshot.files())

    def _write(self, directory: Path, file: FileEntry) -> int:
        target = directory / file.path.lstrip("/")
        try:
            directories.make(target.parent)
            # Somebody may have put a link there that leads out.
            if not is_below(target.parent, self._directories):
                raise unknown(
                    f"error writing {target}: it is outside of the directories given by --egress-dir"
                )
            self._replace(target, file)
        except OSError as error:
            make = resource_exhausted if is_full(error) else unknown
            raise make(f"error writing {target}: {error.strerror}") from error
        return file.size

    def _replace(self, target: Path, file: FileEntry) -> None:
        number, draft = tempfile.mkstemp(prefix=".egress-", dir=target.parent)
        try:
            with os.fdopen(number, "wb") as out:
                for block in self._files.read(file.chunks):
                    out.write(block)
                out.flush()
                os.fsync(number)
                os.fchmod(number, 0o644)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


def _directory(url: str) -> Path:
    """file:///tmp/out is /tmp/out; without the third slash it is relative to where the server was started."""
    return Path(urllib.parse.unquote(url.removeprefix("file://")))
