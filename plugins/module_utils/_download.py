# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a commit, written to this machine. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._fetch_plan import Fetch
from ._local_dest import replaced
from ._progress import Progress
from ._sdk import sdk
from ._wire import RemoteFile, read_bytes_value

# A download may take this many seconds, or as long as its bytes need at this many bytes a second.
_DOWNLOAD_SECONDS = 600.0
_DOWNLOAD_BYTES_A_SECOND = 64 * 1024
_CALLS_AT_ONCE = 4
# From so many files on they come as one archive, if that brings little else.
_WORTH_FILES = 50
_PIECE = 1024 * 1024


def download(pachd: Pachd, fetch: Fetch, commit: Any, files: Sequence[RemoteFile], there: int) -> None:
    """Writes files of a commit, each as a whole or not at all. `there` is the size of all that matches.

    Raises PachydermError.
    """
    size = sum(file.size for file in files)
    work = _Download(pachd, fetch, commit, Progress(f"download of {fetch.label}", size, "bytes"))
    if len(files) >= _WORTH_FILES and size * 2 >= there:
        work.archive({file.path: file for file in files}, there)
        return
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        calls = [threads.submit(work.file, file) for file in files]
        try:
            for call in calls:
                call.result()
        except PachydermError:
            threads.shutdown(cancel_futures=True)
            raise


class _Download:
    def __init__(self, pachd: Pachd, fetch: Fetch, commit: Any, progress: Progress) -> None:
        self._pachd = pachd
        self._fetch = fetch
        self._commit = commit
        self._progress = progress

    def file(self, file: RemoteFile) -> None:
        self._receive(
            "GetFile",
            _request_for(self._commit, file.path),
            file.size,
            lambda pieces: self._write(file, pieces),
        )

    def archive(self, files: Mapping[str, RemoteFile], size: int) -> None:
        pfs = sdk().pfs
        request = pfs.GetFileRequest(file=pfs.File(commit=self._commit, path=self._fetch.glob))
        self._receive("GetFileTAR", request, size, lambda pieces: self._unpack(files, pieces))

    def _receive(self, method: str, request: Any, size: int, take: Any) -> None:
        get = self._pachd.calls.receive(
            f"/pfs_v2.API/{method}",
            take,
            max(_DOWNLOAD_SECONDS, size / _DOWNLOAD_BYTES_A_SECOND),
            request_serializer=sdk().pfs.GetFileRequest.SerializeToString,
            response_deserializer=read_bytes_value,
        )
        try:
            get(request)
        except PachdError as error:
            raise PachydermError(f"{self._fetch.label}:{request.file.path}: {error}") from error

    def _unpack(self, files: Mapping[str, RemoteFile], pieces: Iterator[bytes]) -> None:
        left = set(files)
        try:
            with tarfile.open(mode="r|", fileobj=io.BufferedReader(_Pieces(pieces), _PIECE)) as archive:
                for member in archive:
                    file = files.get(f"/{member.name.strip('/')}")
                    if file and (content := archive.extractfile(member)):
                        self._write(file, iter(lambda: content.read(_PIECE), b""))
                        left.discard(file.path)
        except tarfile.TarError as error:
            raise PachydermError(f"{self._fetch.label}: the archive of pachd is damaged: {error}") from error
        if left:
            raise PachydermError(f"{self._fetch.label}: {min(left)} did not come; run again")

    def _write(self, file: RemoteFile, pieces: Iterable[bytes]) -> None:
        target = self._fetch.target(file)
        try:
            with replaced(target, self._fetch.mode, self._fetch.directory_mode) as stream:
                for piece in pieces:
                    stream.write(piece)
                    self._progress.add(len(piece))
                if stream.tell() != file.size:
                    raise PachydermError(
                        f"{target}: {stream.tell()} of {file.size} bytes came; the old file is kept"
                    )
        except OSError as error:
            raise PachydermError(f"{target}: cannot write it: {error.strerror}") from error


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _request_for(commit: Any, path: str) -> Any:
    """A GetFile of exactly this path, which pachd reads as a glob: a backslash there would be an escape.

    Any character in its place, within a range that holds nothing but the path, means the same.
    """
    pfs = sdk().pfs
    if "\\" not in path:
        return pfs.GetFileRequest(file=pfs.File(commit=commit, path=path))
    only = pfs.PathRange(lower=path, upper=f"{path} ")
    file = pfs.File(commit=commit, path=path.replace("\\", "?"))
    return pfs.GetFileRequest(file=file, path_range=only)
