# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFS API for files: ModifyFile and everything that reads."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import betterproto
from betterproto.lib.google.protobuf import BytesValue, Empty
from pachyderm_sdk.api import pfs

from ..errors import not_found, unknown
from ..pfs.diff import diff
from ..pfs.model import Commit
from ..pfs.paths import clean_read_path
from ..pfs.service import Pfs
from ..pfs.snapshot import FileInfo, Snapshot
from .messages import Context, FileInfoWriter, commit_ref
from .pages import at_most
from .streams import changes_of, confirm, whole

# The largest frame that the real pachd sends (19 MiB): clients take messages of up to 20 MiB.
FRAME_BYTES = 19 << 20
# The largest `number` of files that a listing may be asked for.
MAX_PAGE = 100_000


class FileServicer:
    def __init__(self, service: Pfs) -> None:
        self._pfs = service

    def modify_file(self, requests: Iterator[Any], context: Context) -> Any:
        first = next(requests, None)
        if first is None:
            raise unknown("EOF")
        kind, commit = betterproto.which_one_of(first, "body")
        if kind != "set_commit":
            raise unknown("first message must be a commit")
        changes = whole(changes_of(requests, self._pfs.source_dirs), context)
        self._pfs.files.modify(commit_ref(commit), changes, lambda: confirm(context))
        return Empty()

    def get_file(self, request: Any, _context: Context) -> Iterator[Any]:
        _commit, snapshot, path = self._open(request.file)
        if request.offset < 0:
            raise unknown(f"offset {request.offset} is negative (the real pachd does not survive this)")
        found = list(islice(_in_range(snapshot.glob(path), request.path_range), 2))
        if any(info.is_dir for info in found):
            raise unknown("cannot get directory or non-regular file. Use GetFileTAR instead")
        if not found:
            raise _no_file(request.file)
        if len(found) > 1:
            raise unknown("matched multiple files. Use GetFileTAR instead")
        yield from map(_bytes_value, _frames(self._pfs.files.read(found[0].chunks, request.offset)))

    def get_file_tar(self, request: Any, _context: Context) -> Iterator[Any]:
        yield from map(_bytes_value, _frames(self._tar(request.file, request.path_range)))

    def inspect_file(self, request: Any, _context: Context) -> Any:
        commit, snapshot, _path = self._open(request.file)
        path = clean_read_path(request.file.path)
        info = snapshot.inspect(path)
        if info is None:
            raise _no_file(request.file)
        return FileInfoWriter(commit).message(info)

    def list_file(self, request: Any, _context: Context) -> Iterator[Any]:
        commit, snapshot, _path = self._open(request.file)
        yield from _page(commit, snapshot.children(clean_read_path(request.file.path)), request)

    def walk_file(self, request: Any, _context: Context) -> Iterator[Any]:
        commit, snapshot, _path = self._open(request.file)
        path = clean_read_path(request.file.path)
        infos = _page(commit, snapshot.walk(path), request)
        first = next(infos, None)
        if first is None:
            if path != "/":
                raise not_found(f"commit/{commit.id} does not contain item: ({path})")
            return
        yield first
        yield from infos

    def glob_file(self, request: Any, _context: Context) -> Iterator[Any]:
        commit, snapshot = self._pfs.files.snapshot(commit_ref(request.commit))
        yield from map(
            FileInfoWriter(commit).message, _in_range(snapshot.glob(request.pattern), request.path_range)
        )

    def diff_file(self, request: Any, _context: Context) -> Iterator[Any]:
        """Without an old file: against the same path in the parent commit. pachd ignores `shallow`."""
        new_commit, _snapshot, _path = self._open(request.new_file)
        new_path = clean_read_path(request.new_file.path)
        old_commit, old_path = self._compared_with(request, new_commit, new_path)
        pairs = diff(
            self._pfs.trees,
            (new_commit.tree, new_path),
            (old_commit.tree if old_commit else None, old_path),
        )
        for new, old in pairs:
            response = pfs.DiffFileResponse()
            if new is not None:
                response.new_file = FileInfoWriter(new_commit).parsed(new)
            if old is not None and old_commit is not None:
                response.old_file = FileInfoWriter(old_commit).parsed(old)
            yield response

    def _compared_with(self, request: Any, new: Commit, path: str) -> tuple[Commit | None, str]:
        if request.old_file and request.old_file.commit:
            old, _snapshot, _path = self._open(request.old_file)
            return old, clean_read_path(request.old_file.path)
        parent = self._pfs.lookup.commit_by_seq(new.parent) if new.parent else None
        return parent, path

    def _open(self, file: Any) -> tuple[Commit, Snapshot, str]:
        """The commit that a File names, its files, and its path as the client wrote it."""
        if not file or not file.commit:
            raise unknown("file commit cannot be nil")
        commit, snapshot = self._pfs.files.snapshot(commit_ref(file.commit))
        return commit, snapshot, file.path

    def _tar(self, file: Any, path_range: Any) -> Iterator[bytes]:
        """The matches and, of directories, all below; names as pachd gives them, no owner, mode or time."""
        _commit, snapshot, path = self._open(file)
        found = False
        done: set[str] = set()
        for match in _in_range(snapshot.glob(path), path_range):
            found = True
            for info in snapshot.walk(match.path) if match.is_dir else [match]:
                if info.path in done:
                    continue
                done.add(info.path)
                header = tarfile.TarInfo("" if info.path == "/" else info.path)
                header.size, header.mode = 0 if info.is_dir else info.size, 0
                header.type = tarfile.DIRTYPE if info.is_dir else tarfile.REGTYPE
                yield _tar_header(header)
                if not info.is_dir:
                    yield from self._pfs.files.read(info.chunks)
                    yield b"\0" * (-info.size % tarfile.BLOCKSIZE)
        if not found:
            raise _no_file(file)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _page(commit: Commit, infos: Iterable[FileInfo], request: Any) -> Iterator[bytes]:
    """The part of a listing that the request asks for: after a marker, a number of, backwards."""
    if request.number > MAX_PAGE:
        raise unknown(f"cannot return more than {MAX_PAGE} files at a time")
    if request.reverse:
        if not request.number:
            raise unknown("number must be > 0 when reverse is true")
        infos = reversed(list(infos))
    marker = request.pagination_marker.path if request.pagination_marker else ""
    if marker:
        itself = clean_read_path(marker)
        beyond = str.__lt__ if request.reverse else str.__gt__
        infos = (info for info in infos if info.path != itself and beyond(info.api_path, marker))
    yield from map(FileInfoWriter(commit).message, islice(infos, at_most(request.number)))


