# SPDX-License-Identifier: GPL-3.0-or-later
"""Local trees into branches: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ._connection import Pachd
from ._errors import PachydermError
from ._file_hash import hash_file
from ._local_tree import LocalFile, scan
from ._names import branch_name, project_name, repo_name
from ._pfs_paths import clean, write_refusal
from ._plan import Action, Outcome, Plan
from ._sync_head import Head, read_head
from ._sync_plan import Sync, TreeChange, plan_sync, refuse_overlaps
from ._sync_write import write

# Commits to make before giving up on a branch into which others write all the time.
_ATTEMPTS = 3


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
        # PFS keeps paths in this form; one in another form would never be found there again.
        dest=clean(dest) + ("/" if dest.endswith("/") and dest.strip("/") else ""),
        delete=item["delete"],
        allow_empty=item["allow_empty"],
        description=item["description"] or "",
    )


def run_syncs(pachd: Pachd, syncs: Sequence[Sync], check_mode: bool) -> Outcome:
    """Brings the trees into their branches by one commit each; in check mode it only says how."""
    trees = [_tree(sync) for sync in syncs]
    refuse_overlaps(syncs, trees)
    heads = [
        read_head(pachd, sync, tree, missing_ok=check_mode) for sync, tree in zip(syncs, trees, strict=True)
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
    for _attempt in range(_ATTEMPTS):
        info = write(pachd, sync, change, head.commit)
        if info.parent_commit.id == head.commit:
            return str(info.commit.id)
        head = read_head(pachd, sync, tree, missing_ok=False)
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
