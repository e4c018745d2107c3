# SPDX-License-Identifier: GPL-3.0-or-later
"""Local trees into branches: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._file_hash import hash_file
from ._local_tree import LocalFile, scan
from ._names import branch_name, project_name, repo_name
from ._pfs_paths import write_refusal
from ._plan import Action, Outcome, Plan
from ._sdk import sdk
from ._sync_plan import Sync, TreeChange, plan_sync, refuse_overlaps
from ._wire import RemoteFile, add_file, delete_file, read_file_info, set_commit

# An upload, and then the finishing of its commit, may take this many seconds, or as long as its bytes need
# at this many bytes a second.
_UPLOAD_SECONDS = 600.0
_UPLOAD_BYTES_A_SECOND = 64 * 1024
# Commits to make before giving up on a branch into which others write all the time.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Head:
    """What a branch holds. `commit` is "" if there is no branch, `broken` is the error of its head commit."""

    commit: str = ""
    files: tuple[RemoteFile, ...] = ()
    broken: str = ""
    warnings: tuple[str, ...] = ()


def parse_syncs(params: Mapping[str, Any]) -> list[Sync]:
    """The syncs that a module's options declare. Raises PachydermError.

    What an item of the list leaves out is as outside of the list.
    """
    if params["syncs"] is None:
        return [_parse(params, "")]
    inherited = ("repo", "branch", "project", "dest", "delete", "allow_empty", "description")
    syncs = []
    for index, item in enumerate(params["syncs"]):
        whole = item | {key: params[key] for key in inherited if item[key] is None}
        syncs.append(_parse(whole, f"syncs[{index}]."))
    return syncs


def _parse(item: Mapping[str, Any], prefix: str) -> Sync:
    if not item["repo"]:
        raise PachydermError(f"{prefix}repo: is required")
    dest = "/" + item["dest"].lstrip("/")
    if dest.strip("/") and (refusal := write_refusal(dest)):
        raise PachydermError(f"{prefix}dest: {refusal}")
    if item["delete"] and Path(item["src"]).is_file():
        raise PachydermError(f"{prefix}delete: {item['src']} is a file; delete needs a directory as src")
    return Sync(
        src=item["src"],
        project=project_name(item["project"], f"{prefix}project"),
        repo=repo_name(item["repo"], f"{prefix}repo"),
        branch=branch_name(item["branch"], f"{prefix}branch"),
        dest=dest,
        delete=item["delete"],
        allow_empty=item["allow_empty"],
        description=item["description"] or "",
    )


def run_syncs(pachd: Pachd, syncs: Sequence[Sync], check_mode: bool) -> Outcome:
    """Brings the trees into their branches by one commit each; in check mode it only says how."""
    trees = [_tree(sync) for sync in syncs]
    refuse_overlaps(syncs, trees)
    heads = [
        read_head(pachd, sync, _patterns(sync, tree), missing_ok=check_mode)
        for sync, tree in zip(syncs, trees, strict=True)
    ]
    changes = [_change(*one) for one in zip(syncs, trees, heads, strict=True)]
    actions = tuple(
        Action("commit", "branch", sync.label, change.before(), change.after())
        for sync, change in zip(syncs, changes, strict=True)
        if change
    )
    plan = Plan(actions, tuple(text for head in heads for text in head.warnings))
    results = []
    for sync, tree, head, change in zip(syncs, trees, heads, changes, strict=True):
        commit = head.commit if check_mode or not change else _bring(pachd, sync, tree, head, change)
        results.append(_result(sync, commit, change))
    return Outcome(plan, {"syncs": results})


def _tree(sync: Sync) -> list[LocalFile]:
    tree = scan(sync.src, sync.dest)
    if not tree and not sync.allow_empty:
        raise PachydermError(
            f"src: {sync.src}: holds no file; is it the right directory? allow_empty takes it as it is"
        )
    return tree


def _bring(pachd: Pachd, sync: Sync, tree: list[LocalFile], head: Head, change: TreeChange) -> str:
    """Writes the change, and again what is left if somebody else wrote meanwhile; returns the commit's id.

    Several hosts may well add to one branch at the same time. Where they add the same file, pachd appends one
    to the other, so what came of it is compared again. Raises PachydermError.
    """
    for _ in range(_ATTEMPTS):
        info = write(pachd, sync, change)
        if info.parent_commit.id == head.commit:
            return str(info.commit.id)
        head = read_head(pachd, sync, _patterns(sync, tree), missing_ok=False)
        change = _change(sync, tree, head)
        if not change:
            return head.commit
    raise PachydermError(f"{sync.label}: others write the same files all the time; nothing more was tried")


def _change(sync: Sync, tree: Sequence[LocalFile], head: Head) -> TreeChange:
    change = plan_sync(sync, tree, head.files, lambda file: hash_local(file.source))
    return replace(change, rewrite=bool(head.broken))


def hash_local(path: str) -> bytes:
    """The hash that PFS has for the file's content. Raises PachydermError."""
    try:
        return hash_file(Path(path))
    except OSError as error:
        raise PachydermError(f"{path}: cannot read it: {error.strerror}") from error


