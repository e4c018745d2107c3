# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of projects, repos, branches and commits, and the errors when they are not there."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from ..errors import aborted, not_found, unknown
from ..store.db import Database
from .model import Branch, BranchKey, Commit, CommitRef, Origin, Project, Repo, RepoKey

_REPO = "SELECT repo.*, project.name AS project FROM repo JOIN project ON project.id = repo.project_id"
_BRANCH = (
    "SELECT branch.*, repo.name AS repo, repo.type AS repo_type, project.name AS project FROM branch"
    " JOIN repo ON repo.id = branch.repo_id JOIN project ON project.id = repo.project_id"
)
_COMMIT = (
    "SELECT c.*, repo.name AS repo, repo.type AS repo_type, project.name AS project FROM pfs_commit AS c"
    " JOIN repo ON repo.id = c.repo_id JOIN project ON project.id = repo.project_id"
)
_ID = re.compile(r"[0-9a-f]{32}")
# master^, master^2, <id>^^ (or with ~) count back from a commit; master.1 is the branch's first one.
# Numbers are of as many digits as an integer of pachd may have.
_ANCESTRY = re.compile(r"(?P<base>[^^~.]*)(?P<back>(?:[\^~][0-9]{,19})*)(?:\.(?P<forward>[0-9]{1,19}))?")


