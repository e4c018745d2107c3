# SPDX-License-Identifier: GPL-3.0-or-later
"""A sync's change, written as one commit. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._sdk import sdk
from ._sync_head import FINISH_SECONDS, branch_head, wait_finished
from ._sync_plan import Sync, TreeChange
from ._wire import add_file, delete_file, set_commit

# An upload, and then the finishing of its commit, may take FINISH_SECONDS, or as long as its bytes need at
# this many bytes a second.
_UPLOAD_BYTES_A_SECOND = 64 * 1024


def write(pachd: Pachd, sync: Sync, change: TreeChange, before: str) -> Any:
    """Makes one commit of the change and waits until it is finished; returns its CommitInfo.

    Without a description all of it is one call. `before` is the id of the head that the change was made for,
    "" if there was no branch. Raises PachydermError, also when pachd finishes the commit with an error.
    """
    pfs = sdk().pfs
    repo = pfs.Repo(name=sync.repo, type="user", project=pfs.Project(name=sync.project))
    branch = pfs.Branch(repo=repo, name=sync.branch)
    seconds = max(FINISH_SECONDS, change.upload_bytes / _UPLOAD_BYTES_A_SECOND)
    try:
        if sync.description:
            commit = _described_commit(pachd, sync, change, branch, seconds)
        else:
            commit = _plain_commit(pachd, sync, change, branch, seconds, before)
        info = wait_finished(pachd, commit, seconds)
    except PachydermError as error:
        raise PachydermError(f"{sync.label}: {error}") from error
    if info.error:
        raise PachydermError(f"{sync.label}: pachd finished commit {commit.id} with an error: {info.error}")
    return info


def _plain_commit(
    pachd: Pachd, sync: Sync, change: TreeChange, branch: Any, seconds: float, before: str
) -> Any:
    """One call that makes the commit and finishes it."""
    try:
        _upload(pachd, sync, change, sdk().pfs.Commit(repo=branch.repo, branch=branch), seconds)
    except PachdError:
        raise
    except PachydermError as error:
        raise PachydermError(f"{error}; {_left_behind(pachd, branch, before)}") from error
    return pachd.pfs.inspect_branch(branch=branch).head


def _left_behind(pachd: Pachd, branch: Any, before: str) -> str:
    """What came of an upload that was broken off here: pachd may have taken a part of it for all of it."""
    try:
        head = branch_head(pachd, branch)
    except PachdError as error:
        return f"whether anything was committed is not known: {error}"
    if (head.id if head else "") == before:
        return "nothing was committed"
    return f"commit {head.id} has come meanwhile, by somebody else or with a part of the files"


def _described_commit(pachd: Pachd, sync: Sync, change: TreeChange, branch: Any, seconds: float) -> Any:
    """Start, upload, finish: only so can a commit have a description. What fails half way is dropped."""
    commit = pachd.pfs.start_commit(branch=branch, description=sync.description)
    try:
        _upload(pachd, sync, change, commit, seconds)
        pachd.pfs.finish_commit(commit=commit)
    except PachydermError as error:
        try:
            pachd.pfs.drop_commit_set(commit_set=sdk().pfs.CommitSet(id=commit.id))
        except PachdError as drop_error:
            left = f"commit {commit.id} stays behind and may be open, as it cannot be dropped: {drop_error}"
        else:
            left = "nothing was committed"
        raise PachydermError(f"{error}; {left}") from error
    return commit


def _upload(pachd: Pachd, sync: Sync, change: TreeChange, commit: Any, seconds: float) -> None:
    modify = pachd.calls.stream_unary(
        "/pfs_v2.API/ModifyFile", request_serializer=None, response_deserializer=None
    )
    failures: list[PachydermError] = []

    def requests() -> Iterator[bytes]:
        try:
            yield set_commit(bytes(commit))
            yield from messages(sync, change)
        except PachydermError as error:
            # gRPC only tells that "something" went wrong in here, so the reason is kept for the caller.
            failures.append(error)
            raise

    try:
        modify(requests, seconds)
    except PachdError:
        if failures:
            raise failures[0] from None
        raise


def messages(sync: Sync, change: TreeChange) -> Iterator[bytes]:
    """The stream's messages: deletes first, so that a directory can take the place of a file.

    A file that is there already is deleted before it is put, since a put appends to it.
    """
    if change.rewrite and sync.delete:
        yield delete_file(sync.dest.rstrip("/") + "/")
    for remote in change.deleted:
        yield delete_file(remote.path)
    for file, _remote in change.updated:
        yield delete_file(file.path)
    for file in change.added if change.rewrite else ():
        yield delete_file(file.path)
    for file in change.uploads:
        for frame in file.frames():
            yield add_file(file.path, frame)
