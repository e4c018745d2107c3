# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFS API for projects, repos, branches and commits. Files are in files.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pfs
from pachyderm_sdk.api.auth import Permission

from ..auth.caller import may, require
from ..auth.model import project_resource, repo_resource
from ..errors import unknown
from ..pfs.model import USER, Branch, BranchKey, Commit, CommitRef, Repo, RepoKey
from ..pfs.service import Pfs
from .file_sets import FileSetServicer
from .files import FileServicer
from .messages import (
    UNSET_TIME,
    Context,
    auth_info,
    branch_key,
    branch_message,
    commit_message,
    commit_ref,
    optional_ref,
    picked_branch,
    picked_commit,
    project_info,
    project_name,
    repo_key,
    repo_message,
    trigger_message,
    trigger_of,
    when,
)
from .pages import at_most, page_of
from .search import SearchServicer
from .upkeep import UpkeepServicer


class PfsServicer(FileServicer, FileSetServicer, SearchServicer, UpkeepServicer):
    def __init__(self, service: Pfs) -> None:
        super().__init__(service)
        self._pfs = service
        self._lookup = service.lookup

    # Projects

    def create_project(self, request: Any, _context: Context) -> Any:
        self._pfs.projects.create(_name(request.project), request.description, request.update)
        return Empty()

    def inspect_project(self, request: Any, _context: Context) -> Any:
        return project_info(self._pfs.projects.inspect(_name(request.project)))

    def inspect_project_v2(self, request: Any, _context: Context) -> Any:
        project = self._pfs.projects.inspect(_name(request.project))
        return pfs.InspectProjectV2Response(info=project_info(project), defaults_json=project.defaults)

    def list_project(self, _request: Any, _context: Context) -> Iterator[Any]:
        yield from map(project_info, self._lookup.projects())

    def delete_project(self, request: Any, _context: Context) -> Any:
        self._pfs.projects.delete(_name(request.project), request.force)
        return Empty()

    # Repos

    def create_repo(self, request: Any, _context: Context) -> Any:
        self._pfs.repos.create(repo_key(request.repo), request.description, request.update)
        return Empty()

    def inspect_repo(self, request: Any, _context: Context) -> Any:
        return self._repo_info(self._lookup.get_repo(repo_key(request.repo)))

    def list_repo(self, request: Any, _context: Context) -> Iterator[Any]:
        repos = self._lookup.repos(request.type, [project.name for project in request.projects])
        repos = [repo for repo in repos if _may_see(repo)]
        yield from map(self._repo_info, page_of(repos, request.page))

    def delete_repo(self, request: Any, _context: Context) -> Any:
        deleted = self._pfs.repos.delete(repo_key(request.repo), request.force)
        return pfs.DeleteRepoResponse(deleted=deleted)

    def delete_repos(self, request: Any, _context: Context) -> Any:
        projects = [project.name for project in request.projects]
        deleted = self._pfs.repos.delete_all(projects, request.all, request.force)
        return pfs.DeleteReposResponse(repos=[repo_message(key) for key in deleted])

    def repos_summary(self, request: Any, _context: Context) -> Any:
        summaries = []
        for picker in request.projects:
            self._lookup.get_project(picker.name)
            repos = self._lookup.repos(USER, [picker.name])
            size = sum(self._size(repo) for repo in repos)
            summary = pfs.ReposSummary(
                project=pfs.Project(name=picker.name), user_repo_count=len(repos), size_bytes=size
            )
            summaries.append(summary)
        return pfs.ReposSummaryResponse(summaries=summaries)

    # Branches

    def create_branch(self, request: Any, _context: Context) -> Any:
        head = optional_ref(request.head)
        provenance = [branch_key(branch) for branch in request.provenance]
        trigger = trigger_of(request.trigger)
        self._pfs.branches.create(branch_key(request.branch), head, provenance, trigger)
        return Empty()

    def inspect_branch(self, request: Any, _context: Context) -> Any:
        return self._branch_info(self._lookup.get_branch(branch_key(request.branch)))

    def list_branch(self, request: Any, _context: Context) -> Iterator[Any]:
        branches = self._lookup.branches(self._lookup.get_repo(repo_key(request.repo)))
        yield from map(self._branch_info, reversed(branches) if request.reverse else branches)

    def delete_branch(self, request: Any, _context: Context) -> Any:
        self._pfs.branches.delete(branch_key(request.branch), request.force)
        return Empty()

    def walk_branch_provenance(self, request: Any, _context: Context) -> Iterator[Any]:
        yield from self._walk_branches(request, self._lookup.direct_provenance)

    def walk_branch_subvenance(self, request: Any, _context: Context) -> Iterator[Any]:
        yield from self._walk_branches(request, self._lookup.direct_subvenance)

    def _walk_branches(self, request: Any, step: Callable[[int], list[int]]) -> Iterator[Any]:
        start = [self._lookup.get_branch(picked_branch(picker)).row_id for picker in request.start]
        rows = _walk(start, step, request.max_depth)
        for row in rows[: at_most(request.max_branches)]:
            branch = self._lookup.branch_by_row(row)
            require(repo_resource(branch.key.repo), Permission.REPO_LIST_BRANCH)
            yield self._branch_info(branch)

    # Commits

    def start_commit(self, request: Any, _context: Context) -> Any:
        branch = request.branch
        key = BranchKey(repo_key(branch.repo), branch.name) if branch else BranchKey(RepoKey("", ""), "")
        if not branch and request.parent:
            key = BranchKey(commit_ref(request.parent).repo, "")
        commit = self._pfs.commits.start(key, optional_ref(request.parent), request.description)
        return pfs.Commit(repo=repo_message(commit.repo), id=commit.id, branch=branch_message(key))

    def finish_commit(self, request: Any, _context: Context) -> Any:
        ref = commit_ref(request.commit)
        self._pfs.commits.finish(ref, request.description, request.error, request.force)
        return Empty()

    def clear_commit(self, request: Any, _context: Context) -> Any:
        self._pfs.commits.clear(commit_ref(request.commit))
        return Empty()

    def inspect_commit(self, request: Any, context: Context) -> Any:
        return self._commit_info(
            self._waited(commit_ref(request.commit), request.wait, context), details=True
        )

    def list_commit(self, request: Any, _context: Context) -> Iterator[Any]:
        frm, to = optional_ref(request.from_), optional_ref(request.to)
        key = repo_key(request.repo)
        for ref in (frm, to):
            if ref is not None and ref.repo != key:
                raise unknown(f"`from` and `to` commits need to be from repo {key}")
        commits = self._pfs.commits.of_repo(key, to, frm, request.reverse)
        found = islice(filter(_filter(request), commits), at_most(request.number))
        yield from map(self._commit_info, found)

    def subscribe_commit(self, request: Any, context: Context) -> Iterator[Any]:
        key, frm = repo_key(request.repo), optional_ref(request.from_)
        gone = _gone(context)
        for commit in self._pfs.commits.subscribe(key, request.branch, frm, gone):
            if not request.origin_kind or commit.origin == request.origin_kind:
                yield self._commit_info(self._waited(CommitRef(key, commit.id), request.state, context))

    def squash_commit(self, request: Any, _context: Context) -> Any:
        self._pfs.sets.squash(commit_ref(request.commit), request.recursive)
        return pfs.SquashCommitResponse()

    def drop_commit(self, request: Any, _context: Context) -> Any:
        self._pfs.sets.drop(commit_ref(request.commit), request.recursive)
        return pfs.DropCommitResponse()

    def walk_commit_provenance(self, request: Any, _context: Context) -> Iterator[Any]:
        yield from self._walk_commits(request, self._lookup.commit_provenance)

    def walk_commit_subvenance(self, request: Any, _context: Context) -> Iterator[Any]:
        yield from self._walk_commits(request, self._lookup.commit_subvenance)

    def _walk_commits(self, request: Any, step: Callable[[int], list[Commit]]) -> Iterator[Any]:
        start = [self._lookup.get_commit(picked_commit(picker)).seq for picker in request.start]
        seqs = _walk(start, lambda seq: [commit.seq for commit in step(seq)], request.max_depth)
        for seq in seqs[: at_most(request.max_commits)]:
            commit = self._lookup.commit_by_seq(seq)
            require(repo_resource(commit.repo), Permission.REPO_INSPECT_COMMIT)
            yield self._commit_info(commit)

    # Commit sets

    def inspect_commit_set(self, request: Any, context: Context) -> Iterator[Any]:
        commits = self._pfs.sets.set_and_provenance(request.commit_set.id)
        if request.wait:
            # As the real pachd: what is finished comes at once, the rest as it ends.
            commits.sort(key=lambda commit: commit.finished is None)
        for commit in commits:
            if request.wait:
                state = pfs.CommitState.FINISHED
                commit = self._waited(CommitRef(commit.repo, commit.id), state, context)
            yield self._commit_info(commit)

    def list_commit_set(self, request: Any, _context: Context) -> Iterator[Any]:
        project = request.project.name if request.project else ""
        for commit_id in self._pfs.sets.set_ids():
            commits = self._pfs.sets.in_set(commit_id)
            if not project or any(commit.repo.project == project for commit in commits):
                infos = [self._commit_info(c) for c in self._pfs.sets.set_and_provenance(commit_id)]
                yield pfs.CommitSetInfo(commit_set=pfs.CommitSet(id=commit_id), commits=infos)

    def squash_commit_set(self, request: Any, _context: Context) -> Any:
        self._pfs.sets.squash_set(request.commit_set.id)
        return Empty()

    def drop_commit_set(self, request: Any, _context: Context) -> Any:
        self._pfs.sets.drop_set(request.commit_set.id)
        return Empty()

    # Messages

    def _waited(self, ref: CommitRef, state: Any, context: Context) -> Commit:
        finished = state in (pfs.CommitState.FINISHED, pfs.CommitState.FINISHING)
        ready = state == pfs.CommitState.READY
        return self._pfs.commits.wait(ref, ready, finished, _gone(context))

    def _size(self, repo: Repo) -> int:
        """Bytes in the head of master, which is what pachd shows as a repo's size."""
        master = self._lookup.find_branch(BranchKey(repo.key, "master"))
        if master is None:
            return 0
        return self._pfs.tree_size(self._lookup.commit_by_seq(master.head).tree)

    def _repo_info(self, repo: Repo) -> Any:
        size = self._size(repo)
        return pfs.RepoInfo(
            repo=repo_message(repo.key),
            created=when(repo.created),
            description=repo.description,
            size_bytes_upper_bound=size,
            branches=[branch_message(branch.key) for branch in self._lookup.branches(repo)],
            details=pfs.RepoInfoDetails(size_bytes=size),
            metadata=json.loads(repo.metadata),
            auth_info=auth_info(repo_resource(repo.key)),
        )

    def _branch_info(self, branch: Branch) -> Any:
        def keys(rows: list[int]) -> list[Any]:
            return [branch_message(self._lookup.branch_by_row(row).key) for row in rows]

        return pfs.BranchInfo(
            branch=branch_message(branch.key),
            head=commit_message(self._lookup.commit_by_seq(branch.head)),
            provenance=keys(self._lookup.provenance(branch.row_id)),
            subvenance=keys(self._lookup.subvenance(branch.row_id)),
            direct_provenance=keys(self._lookup.direct_provenance(branch.row_id)),
            trigger=trigger_message(trigger) if (trigger := self._pfs.triggers.of(branch)) else None,
            metadata=json.loads(branch.metadata),
            created_at=when(branch.created),
            updated_at=when(branch.updated),
        )

    def _commit_info(self, commit: Commit, details: bool = False) -> Any:
        info = pfs.CommitInfo(
            commit=commit_message(commit),
            origin=pfs.CommitOrigin(kind=pfs.OriginKind(commit.origin)),
            description=commit.description,
            child_commits=[commit_message(c) for c in self._lookup.children(commit.seq)],
            started=when(commit.started),
            direct_provenance=[commit_message(c) for c in self._lookup.commit_provenance(commit.seq)],
            direct_subvenance=[commit_message(c) for c in self._lookup.commit_subvenance(commit.seq)],
            error=commit.reason,
            metadata=json.loads(commit.metadata),
            created_at=when(commit.started),
            updated_at=when(commit.finished or commit.finishing or commit.started),
        )
        if commit.parent:
            info.parent_commit = commit_message(self._lookup.commit_by_seq(commit.parent))
        if commit.finishing is not None:
            info.finishing = when(commit.finishing)
        if commit.finished is not None:
            info.finished = when(commit.finished)
            size = self._pfs.tree_size(commit.tree)
            info.size_bytes_upper_bound = size
            if details:
                info.details = pfs.CommitInfoDetails(size_bytes=size)
        return info


