# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches, their provenance, and what a new commit sets off downstream."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import already_exists, internal, not_found, unknown
from ..store.db import Database
from .lookup import Lookup
from .model import Branch, BranchKey, Commit, CommitRef, Origin, Repo
from .names import check_branch_name
from .triggers import Trigger, Triggers

FORGOTTEN_HEAD = "list branch in transaction: for each branch: the branch head cannot be a forgotten commit"


def new_id() -> str:
    """A commit or job id: a UUID v4 in 32 hex digits."""
    return uuid.uuid4().hex


@dataclass(slots=True)
class _OpenSet:
    """A commit set that is being made: its id, and the branches whose downstream has to follow."""

    id: str
    changed: list[int] = field(default_factory=list)
    later: list[Callable[[], None]] = field(default_factory=list)
    # By repo, the seq of the commit that branches without another one have as their head.
    empty: dict[int, int] = field(default_factory=dict)


class Branches:
    def __init__(self, db: Database, lookup: Lookup, triggers: Triggers) -> None:
        self._db = db
        self._lookup = lookup
        self._triggers = triggers
        # Only touched within a transaction of the database, of which there is one at a time.
        self._open: _OpenSet | None = None
        # Told of each commit that comes from upstream, within the same transaction: the job engine listens.
        self.on_derived_commit: Callable[[Branch, Commit], None] = lambda _branch, _commit: None

    @contextmanager
    def commit_set(self, commit_id: str = "") -> Iterator[None]:
        """All or nothing, as a transaction of the database; all commits made within share an id.

        At its end what is downstream of the changed branches gets its commits. Within another one it is a
        part of that. `commit_id` is the id to use, a new one by default.
        """
        with self._db.transaction():
            if self._open is not None:
                yield
                return
            done = self._open = _OpenSet(commit_id or new_id())
            try:
                yield
                self._propagate(self._open)
            finally:
                self._open = None
            for call in done.later:
                with self.commit_set():
                    call()

    def fire_triggers(self, commit: Commit) -> None:
        """To be called when a commit is finished without an error.

        What it sets off is a commit set of its own, made after the one that is being made now.
        """

        def move_heads() -> None:
            for branch in self._triggers.fired_by(commit):
                self.set_head(branch.row_id, commit.seq)
                self.mark_changed(branch)

        if self._open is not None:
            self._open.later.append(move_heads)
            return
        with self.commit_set():
            move_heads()

    def create(
        self,
        key: BranchKey,
        head: CommitRef | None,
        provenance: Sequence[BranchKey],
        trigger: Trigger | None = None,
    ) -> Branch:
        """Create or change a branch. Missing branches of `provenance` are created empty.

        A new branch without a head or provenance gets an empty commit; a change of head or provenance
        makes one commit, with the same id, on this branch (with provenance) and on all downstream.
        A trigger stays until another one is given.
        """
        check_branch_name(key.name)
        with self.commit_set():
            repo = self._lookup.get_repo(key.repo)
            if trigger is not None:
                self._triggers.check(key, trigger)
                if provenance:
                    raise unknown("a branch cannot have both provenance and a trigger")
            target = self._head(repo, head)
            upstream = [self._upstream(key, other) for other in provenance]
            branch, existed = self._lookup.find_branch(key), True
            if branch is None:
                branch, existed = self._insert(repo, key.name), False
            self._refuse_cycle(branch, upstream)
            before = self._lookup.direct_provenance(branch.row_id)
            after = [other.row_id for other in upstream]
            self._set_provenance(branch, after)
            changed = target is not None and (not existed or target.seq != branch.head)
            if target is not None:
                self.set_head(branch.row_id, target.seq)
            elif upstream and (before != after or not existed):
                self.add_commit(branch, Origin.AUTO, parent=branch.head or None)
                changed = True
            elif not existed:
                self.add_commit(branch, Origin.AUTO, finished=True)
            if trigger is not None:
                self._triggers.put(branch, trigger)
            if changed:
                self.mark_changed(branch)
            return self._lookup.branch_by_row(branch.row_id)

    def mark_changed(self, branch: Branch) -> None:
        """What is downstream of the branch gets commits when the commit set ends."""
        assert self._open is not None, "a branch changes within a commit set"
        self._open.changed.append(branch.row_id)

    def insert_for_commit(self, repo: Repo, name: str) -> Branch:
        """A new branch whose first commit the caller adds in the same transaction."""
        check_branch_name(name)
        return self._insert(repo, name)

    def delete(self, key: BranchKey, force: bool) -> None:
        with self._db.transaction():
            self.remove(self._lookup.get_branch(key), force, prefix="")

    def remove(self, branch: Branch, force: bool, prefix: str) -> None:
        with self._db.transaction():
            if not force:
                self._refuse_removal(branch, prefix)
            # This also takes it out of the provenance of the branches below.
            self._db.execute("DELETE FROM branch WHERE id = ?", branch.row_id)

    def _refuse_removal(self, branch: Branch, prefix: str) -> None:
        """Raises where others depend on the branch; a trigger binds both sides, as in pachd."""
        below = [self._lookup.branch_by_row(row) for row in self._lookup.direct_subvenance(branch.row_id)]
        followers, followed = self._triggers.neighbours(branch)
        reasons = (
            ("it's in the direct provenance of", below),
            ("it is triggered by branches", followers),
            ("it triggers branches", followed),
        )
        for reason, others in reasons:
            if others:
                names = " ".join(str(other.key) for other in others)
                raise unknown(
                    f"{prefix}delete branch {branch.key}: branch {branch.key} cannot be deleted because"
                    f" {reason} [{names}]"
                )

    def removal_order(self, repo: Repo) -> list[Branch]:
        """The repo's branches, each before those that it depends on."""
        rows = [branch.row_id for branch in self._lookup.branches(repo)]
        return [self._lookup.branch_by_row(row) for row in reversed(self._lookup.topological(rows))]

    def clear_provenance(self, key: BranchKey) -> None:
        """Cut a branch off from what it depends on; nothing is committed."""
        with self._db.transaction():
            self._set_provenance(self._lookup.get_branch(key), [])

    def set_head(self, branch_id: int, seq: int) -> None:
        self._db.execute("UPDATE branch SET head = ?, updated = ? WHERE id = ?", seq, time.time(), branch_id)

    def give_empty_head(self, branch: Branch) -> None:
        """A commit without files, one for all such branches of a repo; open where the branch is derived."""
        assert self._open is not None, "commits are made within a commit set"
        made = self._open.empty.get(branch.repo_id)
        if made is None:
            finished = not self._lookup.direct_provenance(branch.row_id)
            made = self.add_commit(branch, Origin.AUTO, finished=finished).seq
            self._open.empty[branch.repo_id] = made
        self.set_head(branch.row_id, made)

    def add_commit(
        self,
        branch: Branch,
        origin: Origin,
        *,
        description: str = "",
        parent: int | None = None,
        finished: bool = False,
    ) -> Commit:
        """A new head for `branch`. Its provenance is the heads of the branch's direct provenance."""
        assert self._open is not None, "commits are made within a commit set"
        commit_id, now = self._open.id, time.time()
        self._refuse_second(branch, commit_id)
        seq = self._db.execute(
            "INSERT INTO pfs_commit (id, repo_id, branch, parent, origin, description, started, finishing,"
            " finished, based) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(commit_id, branch.repo_id, branch.key.name, parent, int(origin), description, now),
            *((now, now, 1) if finished else (None, None, 0)),
        )
        upstream = [self._lookup.branch_by_row(row) for row in self._lookup.direct_provenance(branch.row_id)]
        self._db.executemany(
            "INSERT INTO commit_provenance VALUES (?, ?, ?)",
            [(seq, other.head, other.key.name) for other in upstream],
        )
        self.set_head(branch.row_id, seq)
        commit = self._lookup.commit_by_seq(seq)
        if upstream:
            self.on_derived_commit(branch, commit)
        return commit

    def _propagate(self, done: _OpenSet) -> None:
        """Give each branch downstream of the changed ones an open commit of the set (once)."""
        below: list[int] = []
        for row in done.changed:
            below += [branch for branch in self._lookup.subvenance(row) if branch not in below]
        for row in self._lookup.topological(below):
            branch = self._lookup.branch_by_row(row)
            head = self._lookup.commit_by_seq(branch.head) if branch.head else None
            if head is None or head.id != done.id:
                self.add_commit(branch, Origin.AUTO, parent=branch.head or None)

    def _refuse_second(self, branch: Branch, commit_id: str) -> None:
        if self._lookup.commits("c.repo_id = ? AND c.id = ?", branch.repo_id, commit_id):
            raise already_exists(
                f"inconsistent dependencies: cannot create commit from {branch.key.repo}@{commit_id};"
                f" repo ({branch.key.repo.name}) already has a commit in this transaction"
            )

    def _head(self, repo: Repo, head: CommitRef | None) -> Commit | None:
        if head is None:
            return None
        if head.repo != repo.key:
            raise unknown("branch and head commit must belong to the same repo")
        found = self._lookup.get_commit(head)
        if found.forgotten:
            raise unknown(FORGOTTEN_HEAD)
        return found

    def _upstream(self, key: BranchKey, other: BranchKey) -> Branch:
        if other.repo == key.repo:
            raise unknown(f"repo {key.repo} cannot be in the provenance of its own branch")
        if self._lookup.find_repo(other.repo) is None:
            raise not_found(f"repo {other.repo} not found")
        return self._lookup.find_branch(other) or self._with_empty_head(other)

    def _with_empty_head(self, key: BranchKey) -> Branch:
        check_branch_name(key.name)
        branch = self._insert(self._lookup.get_repo(key.repo), key.name)
        self.give_empty_head(branch)
        return self._lookup.branch_by_row(branch.row_id)

    def _refuse_cycle(self, branch: Branch, upstream: list[Branch]) -> None:
        below = set(self._lookup.subvenance(branch.row_id))
        for other in upstream:
            if other.row_id in below or other.row_id == branch.row_id:
                raise internal(
                    f"cycle detected because {other.key} is already in the subvenance of {branch.key}"
                )

    def _insert(self, repo: Repo, name: str) -> Branch:
        now = time.time()
        row = self._db.execute(
            "INSERT INTO branch (repo_id, name, created, updated) VALUES (?, ?, ?, ?)",
            *(repo.row_id, name, now, now),
        )
        return self._lookup.branch_by_row(row)

    def _set_provenance(self, branch: Branch, upstream: list[int]) -> None:
        self._db.execute("DELETE FROM branch_provenance WHERE branch_id = ?", branch.row_id)
        self._db.executemany(
            "INSERT OR IGNORE INTO branch_provenance VALUES (?, ?, ?)",
            [(branch.row_id, row, position) for position, row in enumerate(upstream)],
        )
