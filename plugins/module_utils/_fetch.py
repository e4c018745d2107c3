# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of branches to local files: options and calls. PRIVATE to the collection: may change at any time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._download import download
from ._errors import PachdError, PachydermError
from ._fetch_plan import Fetch, LocalChange, plan_fetch, refuse_shared, to_hash
from ._hash_files import hash_tree
from ._local_dest import Destination, delete_files
from ._local_tree import LocalFile
from ._messages import repo_message
from ._names import branch_name, project_name, repo_name
from ._plan import Action, Outcome, Plan
from ._sdk import sdk
from ._wire import RemoteFile, read_file_info

_ALL = "/**"
_INHERITED = (
    *("repo", "project", "branch", "glob"),
    *("mode", "directory_mode", "delete", "allow_empty", "checksum"),
)
_COMMIT_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Source:
    """The commit that is read, and what of it matches. `commit` is None if there is nothing to read yet."""

    commit: Any = None
    files: tuple[RemoteFile, ...] = ()
    warnings: tuple[str, ...] = ()


def parse_fetches(params: Mapping[str, Any]) -> list[Fetch]:
    """The fetches that a module's options declare. Raises PachydermError.

    What an item of the list leaves out is as outside of the list.
    """
    if params["fetches"] is None:
        return [_parse(params, "")]
    fetches = []
    for index, item in enumerate(params["fetches"]):
        inherited = [key for key in _INHERITED if item[key] is None]
        # An item's own branch is not overruled by a commit that is meant for the others.
        inherited += ["commit"] if item["commit"] is None and item["branch"] is None else []
        fetches.append(_parse(item | {key: params[key] for key in inherited}, f"fetches[{index}]."))
    return fetches


def _parse(item: Mapping[str, Any], prefix: str) -> Fetch:
    if not item["repo"]:
        raise PachydermError(f"{prefix}repo: is required")
    if not os.path.isabs(item["dest"]):
        raise PachydermError(f"{prefix}dest: {item['dest']}: is a relative path; give the whole path")
    commit = item["commit"] or ""
    if commit and not _COMMIT_ID.fullmatch(commit):
        raise PachydermError(f"{prefix}commit: {commit}: is no commit id, which has 32 hexadecimal digits")
    fetch = Fetch(
        project=project_name(item["project"], f"{prefix}project"),
        repo=repo_name(item["repo"], f"{prefix}repo"),
        branch=branch_name(item["branch"], f"{prefix}branch"),
        commit=commit,
        glob=item["glob"],
        dest=os.path.normpath(item["dest"]),
        mode=_mode(item["mode"], f"{prefix}mode"),
        directory_mode=_mode(item["directory_mode"], f"{prefix}directory_mode"),
        delete=item["delete"],
        allow_empty=item["allow_empty"],
        trust_cache=item["checksum"] == "cached",
    )
    if fetch.delete and fetch.scope is None:
        raise PachydermError(
            f"{prefix}delete: glob {fetch.glob} is not all of a directory; give one such as /** or /logs/**"
        )
    if fetch.delete and fetch.dest.strip("/") == "":
        raise PachydermError(f"{prefix}delete: would empty the whole machine below {fetch.dest}; change dest")
    return fetch


def _mode(given: Any, option: str) -> int | None:
    """A mode as YAML has it: text of octal digits, or the number that 0644 without quotes is."""
    if given is None:
        return None
    try:
        mode = given if isinstance(given, int) else int(given, 8)
    except (TypeError, ValueError):
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise PachydermError(f"{option}: {given}: is no mode in octal digits, such as '0644'")
    return mode


def run_fetches(pachd: Pachd, fetches: Sequence[Fetch], check_mode: bool) -> Outcome:
    """Writes the files that differ; in check mode it only says which."""
    sources = [read_source(pachd, fetch, missing_ok=check_mode) for fetch in fetches]
    refuse_shared(fetches, [source.files for source in sources])
    changes = [_change(fetch, source) for fetch, source in zip(fetches, sources, strict=True)]
    actions = tuple(
        Action("fetch", "files", f"{f.label}:{f.glob} to {f.dest}", change.before(), change.after())
        for f, change in zip(fetches, changes, strict=True)
        if change
    )
    plan = Plan(actions, tuple(text for source in sources for text in source.warnings))
    if not check_mode:
        for fetch, source, change in zip(fetches, sources, changes, strict=True):
            _apply(pachd, fetch, source, change)
    results = [_result(*one) for one in zip(fetches, sources, changes, strict=True)]
    return Outcome(plan, {"fetches": results})


