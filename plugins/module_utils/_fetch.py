# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of branches to local files: options and calls. PRIVATE to the collection: may change at any time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._fetch_plan import Fetch, LocalChange, plan_fetch, refuse_shared
from ._file_hash import hash_file
from ._local_dest import Destination, replaced
from ._names import branch_name, project_name, repo_name
from ._plan import Action, Outcome, Plan
from ._sdk import sdk
from ._wire import RemoteFile, read_bytes_value, read_file_info

# A download may take this many seconds, or as long as its bytes need at this many bytes a second.
_DOWNLOAD_SECONDS = 600.0
_DOWNLOAD_BYTES_A_SECOND = 64 * 1024
_ALL = "/**"
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
        # An item's own branch is not overruled by a commit that is meant for the others.
        inherited = [key for key in ("repo", "project", "branch", "glob") if item[key] is None]
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
    return Fetch(
        project=project_name(item["project"], f"{prefix}project"),
        repo=repo_name(item["repo"], f"{prefix}repo"),
        branch=branch_name(item["branch"], f"{prefix}branch"),
        commit=commit,
        glob=item["glob"],
        dest=os.path.normpath(item["dest"]),
    )


def run_fetches(pachd: Pachd, fetches: Sequence[Fetch], check_mode: bool) -> Outcome:
    """Writes the files that differ; in check mode it only says which."""
    sources = [read_source(pachd, fetch, missing_ok=check_mode) for fetch in fetches]
    refuse_shared(fetches, [source.files for source in sources])
    changes = [
        plan_fetch(fetch, source.files, Destination(fetch.dest).look, _hash)
        for fetch, source in zip(fetches, sources, strict=True)
    ]
    actions = tuple(
        Action("fetch", "files", f"{f.label}:{f.glob} to {f.dest}", change.before(), change.after())
        for f, change in zip(fetches, changes, strict=True)
        if change
    )
    plan = Plan(actions, tuple(text for source in sources for text in source.warnings))
    if not check_mode:
        for fetch, source, change in zip(fetches, sources, changes, strict=True):
            for file in change.downloads:
                _download(pachd, fetch, source.commit, file)
    results = [_result(*one) for one in zip(fetches, sources, changes, strict=True)]
    return Outcome(plan, {"fetches": results})


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
    repo = pfs.Repo(name=fetch.repo, type="user", project=pfs.Project(name=fetch.project))
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


def _hash(path: str) -> bytes:
    try:
        return hash_file(Path(path))
    except OSError as error:
        raise PachydermError(f"{path}: cannot read it: {error.strerror}") from error


def _download(pachd: Pachd, fetch: Fetch, commit: Any, file: RemoteFile) -> None:
    """Writes one file. It is in place as a whole or not at all. Raises PachydermError."""
    pfs = sdk().pfs
    target = fetch.target(file)

    def take(pieces: Iterator[bytes]) -> None:
        with replaced(target) as stream:
            for piece in pieces:
                stream.write(piece)
            if stream.tell() != file.size:
                raise PachydermError(
                    f"{target}: {stream.tell()} of {file.size} bytes came; the old file is kept"
                )

    get = pachd.calls.receive(
        "/pfs_v2.API/GetFile",
        take,
        max(_DOWNLOAD_SECONDS, file.size / _DOWNLOAD_BYTES_A_SECOND),
        request_serializer=pfs.GetFileRequest.SerializeToString,
        response_deserializer=read_bytes_value,
    )
    try:
        get(_request_for(commit, file.path))
    except OSError as error:
        raise PachydermError(f"{target}: cannot write it: {error.strerror}") from error
    except PachdError as error:
        raise PachydermError(f"{fetch.label}:{file.path}: {error}") from error


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
