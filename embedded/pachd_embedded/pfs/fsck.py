# SPDX-License-Identifier: GPL-3.0-or-later
"""fsck: whether heads, parents, provenance and jobs agree with each other, and all their content is there.

A pachd tells of commits and branches only; its words for those come from the public source, not verified.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..store.db import Database
from ..store.tree import TreeStore
from ..store.verify import Verifier
from .entries import split_key
from .lookup import Lookup
from .model import META, Commit

_LOST = "consistency error: the commit {} could not be found while checking {}"


@dataclass(frozen=True)
class Finding:
    """What is wrong, or with `fixed` what was."""

    text: str
    fixed: bool = False

    def __str__(self) -> str:
        return self.text


class Fsck:
    """`busy` keeps garbage collection away; `verifier` makes what checks the content."""

    def __init__(
        self,
        db: Database,
        lookup: Lookup,
        trees: TreeStore,
        verifier: Callable[[], Verifier],
        busy: threading.Lock,
    ) -> None:
        self._db = db
        self._lookup = lookup
        self._trees = trees
        self._verifier = verifier
        self._busy = busy

    def check(self, fix: bool = False) -> Iterator[Finding]:
        """Everything; no finding when all is well. It reads all content, so it takes time for a lot of data.

        `fix` forgets provenance that names commits which are gone; nothing else can be put right from what
        is left.
        """
        yield from self.check_commits(fix)
        with self._busy:
            for text in self._verifier().problems():
                yield Finding(text)

    def check_commits(self, fix: bool = False) -> Iterator[Finding]:
        """What a pachd checks, and jobs; no content is read."""
        with self._db.hold():
            found = [*self._branches(), *self._commits(), *self._jobs(), *self._provenance(fix)]
        yield from found

    def zombies(self, commit: Commit) -> Iterator[str]:
        """Files of a job's output whose datum the job does not have (as a pachd words it)."""
        for row in self._db.rows(
            "SELECT datums FROM job WHERE output = ? AND finished IS NOT NULL", commit.seq
        ):
            datums = {key for key, _value in self._trees.scan(row["datums"])}
            for key, _value in self._trees.scan(commit.tree):
                path, datum = split_key(key)
                if datum not in datums:
                    yield f"stale datum {datum} had file {path}"

    def all_zombies(self) -> Iterator[str]:
        """The same for the newest good commit of each pipeline's output."""
        for repo in self._lookup.repos(META, []):
            where = (
                "project.name = ? AND repo.name = ? AND repo.type = 'user' AND c.branch = 'master'"
                " AND c.finished IS NOT NULL AND c.error = '' AND c.invalid = '' ORDER BY c.seq DESC LIMIT 1"
            )
            for commit in self._lookup.commits(where, repo.key.project, repo.key.name):
                yield from self.zombies(commit)

    def _branches(self) -> Iterator[Finding]:
        for repo in self._lookup.repos("", []):
            for branch in self._lookup.branches(repo):
                head = self._lookup.commits("c.seq = ?", branch.head)
                if not head:
                    yield Finding(_LOST.format(f"#{branch.head}", f"head commit of {branch.key}"))
                    continue
                known = {commit.seq for commit in self._lookup.commit_provenance(branch.head)}
                for row in self._lookup.direct_provenance(branch.row_id):
                    upstream = self._lookup.branch_by_row(row)
                    if upstream.head not in known:
                        yield Finding(
                            f"consistency error: parent branch {upstream.key} commit is not in direct"
                            f" provenance of head of branch {branch.key}"
                        )

    def _commits(self) -> Iterator[Finding]:
        parent = "EXISTS (SELECT 1 FROM pfs_commit AS p WHERE p.seq = c.parent"
        for commit in self._lookup.commits(f"c.parent IS NOT NULL AND NOT {parent})"):
            yield Finding(_LOST.format(f"#{commit.parent}", f"parent commit of {commit}"))
        for commit in self._lookup.commits(f"c.finished IS NOT NULL AND {parent} AND p.finished IS NULL)"):
            yield Finding(f"commit {commit} is finished before its parent")
        for commit in self._lookup.commits("c.finished IS NOT NULL AND c.based = 0"):
            yield Finding(f"commit {commit} is finished and its files are not on record")

    def _provenance(self, fix: bool) -> Iterator[Finding]:
        lost = (
            "SELECT seq, upstream FROM commit_provenance AS p WHERE NOT EXISTS"
            " (SELECT 1 FROM pfs_commit AS c WHERE c.seq = p.upstream)"
        )
        for seq, upstream in self._db.rows(lost):
            commit = self._lookup.commit_by_seq(seq)
            yield Finding(_LOST.format(f"#{upstream}", f"direct provenance of {commit}"), fixed=fix)
            if fix:
                sql = "DELETE FROM commit_provenance WHERE seq = ? AND upstream = ?"
                self._db.execute(sql, seq, upstream)

    def _jobs(self) -> Iterator[Finding]:
        sql = (
            "SELECT job.id, job.finished, c.seq, c.id AS commit_id, c.finishing FROM job"
            " JOIN pfs_commit AS c ON c.seq = job.output ORDER BY job.seq"
        )
        for job, ended, seq, commit_id, finishing in self._db.rows(sql):
            commit = self._lookup.commit_by_seq(seq)
            if job != commit_id:
                yield Finding(f"job {job} writes commit {commit}, which has another id")
            if ended is not None and finishing is None:
                yield Finding(f"job {job} has ended, and its commit {commit} is open")
