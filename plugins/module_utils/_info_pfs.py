# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects, repos, branches, commits and files as plain values. PRIVATE: it may change at any time."""

from __future__ import annotations

import base64
from typing import Any

from ._at_once import for_each
from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._info_query import Query, Values
from ._jobs import iso, state_name
from ._messages import repo_message
from ._repos import repo_picker
from ._sdk import sdk
from ._wire import RemoteFile, read_file_info


def project_messages(query: Query) -> list[Any]:
    return [sdk().pfs.Project(name=query.project)] if query.project else []


def project_infos(pachd: Pachd, query: Query) -> list[Any]:
    return [info for info in pachd.pfs.list_project() if query.project in (None, info.project.name)]


def user_repos(pachd: Pachd, query: Query) -> list[Any]:
    infos = pachd.pfs.list_repo(type="user", projects=project_messages(query))
    return [info for info in infos if query.repo in (None, info.repo.name)]


def read_project_values(pachd: Pachd, query: Query) -> Values:
    return [
        {
            "name": info.project.name,
            "description": info.description,
            "metadata": dict(info.metadata),
            "created": iso(info.created_at),
        }
        for info in project_infos(pachd, query)
    ]


def read_repo_values(pachd: Pachd, query: Query) -> Values:
    return [
        {
            "project": info.repo.project.name,
            "name": info.repo.name,
            "description": info.description,
            "metadata": dict(info.metadata),
            "size_bytes": info.details.size_bytes or info.size_bytes_upper_bound,
            "branches": [branch.name for branch in info.branches],
            "created": iso(info.created),
        }
        for info in user_repos(pachd, query)
    ]


def read_branches(pachd: Pachd, query: Query) -> Values:
    def of_repo(repo: Any) -> Values:
        return [_branch(info) for info in pachd.pfs.list_branch(repo=repo.repo)]

    return for_each(of_repo, user_repos(pachd, query))


def _branch(info: Any) -> dict[str, Any]:
    repo = info.branch.repo
    return {
        "project": repo.project.name,
        "repo": repo.name,
        "name": info.branch.name,
        "head": info.head.id,
        "provenance": [
            {"project": b.repo.project.name, "repo": b.repo.name, "branch": b.name}
            for b in info.direct_provenance
            if b.repo.type == "user"
        ],
        "trigger": _trigger(info.trigger),
        "metadata": dict(info.metadata),
    }


def _trigger(trigger: Any) -> dict[str, Any] | None:
    """What a trigger says, without what it leaves out; None for a branch that has none."""
    if trigger is None or not trigger.branch:
        return None
    fields = ("branch", "all", "cron_spec", "rate_limit_spec", "size", "commits")
    return {name: value for name in fields if (value := getattr(trigger, name))}


def _repo(query: Query) -> Any:
    return repo_message(query.project or "default", query.repo or "")


def _label(query: Query) -> str:
    return f"{query.project or 'default'}/{query.repo}@{query.commit or query.branch}"


def _commit(pachd: Pachd, query: Query) -> Any:
    """The commit that is asked for: the head of the branch if none is."""
    pfs = sdk().pfs
    repo = _repo(query)
    try:
        if query.commit:
            return pachd.pfs.inspect_commit(commit=pfs.Commit(repo=repo, id=query.commit)).commit
        return pachd.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=query.branch)).head
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        raise PachydermError(f"{_label(query)} does not exist: {error}") from error


def read_commits(pachd: Pachd, query: Query) -> Values:
    """The commit and those before it, newest first; without a repo, the newest ones of all repos."""
    if query.repo:
        infos = pachd.pfs.list_commit(repo=_repo(query), to=_commit(pachd, query), number=query.max_commits)
        return [_commit_values(info) for info in infos]

    def of_repo(repo: Any) -> Values:
        return [
            _commit_values(info) for info in pachd.pfs.list_commit(repo=repo.repo, number=query.max_commits)
        ]

    found = for_each(of_repo, user_repos(pachd, query))
    return sorted(found, key=lambda commit: commit["started"] or "", reverse=True)[: query.max_commits]


def _commit_values(info: Any) -> dict[str, Any]:
    return {
        "project": info.commit.repo.project.name,
        "repo": info.commit.repo.name,
        "id": info.commit.id,
        "parent": info.parent_commit.id or None,
        "provenance": [
            {"project": commit.repo.project.name, "repo": commit.repo.name, "id": commit.id}
            for commit in info.direct_provenance
            if commit.repo.type == "user"
        ],
        "origin": state_name(sdk().pfs.OriginKind, info.origin.kind),
        "description": info.description,
        "error": info.error,
        "size_bytes": info.details.size_bytes or info.size_bytes_upper_bound,
        "started": iso(info.started),
        "finished": iso(info.finished),
    }


def read_provenance(pachd: Pachd, query: Query) -> dict[str, Values]:
    """The commits that the commit was made from, and those that were made from it, near ones first."""
    pfs = sdk().pfs
    commit = _commit(pachd, query)
    picked = pfs.CommitPickerCommitByGlobalId(
        repo=repo_picker((commit.repo.project.name, commit.repo.name)), id=commit.id
    )
    walks = {"upstream": pachd.pfs.walk_commit_provenance, "downstream": pachd.pfs.walk_commit_subvenance}
    return {
        way: [
            _commit_values(info)
            for info in walk(start=[pfs.CommitPicker(id=picked)], max_commits=query.max_commits)
            if info.commit.repo.type == "user" and info.commit != commit
        ]
        for way, walk in walks.items()
    }


def read_files(pachd: Pachd, query: Query) -> Values:
    """The files and directories of the commit that match the glob."""
    pfs = sdk().pfs
    commit = _commit(pachd, query)
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    try:
        entries: list[RemoteFile] = list(glob(pfs.GlobFileRequest(commit=commit, pattern=query.glob)))
        return for_each(lambda entry: [_file(pachd, query, commit, entry)], entries)
    except PachdError as error:
        raise PachydermError(f"{_label(query)}: {query.glob}: {error}") from error


def _file(pachd: Pachd, query: Query, commit: Any, entry: RemoteFile) -> dict[str, Any]:
    values: dict[str, Any] = {
        "path": entry.path,
        "type": "directory" if entry.is_dir else "file",
        "size_bytes": entry.size,
        "hash": entry.hash.hex(),
    }
    if not query.content or entry.is_dir or entry.size > query.max_content_bytes:
        return values
    content = file_content(pachd, commit, entry.path)
    try:
        return values | {"content": content.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return values | {"content": base64.b64encode(content).decode(), "encoding": "base64"}


def file_content(pachd: Pachd, commit: Any, path: str) -> bytes:
    """All of a file. Raises PachdError."""
    pieces = pachd.pfs.get_file(file=sdk().pfs.File(commit=commit, path=path))
    return b"".join(piece.value for piece in pieces)