def _filter(request: Any) -> Callable[[Commit], bool]:
    """Which commits ListCommit lets through: of an origin, and started before a time (in reverse: after)."""
    bound = None if request.started_time == UNSET_TIME else request.started_time

    def lets_through(commit: Commit) -> bool:
        if request.origin_kind and commit.origin != request.origin_kind:
            return False
        started = when(commit.started)
        if bound is None or started is None:
            return True
        return started > bound if request.reverse else started < bound

    return lets_through


def _gone(context: Context) -> Callable[[], bool]:
    return lambda: not context.is_active()


def _name(project: Any) -> str:
    """The name that a request on projects gives; here nothing is filled in for an empty one."""
    return project.name if project else project_name(None)


def _may_see(repo: Repo) -> bool:
    """Whether lists show a repo: who may list its project's, or read it."""
    return may(project_resource(repo.key.project), Permission.PROJECT_LIST_REPO) or may(
        repo_resource(repo.key), Permission.REPO_READ
    )


def _walk(start: list[int], step: Callable[[int], list[int]], max_depth: int) -> list[int]:
    """Breadth first from `start` (included), each once, at most `max_depth` steps away (0: no bound)."""
    found, level, depth = list(start), list(start), 0
    while level and (not max_depth or depth < max_depth):
        level = [after for row in level for after in step(row)]
        level = [row for n, row in enumerate(level) if row not in found and row not in level[:n]]
        found += level
        depth += 1
    return found
