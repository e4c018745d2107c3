# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one job: lists its datums, has those run that are new, puts the output together."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from ..pfs.entries import entry_key, entry_value
from ..pfs.service import Pfs
from ..store.db import Database
from ..store.tree import TreeStore
from .access import PipelineAccess
from .datum_runs import DatumRunner, JobRun, seconds_of
from .datums import Datum
from .egress import Egress
from .job_inputs import JobInputs
from .jobs import Jobs
from .model import DatumState, Job, JobState, Pipeline
from .records import Records
from .spec_check import egress_url

JOB_TIMED_OUT = " jobtimed out"  # the real pachd's own words, its slip included


class JobRunner:
    """`run` returns when the job has ended, or was cancelled by somebody else."""

    def __init__(
        self,
        db: Database,
        pfs: Pfs,
        records: Records,
        jobs: Jobs,
        datum_trees: TreeStore,
        datum_runner: DatumRunner,
        egress: Egress,
    ) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        self._jobs = jobs
        self._datum_trees = datum_trees
        self._datum_runner = datum_runner
        self._egress = egress
        self._access = PipelineAccess(db, records)

    def run(self, job: Job, pipeline: Pipeline, gpus: list[tuple[str, ...]]) -> None:
        """`gpus` are the devices of each worker: its length is how many datums run at the same time."""
        job_run = JobRun(
            job, pipeline, JobInputs(self._pfs, pipeline.request, job.output), self._jobs.cancel_event(job)
        )
        if (failed := job_run.inputs.failed()) is not None:
            reason = f"unrunnable because the following upstream pipelines failed: {failed}"
            self._jobs.end(job, JobState.UNRUNNABLE, reason)
            return
        if not self._jobs.set_state(job, JobState.RUNNING):
            return
        base = self._records.last_success(job)
        with _JobTimeout(self._seconds_left(job, pipeline), lambda: self._jobs.kill(job, JOB_TIMED_OUT)):
            datums = list(job_run.inputs.datums())
            skipped = self._skippable(pipeline, base, datums)
            self._jobs.set_total(job, len(datums))
            done = self._records.datums_done(job)  # by a run before a crash
            todo = [datum for datum in datums if datum.id not in skipped and datum.id not in done]
            with self._access.token(pipeline.key) as token:
                self._datum_runner.run(replace(job_run, token=token), todo, gpus)
        if job_run.cancelled.is_set():  # it was killed, or the server stops
            return
        if egress_url(pipeline.request) is not None and not self._run_egress(job_run, base, datums):
            return
        self._finish(job, base, datums, len(skipped))

    def _run_egress(self, job_run: JobRun, base: Job | None, datums: list[Datum]) -> bool:
        """Copy the output where the spec says, from the commit that is still open; False when cancelled.

        A job whose datums failed copies nothing.
        """
        job = job_run.job
        done = self._records.datums_done(job)
        if any(_state(done, datum) == DatumState.FAILED for datum in datums):
            return True
        with self._db.transaction():
            if not self._jobs.set_state(job, JobState.EGRESSING):
                return False
            if not self._pfs.lookup.commits("c.seq = ?", job.output):
                return True  # dropped meanwhile
            self._pfs.commits.set_tree(job.output, self._output(job, base, datums, done))
        return self._egress.run(job_run)

    def _skippable(self, pipeline: Pipeline, base: Job | None, datums: list[Datum]) -> set[str]:
        """Datums that the last successful job has the result of, for the same content."""
        if base is None or pipeline.request.reprocess_spec == "every_job":
            return set()
        known = dict(self._datum_trees.scan(base.datums))
        return {
            datum.id
            for datum in datums
            if (value := known.get(datum.id)) is not None
            and value["state"] == DatumState.SUCCESS
            and value["hash"] == datum.content_hash(pipeline.salt).hex()
        }

    def _seconds_left(self, job: Job, pipeline: Pipeline) -> float | None:
        """Of job_timeout, which counts from the job's first start, also when the server was down."""
        limit = seconds_of(pipeline.request.job_timeout)
        now = self._records.job_by_seq(job.seq)
        if limit is None or now is None or now.started is None:
            return None
        return min(max(0.0, now.started + limit - time.time()), threading.TIMEOUT_MAX)

    def _finish(self, job: Job, base: Job | None, datums: list[Datum], skipped: int) -> None:
        """Output commit, results and state of the job in one transaction.

        A failed job does not count what it skipped, as in pachd, where that is known at the end only.
        """
        if not self._jobs.set_state(job, JobState.FINISHING):
            return
        with self._db.transaction():
            now = self._records.job_by_seq(job.seq)
            if now is None or now.finished is not None:
                return  # killed meanwhile: its commits are closed
            done = self._records.datums_done(job)
            output = self._output(job, base, datums, done)
            self._db.execute(
                "UPDATE job SET datums = ?, output_tree = ? WHERE seq = ?",
                *(self._results(base, datums, done), output, job.seq),
            )
            if self._pfs.lookup.commits("c.seq = ?", job.output):  # else it was dropped meanwhile
                self._pfs.commits.set_tree(job.output, output)
            failed = [datum.id for datum in datums if _state(done, datum) == DatumState.FAILED]
            if failed:
                self._jobs.end(job, JobState.FAILURE, f"datum {failed[0]} failed")
            else:
                self._db.execute("UPDATE job SET skipped = ? WHERE seq = ?", skipped, job.seq)
                self._jobs.end(job, JobState.SUCCESS, "")

    def _results(self, base: Job | None, datums: list[Datum], done: dict[str, Any]) -> bytes | None:
        """The tree of the job's datums: those of the base that are still there, and the new results."""
        tree = base.datums if base else None
        current = {datum.id for datum in datums}
        edits: dict[str, Any] = {
            key: None for key, _row in self._datum_trees.scan(tree) if key not in current
        }
        edits.update((datum_id, entry["result"]) for datum_id, entry in done.items())
        return self._datum_trees.apply(tree, edits)

    def _output(self, job: Job, base: Job | None, datums: list[Datum], done: dict[str, Any]) -> bytes | None:
        """The files of the base's output, without those of datums that are gone or were run anew."""
        tree = base.output_tree if base else None
        kept = {datum.id for datum in datums} - done.keys()
        edits: dict[str, Any] = {}
        for datum_id, value in self._datum_trees.scan(base.datums if base else None):
            if datum_id not in kept:
                edits.update((entry_key(path, datum_id), None) for path in value["outputs"])
        for datum_id, entry in done.items():
            for path, chunks in entry["files"]:
                edits[entry_key(path, datum_id)] = entry_value(job.id, [tuple(chunk) for chunk in chunks])
        return self._pfs.trees.apply(tree, edits)


class _JobTimeout:
    """Calls `expire` when the body takes longer than `seconds` (None is for ever)."""

    def __init__(self, seconds: float | None, expire: Any) -> None:
        self._timer = None if seconds is None else threading.Timer(seconds, expire)

    def __enter__(self) -> None:
        if self._timer:
            self._timer.start()

    def __exit__(self, *_args: object) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer.join()  # it may be at work, and the database is closed when all jobs are left


def _state(done: dict[str, Any], datum: Datum) -> int | None:
    entry = done.get(datum.id)
    return entry["result"]["state"] if entry else None
