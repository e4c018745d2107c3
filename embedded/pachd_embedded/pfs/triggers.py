# SPDX-License-Identifier: GPL-3.0-or-later
"""Branch triggers: a branch whose head follows another one's, once enough has come together there."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..cron_spec import CronError, Schedule, parse
from ..errors import PachError, not_found, unknown
from ..store.db import Database
from ..store.tree import TreeStore
from .lookup import Lookup
from .model import Branch, BranchKey, Commit, Origin
from .names import check_repo_name

_SIZE = re.compile(r"(\d+\.?\d*|\.\d+) ?([kmgtp]?i?b?)", re.IGNORECASE)
_POWERS = {letter: 1000**power for power, letter in enumerate(" kmgtp")}


@dataclass(frozen=True, slots=True)
class Trigger:
    """pfs.Trigger. `branch` is the one that is followed, of the same repo."""

    branch: str
    all: bool = False
    rate_limit_spec: str = ""
    size: str = ""
    commits: int = 0
    cron_spec: str = ""

    @classmethod
    def of(cls, message: Any) -> Trigger:
        return cls(**{name: getattr(message, name) for name in cls.__slots__})


class Triggers:
    """What triggers there are and which of them fire; moving heads is for the caller."""

    def __init__(self, db: Database, lookup: Lookup, trees: TreeStore) -> None:
        self._db = db
        self._lookup = lookup
        self._trees = trees

    def check(self, key: BranchKey, trigger: Trigger) -> None:
        """Raises PachError (UNKNOWN) for what pachd refuses, in its order."""
        if not trigger.branch:
            raise unknown("triggers must specify a branch to trigger on")
        check_repo_name(trigger.branch)
        _schedule("rate limit", trigger.rate_limit_spec)
        _bytes(trigger.size)
        if trigger.commits < 0:
            raise unknown("can't trigger on a negative number of commits")
        _schedule("cron", trigger.cron_spec)
        source: str | None = trigger.branch
        while source is not None:
            if source == key.name:
                raise unknown("triggers cannot form a loop")
            branch = self._lookup.find_branch(BranchKey(key.repo, source))
            above = self.of(branch) if branch else None
            source = above.branch if above else None

    def put(self, branch: Branch, trigger: Trigger) -> None:
        """Give a branch its trigger, in place of one that it had. Raises NOT_FOUND without the source."""
        source = self._lookup.find_branch(BranchKey(branch.key.repo, trigger.branch))
        if source is None:
            raise not_found(f"updating branch trigger: branch {branch.key.repo}@{trigger.branch} not found")
        self._db.execute(
            "INSERT OR REPLACE INTO branch_trigger VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(branch.row_id, source.row_id, int(trigger.all), trigger.rate_limit_spec, trigger.size),
            *(trigger.commits, trigger.cron_spec),
        )

    def of(self, branch: Branch) -> Trigger | None:
        return next((trigger for row, trigger in self._where("t.branch_id = ?", branch.row_id)), None)

    def with_cron(self) -> list[tuple[Branch, Trigger]]:
        """The branches whose trigger is a matter of time."""
        return [(self._lookup.branch_by_row(row), t) for row, t in self._where("t.cron_spec != ''")]

    def neighbours(self, branch: Branch) -> tuple[list[Branch], list[Branch]]:
        """The branches that follow a branch, and the one that it follows itself."""
        below = self._db.rows("SELECT branch_id FROM branch_trigger WHERE source_id = ?", branch.row_id)
        above = self._db.rows("SELECT source_id FROM branch_trigger WHERE branch_id = ?", branch.row_id)
        by_row = self._lookup.branch_by_row
        return [by_row(row[0]) for row in below], [by_row(row[0]) for row in above]

    def fired_by(self, commit: Commit) -> list[Branch]:
        """The branches that a commit, now finished, becomes the head of; one may follow another."""
        waiting = dict(self._where("b.repo_id = ? AND t.cron_spec = ''", commit.repo_id))
        moved, fired = {commit.branch}, list[Branch]()
        while waiting:
            reached = [row for row, trigger in waiting.items() if trigger.branch in moved]
            if not reached:
                break
            for row in reached:
                trigger, branch = waiting.pop(row), self._lookup.branch_by_row(row)
                is_new = branch.key.name not in moved and branch.head != commit.seq
                if is_new and self._fires(trigger, self._lookup.commit_by_seq(branch.head), commit):
                    moved.add(branch.key.name)
                    fired.append(branch)
        return fired

    def _where(self, condition: str, *values: object) -> list[tuple[int, Trigger]]:
        sql = (
            "SELECT t.*, source.name AS source FROM branch_trigger AS t"
            " JOIN branch AS b ON b.id = t.branch_id"
            f" JOIN branch AS source ON source.id = t.source_id WHERE {condition} ORDER BY t.branch_id"
        )
        return [
            (
                row["branch_id"],
                Trigger(
                    branch=row["source"],
                    all=bool(row["needs_all"]),
                    rate_limit_spec=row["rate_limit_spec"],
                    size=row["size"],
                    commits=row["commits"],
                    cron_spec=row["cron_spec"],
                ),
            )
            for row in self._db.rows(sql, *values)
        ]

    def _fires(self, trigger: Trigger, old: Commit, new: Commit) -> bool:
        """Any of the conditions that are given, or with `all` each; `old` is the branch's head so far."""
        met: list[bool] = []
        if trigger.size:
            grown = self._trees.weight(new.tree) - self._trees.weight(old.tree)
            met.append(grown >= _bytes(trigger.size))
        if schedule := _schedule("rate limit", trigger.rate_limit_spec):
            due = schedule.next(datetime.fromtimestamp(old.finishing or 0, UTC))
            met.append(due is not None and due.timestamp() < (new.finishing or 0))
        if trigger.commits:
            met.append(self._commits_since(old, new, trigger.commits) == trigger.commits)
        return all(met) if trigger.all else any(met)

    def _commits_since(self, old: Commit, new: Commit, enough: int) -> int:
        """Commits after `old` up to `new`, at most `enough`; an empty root is not counted."""
        count, commit = 0, new
        while count < enough and commit.seq != old.seq:
            if commit.parent is None:
                return count + (commit.origin is not Origin.AUTO)
            commit = self._lookup.commit_by_seq(commit.parent)
            count += 1
        return count


def _schedule(what: str, text: str) -> Schedule | None:
    if not text:
        return None
    try:
        return parse(text)
    except CronError as error:
        raise unknown(f"invalid trigger {what} spec: {error}") from None


def _bytes(text: str) -> int:
    """Bytes of a size such as 100, 2KB, 1.5 MB or 1GiB, all of them with powers of 1,000; 0 for ""."""
    if not text:
        return 0
    found = _SIZE.fullmatch(text)
    if found is None or found[2].lower() in ("i", "ib"):
        raise _invalid_size(text)
    size = float(found[1]) * _POWERS[(found[2].lower().rstrip("ib") or " ")]
    if math.isinf(size):
        raise _invalid_size(text)
    return int(size)


def _invalid_size(text: str) -> PachError:
    return unknown(f"invalid trigger size: invalid size: '{text}'")
