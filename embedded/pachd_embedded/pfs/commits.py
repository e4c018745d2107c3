# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits: start, finish, list, wait, clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..errors import not_found, unknown
from ..store.db import Database
from ..store.tree import Root, TreeStore
from .branches import FORGOTTEN_HEAD, Branches
from .collisions import find_collision
from .lookup import Lookup
from .model import BranchKey, Commit, CommitRef, Origin, RepoKey


class Commits:
    def __init__(self, db: Database, trees: TreeStore, lookup: Lookup, branches: Branches) -> None:
        self._db = db
        self._trees = trees
        self._lookup = lookup
        self._branches = branches

    # Start and finish

    def start(self, key: BranchKey, parent: CommitRef | None, description: str) -> Commit:
        """Open a commit on a branch (created if need be) and on everything downstream of it."""
        with self._branches.commit_set():
            repo = self._lookup.get_repo(key.repo)
            if not key.name:
                raise unknown("start commit in transaction: branch must be specified")
            branch = self._lookup.find_branch(key)
            if branch is None:
                branch = self._branches.insert_for_commit(repo, key.name)
            elif self._lookup.direct_provenance(branch.row_id):
                raise unknown(f"cannot start a commit on an output branch: {key}")
            base = self._lookup.get_commit(parent).seq if parent else branch.head
            if base and (found := self._lookup.commit_by_seq(base)).finished is None:
                raise unknown(
                    f"start commit in transaction: create commit: parent commit {found} has not been finished"
                )
            commit = self._branches.add_commit(
                branch, Origin.USER, description=description, parent=base or None
            )
            self._branches.mark_changed(branch)
            return self.based(commit)

    def finish(self, ref: CommitRef, description: str, error: str, force: bool) -> None:
        with self._db.transaction():
            commit = self._lookup.get_commit(ref)
            if commit.finishing is not None:
                raise unknown(f"commit {commit} has already finished")
            if not force and self._lookup.is_pipeline_output(commit):
                raise unknown("cannot finish a pipeline output or meta commit, use 'stop job' instead")
            self.close(commit, description or commit.description, error)

    def close(self, commit: Commit, description: str, error: str) -> None:
        """Finish an open commit; where its parent is still open it stays "finishing" until that is closed."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE pfs_commit SET finishing = ?, description = ?, error = ? WHERE seq = ?",
                *(time.time(), description, error, commit.seq),
            )
            self._settle(commit.seq)

    def _settle(self, seq: int) -> None:
        """Make a finishing commit finished once its parent is, and then those that waited for it."""
        commit = self._lookup.commit_by_seq(seq)
        if commit.finishing is None or commit.finished is not None:
            return
        commit = self.based(commit)
        if not commit.based:
            return
        parent = self._lookup.commit_by_seq(commit.parent) if commit.parent else None
        invalid = find_collision(
            self._trees,
            old=None if parent is None or parent.invalid else self.base(commit),
            new=commit.tree,
        )
        self._db.execute(
            "UPDATE pfs_commit SET finished = ?, invalid = ? WHERE seq = ?", time.time(), invalid, seq
        )
        if not commit.error and not invalid:
            self._branches.fire_triggers(self._lookup.commit_by_seq(seq))
        for child in self._lookup.children(seq):
            self._settle(child.seq)

    def based(self, commit: Commit) -> Commit:
        """The commit with the tree that it starts from filled in, as soon as its parent is finished."""
        if commit.based:
            return commit
        with self._db.transaction():
            if commit.parent and self._lookup.commit_by_seq(commit.parent).finished is None:
                return commit
            self.set_tree(commit.seq, self.base(commit))
            return self._lookup.commit_by_seq(commit.seq)

    def set_tree(self, seq: int, tree: Root) -> None:
        self._db.execute("UPDATE pfs_commit SET tree = ?, based = 1 WHERE seq = ?", tree, seq)

    def base(self, commit: Commit) -> Root:
        """The files that a commit starts from: those of the nearest ancestor that did not end in an error."""
        seq = commit.parent
        while seq:
            ancestor = self._lookup.commit_by_seq(seq)
            if not ancestor.error:
                refuse_forgotten(ancestor)
                return ancestor.tree
            seq = ancestor.parent
        return None

    def clear(self, ref: CommitRef) -> None:
        """Throw away what was written into an open commit."""
        with self._db.transaction():
            commit = self._lookup.get_commit(ref)
            if commit.finishing is not None:
                raise unknown("cannot clear finished commit")
            if self.based(commit).based:
                self.set_tree(commit.seq, self.base(commit))

    def forget(self, ref: CommitRef) -> None:
        """Let go of the files of an output commit; what is known of the commit itself stays."""
        prefix = "Forget Commit: "
        with self._db.transaction():
            commit = self._lookup.get_commit(ref)
            if any(child.finished is None for child in self._lookup.children(commit.seq)):
                raise unknown(f"{prefix}direct descendants must be closed")
            if not self._lookup.commit_provenance(commit.seq):
                raise unknown(f"{prefix}the commit to be forgotten must be in an output repo")
            if commit.finished is not None and self._db.row(
                "SELECT 1 FROM branch WHERE head = ?", commit.seq
            ):
                raise unknown(prefix + FORGOTTEN_HEAD)
            self._db.execute("UPDATE pfs_commit SET tree = NULL, forgotten = 1 WHERE seq = ?", commit.seq)

    # Reading and waiting

    def wait(self, ref: CommitRef, ready: bool, finished: bool, give_up: Callable[[], bool]) -> Commit:
        """The commit once its provenance is finished (`ready`) or it is itself (`finished`)."""
        commit = self._lookup.get_commit(ref)

        def look() -> Commit | None:
            now = self._lookup.find_commit(self._lookup.get_repo(commit.repo), commit.id)
            if now is None:
                raise not_found(f"commit {commit} was deleted")
            if finished and now.finished is None:
                return None
            if ready and any(c.finished is None for c in self._lookup.commit_provenance(now.seq)):
                return None
            return now

        return self._db.wait_until(look, give_up) or commit

    def of_repo(
        self, repo: RepoKey, to: CommitRef | None, frm: CommitRef | None, reverse: bool
    ) -> Iterator[Commit]:
        """Newest first. `to` is inclusive and starts a walk along parents, `frm` is exclusive."""
        found = self._lookup.get_repo(repo)
        if frm is not None and to is None:
            raise unknown("cannot use `from` commit without `to` commit")
        if to is None:
            order = "ASC" if reverse else "DESC"
            yield from self._lookup.commits(f"c.repo_id = ? ORDER BY c.seq {order}", found.row_id)
            return
        if reverse:
            raise unknown("cannot use 'Reverse' while also using 'From' or 'To'")
        stop = self._lookup.get_commit(frm).seq if frm else None
        seq: int | None = self._lookup.get_commit(to).seq
        while seq and seq != stop:
            commit = self._lookup.commit_by_seq(seq)
            yield commit
            seq = commit.parent

    def subscribe(
        self, repo: RepoKey, branch: str, frm: CommitRef | None, give_up: Callable[[], bool]
    ) -> Iterator[Commit]:
        """Commits of a repo (of one branch, if given) as they come, oldest first, starting after `frm`."""
        row = self._lookup.get_repo(repo).row_id
        last = self._lookup.get_commit(frm).seq if frm else 0

        def look() -> list[Commit] | None:
            sql = "c.repo_id = ? AND c.seq > ? AND (? = '' OR c.branch = ?) ORDER BY c.seq"
            return self._lookup.commits(sql, row, last, branch, branch) or None

        while found := self._db.wait_until(look, give_up):
            for commit in found:
                last = commit.seq
                yield commit


def refuse_forgotten(commit: Commit) -> None:
    """Raise where the files of a commit were let go of."""
    if commit.forgotten:
        raise unknown("the commit is forgotten")
