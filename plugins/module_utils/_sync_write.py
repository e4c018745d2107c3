# SPDX-License-Identifier: GPL-3.0-or-later
"""A sync's change, written as one commit. PRIVATE to the collection: it may change at any time.

The content goes into file sets first, which nobody sees. Then a commit is started, filled with them and
finished within a few short calls. While it is open no other sync can start one, so what the change was made
for is what the commit is based on, or it is given up.
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ._connection import Pachd, pause
from ._errors import PachdError, PachydermError
from ._file_hash import MIN_CHUNK
from ._file_sets import Stream, file_sets
from ._local_tree import LocalFile
from ._messages import branch_message
from ._progress import Progress
from ._sdk import sdk
from ._sync_head import FINISH_SECONDS, OPEN_MARK, branch_head, wait_finished
from ._sync_plan import Sync, TreeChange
from ._wire import add_file, delete_file

# An upload, and then the finishing of its commit, may take FINISH_SECONDS, or as long as its bytes need at
# this many bytes a second.
_UPLOAD_BYTES_A_SECOND = 64 * 1024
# Streams at most, each with this much to send. Small files go in one: more of them do not make it faster.
_STREAMS = 4
_WORTH_BYTES = 16 * 1024 * 1024
_ATTEMPTS = 4
# What pachd answers to the start of a commit while another one is open.
_OPEN = "has not been finished"


def write(pachd: Pachd, sync: Sync, change: TreeChange, before: str) -> Any:
    """Makes one commit of the change and waits until it is finished; returns its CommitInfo.

    `before` is the id of the head that the change was made for, "" if there was no branch. None if somebody
    else writes, or has written, a commit: nothing was committed then. Raises PachydermError, also when pachd
    finishes the commit with an error.
    """
    seconds = max(FINISH_SECONDS, change.upload_bytes / _UPLOAD_BYTES_A_SECOND)
    try:
        with file_sets(pachd, _streams(sync, change), seconds) as made:
            commit = _commit(pachd, sync, change, before, made)
        info = wait_finished(pachd, commit, seconds) if commit else None
    except PachydermError as error:
        raise PachydermError(f"{sync.label}: {error}") from error
    if info and info.error:
        raise PachydermError(f"{sync.label}: pachd finished commit {commit.id} with an error: {info.error}")
    return info


def _commit(pachd: Pachd, sync: Sync, change: TreeChange, before: str, made: Sequence[str]) -> Any:
    """The commit, which pachd is finishing; None as in write(). Raises PachydermError."""
    branch = branch_message(sync.project, sync.repo, sync.branch)
    # By its description such a commit is known again, by this run and by others.
    mark = f"{OPEN_MARK} {secrets.token_hex(8)}"
    attempt = 1
    while True:
        commit = None
        try:
            commit = pachd.pfs.start_commit(branch=branch, description=mark)
            if pachd.pfs.inspect_commit(commit=commit).parent_commit.id != before:
                drop(pachd, commit.id)
                return None
            for file_set in made:
                pachd.pfs.add_file_set(commit=commit, file_set_id=file_set)
            pachd.pfs.finish_commit(commit=commit, description=sync.description or change.title())
        except PachdError as error:
            if commit is None and _OPEN in error.text:
                return None
            if error.code != "UNAVAILABLE" or attempt == _ATTEMPTS:
                raise _given_up(pachd, commit, error) from error
        else:
            return commit
        # Any of these calls may have been carried out although its answer is lost.
        pause(attempt)
        attempt += 1
        head = branch_head(pachd, branch)
        if head and head.id != before:
            info = pachd.pfs.inspect_commit(commit=head)
            if commit and commit.id == head.id and info.finishing.timestamp():
                return commit
            if info.description != mark:
                return None
            drop(pachd, head.id)


def drop(pachd: Pachd, commit_id: str) -> None:
    """Deletes an open commit, and those that wait for it downstream."""
    pachd.pfs.drop_commit_set(commit_set=sdk().pfs.CommitSet(id=commit_id))


def _given_up(pachd: Pachd, commit: Any, error: PachdError) -> PachydermError:
    if commit is None:
        return error
    try:
        drop(pachd, commit.id)
    except PachdError as drop_error:
        left = f"commit {commit.id} stays open until the next run drops it: {drop_error}"
    else:
        left = "nothing was committed"
    return PachydermError(f"{error}; {left}")


def _streams(sync: Sync, change: TreeChange) -> list[Stream]:
    """What makes the messages of each file set.

    File sets are laid over the branch in order, so all that goes is deleted by the first: a put appends to
    what is there, and a directory may take the place of a file.
    """
    progress = Progress(f"upload to {sync.label}", change.upload_bytes, "bytes")
    first, *others = _share_out(change.uploads)

    def begin() -> Iterator[bytes]:
        yield from _deletes(sync, change)
        yield from _puts(first, progress)

    return [begin, *(partial(_puts, files, progress) for files in others)]


def _share_out(files: Iterable[LocalFile]) -> list[list[LocalFile]]:
    """The files by stream: small ones all together, large ones so that sizes are about equal."""
    small: list[LocalFile] = []
    large: list[LocalFile] = []
    for file in files:
        (large if file.size >= MIN_CHUNK else small).append(file)
    streams = [small]
    sizes = [(sum(file.size for file in small), 0)]
    for file in sorted(large, key=lambda file: file.size, reverse=True):
        if len(streams) < _STREAMS and sizes[0][0] >= _WORTH_BYTES:
            streams.append([])
            heapq.heappush(sizes, (0, len(streams) - 1))
        size, index = sizes[0]
        streams[index].append(file)
        heapq.heapreplace(sizes, (size + file.size, index))
    return streams


def _deletes(sync: Sync, change: TreeChange) -> Iterator[bytes]:
    if change.rewrite and sync.delete and not sync.patterns:
        yield delete_file(sync.dest.rstrip("/") + "/")
    for remote in change.deleted:
        yield delete_file(remote.path)
    for file, _remote in change.updated:
        yield delete_file(file.path)
    for file in change.added if change.rewrite else ():
        yield delete_file(file.path)


def _puts(files: Iterable[LocalFile], progress: Progress) -> Iterator[bytes]:
    for file in files:
        for frame in file.frames():
            yield add_file(file.path, frame)
            progress.add(len(frame))
