# SPDX-License-Identifier: GPL-3.0-or-later
"""What a branch holds where a sync writes. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._local_tree import LocalFile
from ._messages import repo_message
from ._sdk import sdk
from ._sync_plan import Sync
from ._wire import RemoteFile, read_file_info

# How the description of a commit begins while a sync has it open.
OPEN_MARK = "pachyderm_sync is writing this commit"
# The finishing of a commit may take this many seconds.
FINISH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Head:
    """The newest finished commit of a branch, "" if there is none, and when it was finished.

    `broken` is the commit's error. `abandoned` is what a sync which was killed has left open on top of it.
    """

    commit: str = ""
    finished: float = 0.0
    broken: str = ""
    warnings: tuple[str, ...] = ()
    abandoned: str = ""


def read_head(pachd: Pachd, sync: Sync, missing_ok: bool) -> Head:
    """The commit that the sync is compared with.

    With `missing_ok`, a repo that does not exist counts as an empty one. Raises PachydermError if it may not,
    or if the head is a commit that somebody has not finished.
    """
    pfs = sdk().pfs
    repo = repo_message(sync.project, sync.repo)
    try:
        pachd.pfs.inspect_repo(repo=repo)
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        if not missing_ok:
            raise PachydermError(
                f"repo {sync.repo_label} does not exist; create it first, with pachyderm_repo for example"
            ) from error
        return Head(warnings=(f"repo {sync.repo_label} does not exist yet; it is taken as an empty one",))
    info, abandoned = _settled(pachd, sync, pfs.Branch(repo=repo, name=sync.branch))
    warnings: tuple[str, ...] = ()
    if abandoned:
        text = f"{sync.label}: commit {abandoned} was left open by a sync that was broken off; it is dropped"
        warnings = (text,)
    if info is None:
        return Head(warnings=warnings, abandoned=abandoned)
    if info.error:
        text = f"{sync.label}: its head has an error: {info.error}; it is rewritten"
        warnings = (*warnings, text)
    return Head(info.commit.id, info.finished.timestamp(), info.error, warnings, abandoned)


def list_files(pachd: Pachd, sync: Sync, tree: Sequence[LocalFile], head: Head) -> list[RemoteFile]:
    """What the head holds that the sync is compared with. Nothing of a broken one can be relied on."""
    if not head.commit or head.broken:
        return []
    commit = sdk().pfs.Commit(repo=repo_message(sync.project, sync.repo), id=head.commit)
    return list(_files(pachd, commit, _patterns(sync, tree)))


def _settled(pachd: Pachd, sync: Sync, branch: Any) -> tuple[Any, str]:
    """CommitInfo of the newest commit that is finished, None if there is none; and the abandoned one's id.

    Another sync's commit is open for a few short calls, so the end of that is waited for; after `timeout`
    seconds it is taken as abandoned. Raises PachydermError if anybody else has a commit open.
    """
    while commit := branch_head(pachd, branch):
        try:
            info = pachd.pfs.inspect_commit(commit=commit)
        except PachdError as error:
            if error.code != "NOT_FOUND":
                raise
            # Whoever had it open has dropped it since.
            continue
        is_open = not info.finishing.timestamp()
        if is_open and not info.description.startswith(OPEN_MARK):
            raise PachydermError(
                f"{sync.label}: commit {commit.id} is still open; finish it (pachctl finish commit"
                f" {sync.repo}@{sync.branch}) or let its writer do so, then run again"
            )
        try:
            seconds = pachd.options.timeout if is_open else FINISH_SECONDS
            return wait_finished(pachd, commit, seconds), ""
        except PachdError as error:
            if is_open and error.code == "DEADLINE_EXCEEDED":
                parent = info.parent_commit
                found = wait_finished(pachd, parent, FINISH_SECONDS) if parent.id else None
                return found, commit.id
            if error.code != "NOT_FOUND":
                raise
            # Or in the meantime.
    return None, ""


def branch_head(pachd: Pachd, branch: Any) -> Any:
    """The head commit; None if there is no such branch, or no such repo. Raises PachdError."""
    try:
        return pachd.pfs.inspect_branch(branch=branch).head
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        return None


def _patterns(sync: Sync, tree: Sequence[LocalFile]) -> list[str]:
    """Globs for what the sync is compared with: what is below dest, at it and above it.

    Of a single file, only its own path and those above: the rest of a big branch need not be listed.

    PFS takes a backslash in a name, but its globs cannot say one: before the first globbing character it
    matches nothing, after that it is an escape. So any character is asked for in its place. What else comes
    with it does no harm, since a plan looks at whole paths.
    """
    is_file = len(tree) == 1 and tree[0].source == sync.src
    base = tree[0].path if is_file else sync.dest.rstrip("/")
    patterns = [] if is_file else [f"{base}/**"]
    while base:
        patterns.append(base)
        base = base.rsplit("/", 1)[0]
    return [pattern.replace("\\", "?") for pattern in patterns]


def _files(pachd: Pachd, commit: Any, patterns: Sequence[str]) -> Iterator[RemoteFile]:
    pfs = sdk().pfs
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    for pattern in patterns:
        yield from glob(pfs.GlobFileRequest(commit=commit, pattern=pattern))


def wait_finished(pachd: Pachd, commit: Any, seconds: float) -> Any:
    """CommitInfo of the commit once it is finished, with an error or without. Raises PachdError."""
    with pachd.deadline(seconds):
        return pachd.pfs.inspect_commit(commit=commit, wait=sdk().pfs.CommitState.FINISHED)
