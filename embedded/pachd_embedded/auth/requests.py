# SPDX-License-Identifier: GPL-3.0-or-later
"""Which resources a request names: the functions that the table in rules.py is made of.

What a request leaves out, or names wrongly, is for the method itself to refuse: nothing is yielded then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from betterproto import which_one_of
from pachyderm_sdk.api.auth import Permission

from ..pfs.model import DEFAULT_PROJECT, RepoKey
from .model import CLUSTER, Resource, project_resource, repo_resource

P: TypeAlias = Permission

Need: TypeAlias = tuple[Resource, tuple[P, ...]]
Needs: TypeAlias = Callable[[Any], Iterator[Need]]

# The repo that file sets are read through; they are known to whoever has their id.
_FILE_SETS = "__filesets__"


def repo_of(pick: Callable[[Any], Any], *permissions: P) -> Needs:
    def needs(request: Any) -> Iterator[Need]:
        yield from _on_repo(pick(request), *permissions)

    return needs


def commit_repo(pick: Callable[[Any], Any], *permissions: P) -> Needs:
    def needs(request: Any) -> Iterator[Need]:
        yield from _on_repo(_repo_of_commit(pick(request)), *permissions)

    return needs


def read_file(*permissions: P) -> Needs:
    """pachd asks twice: when the request comes, and when the commit is opened."""

    def needs(request: Any) -> Iterator[Need]:
        repo = _repo_of_commit(request.file and request.file.commit)
        yield from _on_repo(repo, *permissions)
        yield from _on_repo(repo, P.REPO_READ)

    return needs


def opened(request: Any) -> Iterator[Need]:
    repo = _repo_of_commit(request.file and request.file.commit)
    if not repo or repo.name != _FILE_SETS:
        yield from _on_repo(repo, P.REPO_READ)


def diffed(request: Any) -> Iterator[Need]:
    for file in (request.old_file, request.new_file):
        yield from _on_repo(_repo_of_commit(file and file.commit), P.REPO_READ)


def modified(first: Any) -> Iterator[Need]:
    """The first message of a stream names the commit."""
    kind, commit = which_one_of(first, "body") if first is not None else ("", None)
    if kind == "set_commit":
        yield from _on_repo(_repo_of_commit(commit), P.REPO_WRITE)


def project(*permissions: P) -> Needs:
    def needs(request: Any) -> Iterator[Need]:
        name = request.project.name if request.project else ""
        yield project_resource(name or DEFAULT_PROJECT), permissions

    return needs


def pipeline_repo(*permissions: P) -> Needs:
    """The output repo of `request.pipeline`."""

    def needs(request: Any) -> Iterator[Need]:
        yield from _on_pipeline(request.pipeline, *permissions)

    return needs


def job_pipeline(*permissions: P) -> Needs:
    """The output repo of the pipeline of `request.job`, or of `request.datum.job`."""

    def needs(request: Any) -> Iterator[Need]:
        yield from _on_pipeline(_pipeline_of_job(request), *permissions)

    return needs


def listed_datums(request: Any) -> Iterator[Need]:
    yield from _on_pipeline(_pipeline_of_job(request), P.REPO_READ)
    for node in _pfs_inputs(getattr(request, "input", None)):
        key = RepoKey(node.project or DEFAULT_PROJECT, node.repo)
        yield repo_resource(key), (P.REPO_READ, P.REPO_LIST_FILE)


def logged(request: Any) -> Iterator[Need]:
    """Without a pipeline or job the logs are pachd's own; else the servicer looks at the pipeline's repos."""
    if not request.pipeline and not request.job:
        yield CLUSTER, (P.CLUSTER_GET_PACHD_LOGS,)


def edited(request: Any) -> Iterator[Need]:
    """Projects and commits may be annotated by everybody, the others as they may be changed."""
    for edit in request.edits:
        kind, target = which_one_of(edit, "target")
        if kind == "cluster":
            yield CLUSTER, (P.CLUSTER_EDIT_CLUSTER_METADATA,)
        elif kind == "repo":
            yield from _on_picked(target, P.REPO_WRITE)
        elif kind == "branch":
            yield from _on_picked(target.name and target.name.repo, P.REPO_CREATE_BRANCH)
        elif kind == "pipeline":
            yield from _on_picked(target, P.REPO_WRITE)


def _on_repo(repo: Any, *permissions: P) -> Iterator[Need]:
    if repo and repo.name:
        name = repo.project.name if repo.project else ""
        yield repo_resource(RepoKey(name or DEFAULT_PROJECT, repo.name, repo.type or "user")), permissions


def _on_picked(picker: Any, *permissions: P) -> Iterator[Need]:
    """A RepoPicker, or a PipelinePicker for the output repo of the pipeline."""
    if picker and picker.name and picker.name.name:
        name = picker.name.project.name if picker.name.project else ""
        yield repo_resource(RepoKey(name or DEFAULT_PROJECT, picker.name.name)), permissions


def _on_pipeline(pipeline: Any, *permissions: P) -> Iterator[Need]:
    if pipeline and pipeline.name:
        name = pipeline.project.name if pipeline.project else ""
        yield repo_resource(RepoKey(name or DEFAULT_PROJECT, pipeline.name)), permissions


def _repo_of_commit(commit: Any) -> Any:
    if not commit:
        return None
    return commit.repo if commit.repo and commit.repo.name else commit.branch and commit.branch.repo


def _pipeline_of_job(request: Any) -> Any:
    datum = getattr(request, "datum", None)
    job = getattr(request, "job", None) or (datum and datum.job)
    return job and job.pipeline


def _pfs_inputs(node: Any) -> Iterator[Any]:
    if not node:
        return
    if node.pfs and node.pfs.repo:
        yield node.pfs
    for inner in (*node.cross, *node.union, *node.join, *node.group):
        yield from _pfs_inputs(inner)
