# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: one for each commit that reaches a pipeline's output branch. Running them is in runner.py."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator

from ..errors import unknown
from ..pfs.entries import Chunk
from ..pfs.model import META, USER, Branch, Commit
from ..pfs.service import Pfs
from ..store.db import Database
from .model import DatumResult, DatumState, Job, JobState, Pipeline, PipelineKey
from .records import Records
from .running import Cancellation

log = logging.getLogger(__name__)

STOPPED_REASON = "job stopped"

_COUNTER = {DatumState.FAILED: "failed", DatumState.RECOVERED: "recovered"}


class Jobs:
    def __init__(self, db: Database, pfs: Pfs, records: Records) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        # Set for jobs that run, so that killing one stops its processes at once.
        self._cancel: dict[int, Cancellation] = {}
        pfs.branches.on_derived_commit = self._on_commit

    def _on_commit(self, branch: Branch, commit: Commit) -> None:
        if commit.repo.type != USER:
            return
        pipeline = self._records.find_pipeline(PipelineKey(commit.repo.project, commit.repo.name))
        if pipeline is None or pipeline.stopped or branch.key != pipeline.output:
            return
        self._db.execute(
            "INSERT INTO job (id, pipeline_id, version, output, state, created) VALUES (?, ?, ?, ?, ?, ?)",
            *(commit.id, pipeline.row_id, pipeline.version, commit.seq, int(JobState.CREATED), time.time()),
        )

    def cancel_event(self, job: Job) -> Cancellation:
        """Set when the job is killed or the server stops; made when the job starts."""
        return self._cancel.setdefault(job.seq, Cancellation())

    def leave(self, job: Job) -> None:
        """Nobody runs the job any more. One that has not ended starts again, from the datums it has done.

        Such a one was cancelled by a server that stops, or by a call that failed after all.
        """
        self._cancel.pop(job.seq, None)
        self._requeue("seq = ?", job.seq)

    def set_state(self, job: Job, state: JobState) -> bool:
        """False when the job has ended meanwhile (it was killed, or its pipeline deleted)."""
        with self._db.transaction():
            now = self._records.job_by_seq(job.seq)
            if now is None or now.finished is not None:
                return False
            started = now.started or time.time()
            self._db.execute(
                "UPDATE job SET state = ?, started = ? WHERE seq = ?", int(state), started, job.seq
            )
            return True

    def end(self, job: Job, state: JobState, reason: str) -> None:
        """Close a job: its output and meta commits are finished, with the reason as their error.

        A job whose commits turn out unreadable (two datums wrote one path) fails with that reason.
        """
        with self._db.transaction():
            now = self._records.job_by_seq(job.seq)
            if now is None or now.finished is not None:
                return
            error = "" if state is JobState.SUCCESS else reason
            invalid = self._close_commits(job, error)
            if state is JobState.SUCCESS and invalid:
                state, reason = JobState.FAILURE, invalid
            self._db.execute(
                "UPDATE job SET state = ?, reason = ?, finished = ? WHERE seq = ?",
                *(int(state), reason, time.time(), job.seq),
            )
            self._db.execute("DELETE FROM datum_done WHERE job_seq = ?", job.seq)
            fields = {**self._named(job), "state": state.name}
            self._db.on_commit(lambda: log.info("job ended", extra=fields))

    def _named(self, job: Job) -> dict[str, str]:
        """What a line of the log says of a job."""
        pipeline = self._records.find_pipeline_of(job)
        key = pipeline.key if pipeline else PipelineKey("", "")
        return {"project": key.project, "pipeline": key.name, "job": job.id}

    def _close_commits(self, job: Job, error: str) -> str:
        """The answer is what is wrong with the output's files, "" when nothing is."""
        output = self._pfs.lookup.commits("c.seq = ?", job.output)
        if not output:
            return ""  # dropped while the job ran
        pipeline = self._records.pipeline_of(job)
        meta_repo = self._pfs.lookup.find_repo(pipeline.key.repo(META))
        meta = self._pfs.lookup.find_commit(meta_repo, job.id) if meta_repo else None
        for commit in (output[0], meta):
            if commit is not None and commit.finishing is None:
                self._pfs.commits.close(commit, commit.description, error)
        return self._pfs.lookup.commit_by_seq(job.output).invalid

    def kill(self, job: Job, reason: str) -> None:
        self.end(job, JobState.KILLED, reason or STOPPED_REASON)
        self._db.on_commit(lambda: self.cancel(job.seq))

    def cancel(self, seq: int) -> None:
        """End the processes of a job that runs; what it is in the database stays."""
        if (event := self._cancel.get(seq)) is not None:
            event.set()

    def kill_all(self, pipeline: Pipeline, reason: str) -> None:
        sql = "pipeline_id = ? AND finished IS NULL ORDER BY seq"
        for job in self._records.jobs(sql, pipeline.row_id):
            self.kill(job, reason)

    def delete(self, job: Job) -> None:
        with self._db.transaction():
            self.kill(job, "job deleted")
            self._db.execute("DELETE FROM job WHERE seq = ?", job.seq)

    def delete_orphans(self) -> None:
        """Unfinished jobs whose output commit was dropped: they go with it."""
        dropped = "NOT EXISTS (SELECT 1 FROM pfs_commit WHERE pfs_commit.seq = job.output)"
        for job in self._records.jobs(f"finished IS NULL AND {dropped}"):
            self.delete(job)

    def first_unfinished(self) -> list[Job]:
        """For each pipeline the oldest job that has not ended: it runs or is the next to run."""
        oldest: dict[int, Job] = {}
        for job in self._records.jobs("finished IS NULL ORDER BY seq"):
            oldest.setdefault(job.pipeline_id, job)
        return list(oldest.values())

    def resume_interrupted(self) -> None:
        """After a crash: what ran before runs again, from the datums that are not done yet."""
        self._requeue("1")

    def _requeue(self, where: str, *values: object) -> None:
        with self._db.transaction():
            sql = f"UPDATE job SET state = ? WHERE finished IS NULL AND {where}"
            self._db.execute(sql, int(JobState.CREATED), *values)

    def set_total(self, job: Job, datums: int) -> None:
        with self._db.transaction():
            self._db.execute("UPDATE job SET total = ? WHERE seq = ?", datums, job.seq)

    def keep(self, job: Job, datum: str, result: DatumResult, files: list[tuple[str, list[Chunk]]]) -> None:
        """A datum's result and output, with the job's counters: a crash loses neither or both."""
        column = _COUNTER.get(DatumState(result.state), "processed")
        entry = json.dumps({"result": result.to_json(), "files": files})
        with self._db.transaction():
            now = self._records.job_by_seq(job.seq)
            if now is None or now.finished is not None:
                return
            self._db.execute("INSERT OR REPLACE INTO datum_done VALUES (?, ?, ?)", job.seq, datum, entry)
            stats = {name: now.stats.get(name, 0) + value for name, value in result.stats.items()}
            sql = f"UPDATE job SET {column} = {column} + 1, stats = ? WHERE seq = ?"
            self._db.execute(sql, json.dumps(stats), job.seq)

    def wait(self, job: Job, give_up: Callable[[], bool]) -> Job:
        """The job once it has ended. Raises when it is deleted, or the server stops (Database.wait_until)."""

        def look() -> Job | None:
            now = self._records.job_by_seq(job.seq)
            if now is None:
                raise unknown(f"job {job.id} was deleted")
            return now if now.finished is not None else None

        return self._db.wait_until(look, give_up) or job

    def subscribe(self, key: PipelineKey, give_up: Callable[[], bool]) -> Iterator[Job]:
        """Each job of a pipeline that has not ended, once, the oldest first; then those that come."""
        pipeline = self._records.get_pipeline(key)
        newest = self._records.last_job(pipeline)
        last, known = 0, newest.seq if newest else 0

        def look() -> list[Job] | None:
            # One that came since is shown also when it has ended before this thread looked.
            sql = "pipeline_id = ? AND seq > ? AND (finished IS NULL OR seq > ?) ORDER BY seq"
            return self._records.jobs(sql, pipeline.row_id, last, known) or None

        while found := self._db.wait_until(look, give_up):
            for job in found:
                last = job.seq
                yield job
