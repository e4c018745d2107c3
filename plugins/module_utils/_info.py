# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd holds, as plain values. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._jobs import iso, job_values, state_name
from ._names import branch_name, pipeline_name, project_name, repo_name
from ._plan import Outcome
from ._sdk import sdk
from ._spec_env import hide_env
from ._spec_normal import normal
from ._wire import RemoteFile, read_file_info

Values = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for. A filter of None lets everything through; `max_content` is in bytes."""

    gather: tuple[str, ...]
    project: str | None
    repo: str | None
    branch: str
    pipeline: str | None
    glob: str
    content: bool
    max_content: int
    max_jobs: int


def parse_query(params: Mapping[str, Any]) -> Query:
    """Reads the options. Raises PachydermError."""
    if "files" in params["gather"] and not params["repo"]:
        raise PachydermError("repo: is required to gather files")
    for option in ("max_content_bytes", "max_jobs"):
        if params[option] < 1:
            raise PachydermError(f"{option}: must be at least 1, not {params[option]}")
    checks: dict[str, Callable[[str, str], str]] = {
        "project": project_name,
        "repo": repo_name,
        "branch": branch_name,
        "pipeline": pipeline_name,
    }
    for option, check in checks.items():
        if params[option] is not None:
            check(params[option], option)
    return Query(
        gather=tuple(dict.fromkeys(params["gather"])),
        project=params["project"],
        repo=params["repo"],
        branch=params["branch"],
        pipeline=params["pipeline"],
        glob=params["glob"],
        content=params["content"],
        max_content=params["max_content_bytes"],
        max_jobs=params["max_jobs"],
    )


def run_query(pachd: Pachd, query: Query, _check_mode: bool) -> Outcome:
    """Reads what is asked for, one return value for each kind."""
    readers = {
        "projects": _projects,
        "repos": _repos,
        "branches": _branches,
        "pipelines": _pipelines,
        "jobs": _jobs,
        "files": _files,
    }
    return Outcome(None, {kind: readers[kind](pachd, query) for kind in query.gather})


def _project_messages(query: Query) -> list[Any]:
    return [sdk().pfs.Project(name=query.project)] if query.project else []


def _projects(pachd: Pachd, query: Query) -> Values:
    return [
        {"name": info.project.name, "description": info.description, "created": iso(info.created_at)}
        for info in pachd.pfs.list_project()
        if query.project in (None, info.project.name)
    ]


def _user_repos(pachd: Pachd, query: Query) -> Iterable[Any]:
    infos = pachd.pfs.list_repo(type="user", projects=_project_messages(query))
    return [info for info in infos if query.repo in (None, info.repo.name)]


def _repos(pachd: Pachd, query: Query) -> Values:
    return [
        {
            "project": info.repo.project.name,
            "name": info.repo.name,
            "description": info.description,
            "size_bytes": info.details.size_bytes or info.size_bytes_upper_bound,
            "branches": [branch.name for branch in info.branches],
            "created": iso(info.created),
        }
        for info in _user_repos(pachd, query)
    ]


def _branches(pachd: Pachd, query: Query) -> Values:
    return [
        {
            "project": repo.repo.project.name,
            "repo": repo.repo.name,
            "name": info.branch.name,
            "head": info.head.id,
            "provenance": [
                {"project": b.repo.project.name, "repo": b.repo.name, "branch": b.name}
                for b in info.direct_provenance
                if b.repo.type == "user"
            ],
        }
        for repo in _user_repos(pachd, query)
        for info in pachd.pfs.list_branch(repo=repo.repo)
    ]


def _pipelines(pachd: Pachd, query: Query) -> Values:
    pps = sdk().pps
    return [
        {
            "project": info.pipeline.project.name,
            "name": info.pipeline.name,
            "version": info.version,
            "state": state_name(pps.PipelineState, info.state),
            "reason": info.reason,
            "stopped": info.stopped,
            "last_job_state": state_name(pps.JobState, info.last_job_state),
            "workers_requested": info.details.workers_requested,
            "workers_available": info.details.workers_available,
            "spec": hide_env(
                normal(json.loads(info.effective_spec_json or "{}"), info.pipeline.project.name)
            ),
        }
        for info in pachd.pps.list_pipeline(details=True, projects=_project_messages(query))
        if query.pipeline in (None, info.pipeline.name)
    ]


def _jobs(pachd: Pachd, query: Query) -> Values:
    """Newest first, of the current version of each pipeline."""
    found: Values = []
    for pipeline in _pipelines(pachd, query):
        message = sdk().pps.Pipeline(
            name=pipeline["name"], project=sdk().pfs.Project(name=pipeline["project"])
        )
        found += [job_values(info) for info in pachd.pps.list_job(pipeline=message, number=query.max_jobs)]
    return sorted(found, key=lambda job: job["created"] or "", reverse=True)[: query.max_jobs]


def _files(pachd: Pachd, query: Query) -> Values:
    """The files and directories of the branch's head that match the glob."""
    pfs = sdk().pfs
    project = pfs.Project(name=query.project or "default")
    repo = pfs.Repo(name=query.repo or "", type="user", project=project)
    label = f"{project.name}/{query.repo}@{query.branch}"
    try:
        head = pachd.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=query.branch)).head
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        raise PachydermError(f"{label} does not exist: {error}") from error
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    try:
        entries: list[RemoteFile] = list(glob(pfs.GlobFileRequest(commit=head, pattern=query.glob)))
        return [_file(pachd, query, head, entry) for entry in entries]
    except PachdError as error:
        raise PachydermError(f"{label}: {query.glob}: {error}") from error


def _file(pachd: Pachd, query: Query, commit: Any, entry: RemoteFile) -> dict[str, Any]:
    values: dict[str, Any] = {
        "path": entry.path,
        "type": "directory" if entry.is_dir else "file",
        "size_bytes": entry.size,
        "hash": entry.hash.hex(),
    }
    if not query.content or entry.is_dir or entry.size > query.max_content:
        return values
    pieces = pachd.pfs.get_file(file=sdk().pfs.File(commit=commit, path=entry.path))
    content = b"".join(piece.value for piece in pieces)
    try:
        return values | {"content": content.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return values | {"content": base64.b64encode(content).decode(), "encoding": "base64"}