def _change(fetch: Fetch, source: Source) -> LocalChange:
    dest = Destination(fetch.dest, no_links=fetch.delete)
    targets = [fetch.target(file) for file in source.files if not file.is_dir]
    here_at = {target: dest.look(target) for target in targets}
    same = to_hash(fetch, source.files, here_at)
    local = [LocalFile(target, target, here_at[target].size or 0, here_at[target].stamp) for target in same]
    hashes = hash_tree(fetch.dest, local, fetch.trust_cache)
    found: list[str] = []
    if fetch.delete and source.commit is not None:
        if not targets and not fetch.allow_empty:
            raise PachydermError(
                f"{fetch.label}: {fetch.glob} takes no file, so delete would leave none below {fetch.dest};"
                " allow_empty takes it as it is"
            )
        found = dest.found(fetch.scope or "")
    return plan_fetch(fetch, source.files, here_at, hashes.__getitem__, found)


def _apply(pachd: Pachd, fetch: Fetch, source: Source, change: LocalChange) -> None:
    if change.downloads:
        there = sum(file.size for file in source.files if not file.is_dir)
        download(pachd, fetch, source.commit, change.downloads, there)
    try:
        for file, _old, mode in change.modes:
            os.chmod(fetch.target(file), mode)
        delete_files(fetch.dest, change.deleted)
    except OSError as error:
        raise PachydermError(f"{error.filename}: cannot change it: {error.strerror}") from error


def read_source(pachd: Pachd, fetch: Fetch, missing_ok: bool) -> Source:
    """What there is to fetch.

    With `missing_ok`, a branch or commit that does not exist is one with nothing in it. Raises PachydermError
    if it may not be, or if the job that wrote the commit failed.
    """
    try:
        info, warnings = _finished(pachd, fetch)
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        if not missing_ok:
            raise PachydermError(f"{fetch.label} does not exist: {error}") from error
        return Source(warnings=(f"{fetch.label} does not exist yet; there is nothing to fetch",))
    if info is None:
        return Source(warnings=warnings)
    if info.error:
        raise PachydermError(
            f"{fetch.label}: commit {info.commit.id} has an error, so nothing is fetched: {info.error}"
        )
    try:
        files = tuple(_glob(pachd, info.commit, fetch.glob))
    except PachdError as error:
        raise PachydermError(f"{fetch.label}: {fetch.glob}: {error}") from error
    if fetch.glob != _ALL and not any(not file.is_dir for file in files):
        hint = f"{fetch.glob.rstrip('/')}/** takes what is in a directory"
        warnings = (*warnings, f"{fetch.label}: no file matches {fetch.glob}; {hint}")
    return Source(info.commit, files, warnings)


def _finished(pachd: Pachd, fetch: Fetch) -> tuple[Any, tuple[str, ...]]:
    """The commit to read, and warnings: the newest one that is finished, since a job may be writing just now.

    The commit is None if there is none. Raises PachdError.
    """
    pfs = sdk().pfs
    repo = repo_message(fetch.project, fetch.repo)
    if fetch.commit:
        commit = pfs.Commit(id=fetch.commit, repo=repo)
    else:
        commit = pachd.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=fetch.branch)).head
    info = newest = pachd.pfs.inspect_commit(commit=commit)
    while not info.finished.timestamp():
        if fetch.commit or not info.parent_commit.id:
            return None, (f"{fetch.label}: is not finished yet; there is nothing to fetch",)
        info = pachd.pfs.inspect_commit(commit=info.parent_commit)
    if info is newest:
        return info, ()
    return info, (f"{fetch.label}: commit {commit.id} is not finished yet; the one before it is fetched",)


def _glob(pachd: Pachd, commit: Any, pattern: str) -> Iterator[RemoteFile]:
    pfs = sdk().pfs
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    yield from glob(pfs.GlobFileRequest(commit=commit, pattern=pattern))


def _result(fetch: Fetch, source: Source, change: LocalChange) -> dict[str, Any]:
    return {
        "project": fetch.project,
        "repo": fetch.repo,
        "branch": fetch.branch,
        "commit": source.commit.id if source.commit else "",
        "glob": fetch.glob,
        "dest": fetch.dest,
        "changed": bool(change),
        "files": change.counts(),
        "paths": change.paths(),
        "bytes_downloaded": change.download_bytes,
    }