def _in_range(infos: Iterator[FileInfo], path_range: Any) -> Iterator[FileInfo]:
    """Those with lower <= path < upper; an empty bound is none."""
    lower, upper = (path_range.lower, path_range.upper) if path_range else ("", "")
    return (i for i in infos if i.api_path >= lower and (not upper or i.api_path < upper))


def _frames(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in messages that are neither tiny nor too large for a client."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        while len(buffer) >= FRAME_BYTES:
            yield bytes(buffer[:FRAME_BYTES])
            del buffer[:FRAME_BYTES]
    if buffer:
        yield bytes(buffer)


def _tar_header(header: tarfile.TarInfo) -> bytes:
    if not header.name:
        # tarfile would write "/" for a directory without a name.
        header.type, data = tarfile.REGTYPE, header.tobuf(tarfile.USTAR_FORMAT)
        return _as_directory(data)
    if header.isdir():
        # A name without the trailing slash that tarfile gives to directories.
        header.type, data = tarfile.REGTYPE, header.tobuf(tarfile.PAX_FORMAT)
        return _as_directory(data)
    return header.tobuf(tarfile.PAX_FORMAT)


def _as_directory(data: bytes) -> bytes:
    """The last header block with the type set to directory and its checksum (bytes 148-155) made anew."""
    block = bytearray(data[-tarfile.BLOCKSIZE :])
    block[156:157] = tarfile.DIRTYPE
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[: -tarfile.BLOCKSIZE] + bytes(block)


def _bytes_value(data: bytes) -> Any:
    return BytesValue(value=data)


def _no_file(file: Any) -> Exception:
    """As pachd words it: with path and commit id as the client gave them, so for a branch without an id."""
    ref = commit_ref(file.commit)
    return not_found(f"file {file.path} not found in repo {ref.repo} at commit {ref.id}")