class Lookup:
    """`find_*` answer None, `get_*` raise as pachd does."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # Projects and repos

    def find_project(self, name: str) -> Project | None:
        row = self._db.row("SELECT * FROM project WHERE name = ?", name)
        return Project.of(row) if row else None

    def get_project(self, name: str) -> Project:
        found = self.find_project(name)
        if found is None:
            raise not_found(f'cannot find project "{name}"')
        return found

    def projects(self) -> list[Project]:
        return [Project.of(row) for row in self._db.rows("SELECT * FROM project ORDER BY id")]

    def find_repo(self, key: RepoKey) -> Repo | None:
        where = " WHERE project.name = ? AND repo.name = ? AND repo.type = ?"
        row = self._db.row(_REPO + where, key.project, key.name, key.type)
        return Repo.of(row) if row else None

    def get_repo(self, key: RepoKey) -> Repo:
        found = self.find_repo(key)
        if found is None:
            raise not_found(f"repo {key} not found")
        return found

    def repos(self, type_: str, projects: list[str]) -> list[Repo]:
        """Sorted by name; all types when `type_` is empty, all projects when the list is."""
        rows = self._db.rows(_REPO + " ORDER BY repo.name, repo.type, project.name")
        found = [Repo.of(row) for row in rows]
        return [
            repo
            for repo in found
            if (not type_ or repo.key.type == type_) and (not projects or repo.key.project in projects)
        ]

    # Branches

    def find_branch(self, key: BranchKey) -> Branch | None:
        where = " WHERE project.name = ? AND repo.name = ? AND repo.type = ? AND branch.name = ?"
        row = self._db.row(_BRANCH + where, key.repo.project, key.repo.name, key.repo.type, key.name)
        return _branch(row) if row else None

    def get_branch(self, key: BranchKey) -> Branch:
        found = self.find_branch(key)
        if found is None:
            self.get_repo(key.repo)
            raise not_found(f"branch {key} not found")
        return found

    def branch_by_row(self, row_id: int) -> Branch:
        row = self._db.row(_BRANCH + " WHERE branch.id = ?", row_id)
        if row is None:  # between two reads of one call
            raise not_found("a branch was deleted while it was looked at")
        return _branch(row)

    def branches(self, repo: Repo) -> list[Branch]:
        """Newest first."""
        where = " WHERE branch.repo_id = ? ORDER BY branch.id DESC"
        return [_branch(row) for row in self._db.rows(_BRANCH + where, repo.row_id)]

    def direct_provenance(self, branch_id: int) -> list[int]:
        sql = "SELECT upstream_id FROM branch_provenance WHERE branch_id = ? ORDER BY position"
        return [row[0] for row in self._db.rows(sql, branch_id)]

    def direct_subvenance(self, branch_id: int) -> list[int]:
        sql = "SELECT branch_id FROM branch_provenance WHERE upstream_id = ? ORDER BY branch_id"
        return [row[0] for row in self._db.rows(sql, branch_id)]

    def provenance(self, branch_id: int) -> list[int]:
        """All branches upstream, nearest first."""
        return _closure(branch_id, self.direct_provenance)

    def subvenance(self, branch_id: int) -> list[int]:
        """All branches downstream, each after everything it depends on."""
        found = _closure(branch_id, self.direct_subvenance)
        return self.topological(found)

    def topological(self, branches: list[int]) -> list[int]:
        """`branches` so that each one stands after those of them that are upstream of it."""
        wanted, done = set(branches), list[int]()

        def place(branch: int) -> None:
            if branch in done:
                return
            for upstream in self.provenance(branch):
                if upstream in wanted:
                    place(upstream)
            if branch not in done:
                done.append(branch)

        for branch in branches:
            place(branch)
        return done

    # Commits

    def commit_by_seq(self, seq: int) -> Commit:
        row = self._db.row(_COMMIT + " WHERE c.seq = ?", seq)
        if row is None:  # between two reads of one call
            raise not_found("a commit was deleted while it was looked at")
        return _commit(row)

    def find_commit(self, repo: Repo, commit_id: str) -> Commit | None:
        row = self._db.row(_COMMIT + " WHERE c.repo_id = ? AND c.id = ?", repo.row_id, commit_id)
        return _commit(row) if row else None

    def commits(self, where: str, *values: object) -> list[Commit]:
        """Commits by a condition on `c` (the table pfs_commit), given with its ORDER BY."""
        return [_commit(row) for row in self._db.rows(f"{_COMMIT} WHERE {where}", *values)]

    def get_commit(self, ref: CommitRef) -> Commit:
        """The commit that a client names. Raises as pachd does for each way in which it can be missing."""
        repo = self.get_repo(ref.repo)
        named = ref.id or ref.branch
        parts = _ANCESTRY.fullmatch(named)
        if not named or parts is None or not parts["base"]:
            raise unknown(f"invalid commit {ref.repo}@{named}: a commit id or a branch is needed")
        commit = self._named(repo, ref, parts["base"], of_branch=not ref.id)
        for step in re.findall(r"[\^~]([0-9]*)", parts["back"]):
            for _step in range(int(step or 1)):
                commit = self._parent(commit, named)
        if parts["forward"] is not None:
            commit = self._from_root(commit, int(parts["forward"]), named)
        return commit

    def _named(self, repo: Repo, ref: CommitRef, base: str, of_branch: bool) -> Commit:
        if not of_branch and _ID.fullmatch(base):
            commit = self.find_commit(repo, base)
            if commit is None:
                raise not_found(f"commit {repo.key}@{base} not found")
            return commit
        branch = self.find_branch(BranchKey(ref.repo, base))
        if branch is not None:
            return self.commit_by_seq(branch.head)
        if of_branch or len(base) == 32:
            raise not_found(f"branch {ref.repo}@{base} not found")
        # The real pachd panics here; its clients see the panic as ABORTED.
        raise aborted(f"commit id {base} of repo {ref.repo} is neither an id (32 hex digits) nor a branch")

    def _parent(self, commit: Commit, named: str) -> Commit:
        if commit.parent is None:
            raise unknown(
                f"invalid offset for ancestor of commit: {commit.repo}@{named} has no such ancestor"
            )
        return self.commit_by_seq(commit.parent)

    def _from_root(self, head: Commit, position: int, named: str) -> Commit:
        """The `position`-th commit of a branch, counted from 1 at its root."""
        chain = [head]
        while chain[-1].parent is not None:
            chain.append(self.commit_by_seq(chain[-1].parent))
        if not 1 <= position <= len(chain):
            raise unknown(f"invalid offset for ancestor of commit: {head.repo}@{named} does not exist")
        return chain[-position]

    def commit_provenance(self, seq: int) -> list[Commit]:
        sql = "c.seq IN (SELECT upstream FROM commit_provenance WHERE seq = ?) ORDER BY c.seq"
        return self.commits(sql, seq)

    def provenance_by_branch(self, seq: int) -> dict[BranchKey, Commit]:
        """The same by the branch whose head it was; the commit itself may be of another one."""
        commits = {commit.seq: commit for commit in self.commit_provenance(seq)}
        rows = self._db.rows("SELECT upstream, branch FROM commit_provenance WHERE seq = ?", seq)
        return {
            BranchKey(commits[row["upstream"]].repo, row["branch"]): commits[row["upstream"]] for row in rows
        }

    def commit_subvenance(self, seq: int) -> list[Commit]:
        sql = "c.seq IN (SELECT seq FROM commit_provenance WHERE upstream = ?) ORDER BY c.seq"
        return self.commits(sql, seq)

    def children(self, seq: int) -> list[Commit]:
        return self.commits("c.parent = ? ORDER BY c.seq", seq)

    def is_pipeline_output(self, commit: Commit) -> bool:
        """Whether a pipeline writes this commit: it has a spec commit of its own pipeline upstream."""
        return any(
            upstream.repo.type == "spec"
            and (upstream.repo.project, upstream.repo.name) == (commit.repo.project, commit.repo.name)
            for upstream in self.commit_provenance(commit.seq)
        )


def _closure(start: int, step: Callable[[int], list[int]]) -> list[int]:
    found, queue = list[int](), [start]
    while queue:
        for branch in step(queue.pop(0)):
            if branch not in found:
                found.append(branch)
                queue.append(branch)
    return found


def _branch(row: sqlite3.Row) -> Branch:
    key = BranchKey(RepoKey(row["project"], row["repo"], row["repo_type"]), row["name"])
    return Branch(
        row["id"], key, row["repo_id"], row["head"], row["created"], row["updated"], row["metadata"]
    )


def _commit(row: sqlite3.Row) -> Commit:
    return Commit(
        seq=row["seq"],
        id=row["id"],
        repo=RepoKey(row["project"], row["repo"], row["repo_type"]),
        repo_id=row["repo_id"],
        branch=row["branch"],
        parent=row["parent"],
        origin=Origin(row["origin"]),
        description=row["description"],
        started=row["started"],
        finishing=row["finishing"],
        finished=row["finished"],
        error=row["error"],
        invalid=row["invalid"],
        based=bool(row["based"]),
        tree=row["tree"],
        forgotten=bool(row["forgotten"]),
        metadata=row["metadata"],
    )
