# SPDX-License-Identifier: GPL-3.0-or-later
"""Local trees into branches: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ._connection import Pachd
from ._errors import PachydermError
from ._hash_files import hash_tree
from ._local_tree import LocalFile, scan
from ._names import branch_name, project_name, repo_name
from ._patterns import Patterns
from ._pfs_paths import clean, write_refusal
from ._plan import Action, Outcome, Plan
from ._sync_head import Head, list_files, read_head
from ._sync_plan import Sync, TreeChange, plan_sync, refuse_overlaps, to_hash
from ._sync_seen import Seen
from ._sync_write import drop, write

# Times that others may be quicker, each with a commit of theirs, before nothing more is tried.
_ATTEMPTS = 10
_INHERITED = (
    *("repo", "branch", "project", "dest", "delete", "allow_empty", "description"),
    *("include", "exclude", "checksum"),
)


def parse_syncs(params: Mapping[str, Any]) -> list[Sync]:
    """The syncs that a module's options declare. Raises PachydermError.

    What an item of the list leaves out is as outside of the list.
    """
    if params["syncs"] is None:
        return [_parse(params, "")]
    syncs = []
    for index, item in enumerate(params["syncs"]):
        whole = item | {key: params[key] for key in _INHERITED if item[key] is None}
        syncs.append(_parse(whole, f"syncs[{index}]."))
    return syncs


def _parse(item: Mapping[str, Any], prefix: str) -> Sync:
    if not item["repo"]:
        raise PachydermError(f"{prefix}repo: is required")
    dest = "/" + item["dest"].lstrip("/")
    if dest.strip("/") and (refusal := write_refusal(dest)):
        raise PachydermError(f"{prefix}dest: {refusal}")
    for key in ("delete", "include", "exclude"):
        if item[key] and os.path.isfile(item["src"]):
            raise PachydermError(f"{prefix}{key}: {item['src']} is a file; {key} needs a directory as src")
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
        patterns=Patterns.parse(item["include"], item["exclude"], prefix),
        trust_cache=item["checksum"] == "cached",
    )


def run_syncs(pachd: Pachd, syncs: Sequence[Sync], check_mode: bool) -> Outcome:
    """Brings the trees into their branches by one commit each; in check mode it only says how."""
    trees = [_tree(sync) for sync in syncs]
    refuse_overlaps(syncs, trees)
    heads = [read_head(pachd, sync, missing_ok=check_mode) for sync in syncs]
    changes = [_change(pachd, *one) for one in zip(syncs, trees, heads, strict=True)]
    actions = tuple(action for one in zip(syncs, heads, changes, strict=True) for action in _actions(*one))
    plan = Plan(actions, tuple(text for head in heads for text in head.warnings))
    results = []
    written: set[str] = set()
    for sync, tree, head, change in zip(syncs, trees, heads, changes, strict=True):
        changed = bool(change or head.abandoned)
        commit = head.commit
        if changed and not check_mode:
            # What was read is not what is there any more once this run itself has written to the branch.
            known = None if sync.label in written else (head, change)
            commit = _bring(pachd, sync, tree, known)
            written.add(sync.label)
        results.append(_result(sync, commit, changed, change))
    return Outcome(plan, {"syncs": results})


def _tree(sync: Sync) -> list[LocalFile]:
    tree = scan(sync.src, sync.dest, sync.patterns)
    if not tree and not sync.allow_empty:
        raise PachydermError(
            f"src: {sync.src}: holds no file; is it the right directory? allow_empty takes it as it is"
        )
    return tree


def _actions(sync: Sync, head: Head, change: TreeChange) -> Iterator[Action]:
    if head.abandoned:
        yield Action("drop", "commit", f"{sync.label} {head.abandoned}", {"state": "open"}, None)
    if change:
        yield Action("commit", "branch", sync.label, change.before(), change.after())


def _bring(pachd: Pachd, sync: Sync, tree: list[LocalFile], known: tuple[Head, TreeChange] | None) -> str:
    """Writes the change; returns the commit's id, that of the head if nothing is left to write.

    Several hosts may well write to one branch at the same time. Where another one was quicker, its commit is
    compared and what is left is written. Raises PachydermError.
    """
    for _attempt in range(_ATTEMPTS):
        if known is None:
            head = read_head(pachd, sync, missing_ok=False)
            known = head, _change(pachd, sync, tree, head)
        head, change = known
        if head.abandoned:
            drop(pachd, head.abandoned)
        elif not change:
            return head.commit
        elif info := write(pachd, sync, change, head.commit):
            return str(info.commit.id)
        known = None
    raise PachydermError(
        f"{sync.label}: others commit to it all the time; after {_ATTEMPTS} attempts nothing was committed"
    )


def _change(pachd: Pachd, sync: Sync, tree: Sequence[LocalFile], head: Head) -> TreeChange:
    hashes: Mapping[str, bytes] = {}

    def hash_of(file: LocalFile) -> bytes:
        return hashes[file.source]

    seen = Seen(pachd.cluster_id, sync, head, tree)
    if seen.same_sizes:
        hashes = hash_tree(sync.src, tree, sync.trust_cache)
        if seen.same(hash_of):
            return TreeChange(unchanged=len(tree))
    remote = list_files(pachd, sync, tree, head)
    if not seen.same_sizes:
        hashes = hash_tree(sync.src, to_hash(tree, remote), sync.trust_cache)
    change = replace(plan_sync(sync, tree, remote, hash_of), rewrite=bool(head.broken))
    if head.commit and not change:
        seen.keep(hash_of)
    return change


def _result(sync: Sync, commit: str, changed: bool, change: TreeChange) -> dict[str, Any]:
    return {
        "src": sync.src,
        "project": sync.project,
        "repo": sync.repo,
        "branch": sync.branch,
        "dest": sync.dest,
        "commit": commit,
        "changed": changed,
        "files": change.counts(),
        "paths": change.paths(),
        "bytes_uploaded": change.upload_bytes,
    }