def _result(sync: Sync, commit: str, change: TreeChange) -> dict[str, Any]:
    return {
        "src": sync.src,
        "project": sync.project,
        "repo": sync.repo,
        "branch": sync.branch,
        "dest": sync.dest,
        "commit": commit,
        "changed": bool(change),
        "files": change.counts(),
        "paths": change.paths(),
        "bytes_uploaded": change.upload_bytes,
    }


def read_head(pachd: Pachd, sync: Sync, patterns: Sequence[str], missing_ok: bool) -> Head:
    """What the branch holds that matches one of the glob patterns.

    With `missing_ok`, a repo that does not exist counts as an empty one. Raises PachydermError if it may not,
    or if the head is a commit that somebody has not finished.
    """
    pfs = sdk().pfs
    repo = pfs.Repo(name=sync.repo, type="user", project=pfs.Project(name=sync.project))
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
    try:
        commit = pachd.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=sync.branch)).head
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        return Head()
    info = pachd.pfs.inspect_commit(commit=commit)
    if not info.finishing.timestamp():
        raise PachydermError(
            f"{sync.label}: commit {commit.id} is still open; finish it (pachctl finish commit"
            f" {sync.repo}@{sync.branch}) or let its writer do so, then run again"
        )
    if not info.finished.timestamp():
        info = _wait_finished(pachd, commit, _UPLOAD_SECONDS)
    if info.error:
        return Head(
            commit.id,
            (),
            info.error,
            (f"{sync.label}: its head has an error: {info.error}; it is rewritten",),
        )
    return Head(commit.id, tuple(_files(pachd, commit, patterns)))


def _patterns(sync: Sync, tree: Sequence[LocalFile]) -> list[str]:
    """Globs for what the sync is compared with: what is below dest, at it and above it.

    Of a single file, only its own path and those above: the rest of a big branch need not be listed.
    """
    is_file = len(tree) == 1 and tree[0].source == sync.src
    base = tree[0].path if is_file else sync.dest.rstrip("/")
    patterns = [] if is_file else [f"{base}/**"]
    while base:
        patterns.append(base)
        base = base.rsplit("/", 1)[0]
    return patterns


def _files(pachd: Pachd, commit: Any, patterns: Sequence[str]) -> Iterator[RemoteFile]:
    pfs = sdk().pfs
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    for pattern in patterns:
        yield from glob(pfs.GlobFileRequest(commit=commit, pattern=pattern))


def write(pachd: Pachd, sync: Sync, change: TreeChange) -> Any:
    """Makes one commit of the change and waits until it is finished; returns its CommitInfo.

    Without a description all of it is one call, which leaves no commit behind when it fails. Raises
    PachydermError, also when pachd finishes the commit with an error.
    """
    pfs = sdk().pfs
    repo = pfs.Repo(name=sync.repo, type="user", project=pfs.Project(name=sync.project))
    branch = pfs.Branch(repo=repo, name=sync.branch)
    seconds = max(_UPLOAD_SECONDS, change.upload_bytes / _UPLOAD_BYTES_A_SECOND)
    try:
        if sync.description:
            commit = _described_commit(pachd, sync, change, branch, seconds)
        else:
            _upload(pachd, sync, change, pfs.Commit(repo=repo, branch=branch), seconds)
            commit = pachd.pfs.inspect_branch(branch=branch).head
        info = _wait_finished(pachd, commit, seconds)
    except PachdError as error:
        raise PachydermError(f"{sync.label}: {error}") from error
    if info.error:
        raise PachydermError(f"{sync.label}: pachd finished commit {commit.id} with an error: {info.error}")
    return info


def _described_commit(pachd: Pachd, sync: Sync, change: TreeChange, branch: Any, seconds: float) -> Any:
    """Start, upload, finish: only so can a commit have a description. What fails half way is dropped."""
    commit = pachd.pfs.start_commit(branch=branch, description=sync.description)
    try:
        _upload(pachd, sync, change, commit, seconds)
        pachd.pfs.finish_commit(commit=commit)
    except PachydermError:
        pachd.pfs.drop_commit_set(commit_set=sdk().pfs.CommitSet(id=commit.id))
        raise
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


def _wait_finished(pachd: Pachd, commit: Any, seconds: float) -> Any:
    with pachd.deadline(seconds):
        return pachd.pfs.inspect_commit(commit=commit, wait=sdk().pfs.CommitState.FINISHED)
