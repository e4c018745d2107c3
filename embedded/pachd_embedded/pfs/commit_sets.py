# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit sets (the commits of all repos that share an id), and taking commits out: squash and drop."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import not_found, unknown
from ..store.db import Database
from .branches import Branches
from .lookup import Lookup
from .model import SPEC, Commit, CommitRef, Origin


class CommitSets:
    def __init__(self, db: Database, lookup: Lookup, branches: Branches) -> None:
        self._db = db
        self._lookup = lookup
        self._branches = branches

    def in_set(self, commit_id: str) -> list[Commit]:
        """The commits with one id, each after those it was derived from."""
        commits = self._lookup.commits("c.id = ? ORDER BY c.seq", commit_id)
        by_seq = {commit.seq: commit for commit in commits}
        ordered: list[Commit] = []

        def place(commit: Commit) -> None:
            for upstream in self._lookup.commit_provenance(commit.seq):
                if upstream.seq in by_seq:
                    place(upstream)
            if commit not in ordered:
                ordered.append(commit)

        for commit in commits:
            place(commit)
        return ordered

    def set_and_provenance(self, commit_id: str) -> list[Commit]:
        """InspectCommitSet: the set, after the commits of other sets that it depends on."""
        commits = self.in_set(commit_id)
        if not commits:
            raise not_found(f"no commits found for commitset {commit_id}")
        aliases: list[Commit] = []
        queue = list(commits)
        while queue:
            for upstream in self._lookup.commit_provenance(queue.pop(0).seq):
                if upstream not in commits and upstream not in aliases:
                    aliases.append(upstream)
                    queue.append(upstream)
        return sorted(aliases, key=lambda commit: commit.seq) + commits

    def set_ids(self) -> list[str]:
        """All commit set ids, the newest first."""
        sql = "SELECT id FROM pfs_commit GROUP BY id ORDER BY max(seq) DESC"
        return [row[0] for row in self._db.rows(sql)]

    def squash_set(self, commit_id: str) -> None:
        """Delete the commits with this id; their files stay in their children."""
        with self._branches.commit_set():
            commits = self._deletable_set(commit_id)
            for commit in commits:
                self._check_childful(commit)
            for commit in commits:
                self._delete(commit)

    def drop_set(self, commit_id: str) -> None:
        """Delete the commits with this id, their files included: heads go back to their parents."""
        with self._branches.commit_set():
            commits = self._deletable_set(commit_id)
            for commit in commits:
                self._check_childless(commit)
            for commit in commits:
                self._delete(commit)

    def squash(self, ref: CommitRef, recursive: bool) -> None:
        self._delete_with_subvenance(ref, recursive, "squash", self._check_childful)

    def drop(self, ref: CommitRef, recursive: bool) -> None:
        self._delete_with_subvenance(ref, recursive, "drop", self._check_childless)

    def _delete_with_subvenance(
        self, ref: CommitRef, recursive: bool, verb: str, check: Callable[[Commit], None]
    ) -> None:
        with self._branches.commit_set():
            first = self._lookup.get_commit(ref)
            commits, queue = [first], [first]
            while queue:
                for below in self._lookup.commit_subvenance(queue.pop(0).seq):
                    if below not in commits:
                        commits.append(below)
                        queue.append(below)
            if len(commits) > 1 and not recursive:
                raise unknown(f"cannot {verb} commit ({first}) with subvenance without recursive")
            for commit in commits:
                self._refuse_spec(commit)
                check(commit)
            for commit in commits:
                self._delete(commit)

    def _deletable_set(self, commit_id: str) -> list[Commit]:
        commits = self.in_set(commit_id)
        below, queue = set[str](), list(commits)
        while queue:
            for other in self._lookup.commit_subvenance(queue.pop().seq):
                if other.id != commit_id and other.id not in below:
                    below.add(other.id)
                    queue += self.in_set(other.id)
        if below:
            raise unknown(
                f'commit set "{commit_id}" cannot be dropped because it has subvenant commit sets:'
                f" {sorted(below)}"
            )
        for commit in commits:
            self._refuse_spec(commit)
        return commits

    def _refuse_spec(self, commit: Commit) -> None:
        if commit.repo.type == SPEC and commit.origin is Origin.USER:
            raise unknown(f"cannot squash commit {commit} because it updated a pipeline")

    def _check_childful(self, commit: Commit) -> None:
        if not self._lookup.children(commit.seq):
            raise unknown(
                "cannot squash a commit that has no children as that would cause data loss,"
                f" use the drop operation instead: {commit}"
            )

    def _check_childless(self, commit: Commit) -> None:
        if self._lookup.children(commit.seq):
            raise unknown(f"cannot drop a commit that has children: {commit}")

    def _delete(self, commit: Commit) -> None:
        """Take one commit out of its repo: children and branch heads move to its parent.

        Of several commits those upstream go first, so that a branch that begins anew is derived from what
        the branches upstream are by then.
        """
        for child in self._lookup.children(commit.seq):
            if child.finished is None:
                raise unknown(f"cannot squash until child commit {child} is finished")
        self._db.execute("UPDATE pfs_commit SET parent = ? WHERE parent = ?", commit.parent, commit.seq)
        heads = self._db.rows("SELECT id FROM branch WHERE head = ?", commit.seq)
        self._db.execute("DELETE FROM commit_provenance WHERE upstream = ?", commit.seq)
        self._db.execute("DELETE FROM pfs_commit WHERE seq = ?", commit.seq)
        for (row,) in heads:
            if commit.parent:
                self._branches.set_head(row, commit.parent)
            else:
                self._branches.give_empty_head(self._lookup.branch_by_row(row))
