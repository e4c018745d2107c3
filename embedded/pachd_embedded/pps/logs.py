# SPDX-License-Identifier: GPL-3.0-or-later
"""What user code writes and what the worker says of it: kept for as long as its job is."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator

from ..store.db import Database
from .model import Job

# Lines read at a time: logs can be longer than memory.
BATCH = 1000


class Logs:
    def __init__(self, db: Database) -> None:
        self._db = db

    def write(self, job: Job, datum: str, message: str, user: bool) -> None:
        """Add a line; nothing when the job was deleted meanwhile. `user`: it is the user code's own."""
        text = message.encode(errors="replace").decode()  # names of files may be no text at all
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO log (job_seq, datum, user, time, message)"
                " SELECT seq, ?, ?, ?, ? FROM job WHERE seq = ?",
                *(datum, int(user), time.time(), text, job.seq),
            )

    def read(self, jobs: list[Job], datum: str, since: float, tail: int) -> Iterator[sqlite3.Row]:
        """Lines of jobs in the order of writing: of one datum unless it is "", from a time on.

        `since` is in seconds of the epoch; `tail` is how many of the last ones, 0 for all.
        """
        last = self._before_tail(jobs, datum, since, tail) if tail else 0
        while batch := self._after(last, jobs, datum, since):
            yield from batch
            last = batch[-1]["seq"]

    def follow(
        self, jobs: list[Job], datum: str, since: float, tail: int, give_up: Callable[[], bool]
    ) -> Iterator[sqlite3.Row]:
        """The same, and then each line as it comes, until the jobs have ended."""
        last = self._before_tail(jobs, datum, since, tail) if tail else 0

        def look() -> list[sqlite3.Row] | None:
            ended = self._all_ended(jobs)
            return self._after(last, jobs, datum, since) or ([] if ended else None)

        while batch := self._db.wait_until(look, give_up):
            yield from batch
            last = batch[-1]["seq"]

    def _after(self, last: int, jobs: list[Job], datum: str, since: float) -> list[sqlite3.Row]:
        where, values = _where(jobs, datum, since)
        sql = f"SELECT * FROM log WHERE {where} AND seq > ? ORDER BY seq LIMIT ?"
        return self._db.rows(sql, *values, last, BATCH)

    def _before_tail(self, jobs: list[Job], datum: str, since: float, tail: int) -> int:
        """The line after which the last `tail` ones come."""
        where, values = _where(jobs, datum, since)
        sql = f"SELECT seq FROM log WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?"
        row = self._db.row(sql, *values, tail)
        return int(row["seq"]) if row else 0

    def _all_ended(self, jobs: list[Job]) -> bool:
        sql = f"SELECT 1 FROM job WHERE finished IS NULL AND seq IN ({_seqs(jobs)})"
        return self._db.row(sql) is None


def _where(jobs: list[Job], datum: str, since: float) -> tuple[str, tuple[object, ...]]:
    condition = f"job_seq IN ({_seqs(jobs)}) AND (? = '' OR datum = ?) AND time >= ?"
    return condition, (datum, datum, since)


def _seqs(jobs: list[Job]) -> str:
    """Numbers of our own, so that they need not be values, of which SQLite takes so many only."""
    return ", ".join(str(job.seq) for job in jobs)
