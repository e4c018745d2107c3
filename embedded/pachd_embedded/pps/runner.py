# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one job: lists its datums, runs those that are new, puts the output together."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..pfs.entries import Chunk, entry_key, entry_value
from ..pfs.service import Pfs
from ..store.db import Database
from ..store.tree import TreeStore
from ..workers.process import DatumTask, ProcessWorker
from .datum_io import OutputError, collect, lay_out
from .datums import Datum, datum_env
from .job_inputs import JobInputs
from .jobs import Jobs
from .model import DatumResult, DatumState, Job, JobState, Pipeline
from .records import Records

JOB_TIMED_OUT = " jobtimed out"  # the real pachd's own words, its slip included


class JobRunner:
    """`run` returns when the job has ended, or was killed by somebody else."""

    def __init__(
        self,
        db: Database,
        pfs: Pfs,
        records: Records,
        jobs: Jobs,
        datum_trees: TreeStore,
        worker: ProcessWorker,
        scratch: Path,
    ) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        self._jobs = jobs
        self._datum_trees = datum_trees
        self._worker = worker
        self._scratch = scratch

    def run(self, job: Job, gpus: list[tuple[str, ...]]) -> None:
        """`gpus` are the devices of each worker: its length is how many datums run at the same time."""
        pipeline = self._records.pipeline_of(job)
        inputs = JobInputs(self._pfs, pipeline.request, job.output)
        if (failed := inputs.failed()) is not None:
            reason = f"unrunnable because the following upstream pipelines failed: {failed}"
            self._jobs.end(job, JobState.UNRUNNABLE, reason)
            return
        if not self._jobs.set_state(job, JobState.RUNNING):
            return
        base = self._records.last_success(job)
        datums = list(inputs.datums())
        skipped = self._skippable(pipeline, base, datums)
        todo = [datum for datum in datums if datum.id not in skipped]
        self._count(job, total=len(datums))
        with self._timeout(job, pipeline):
            _DatumRuns(self, job, pipeline, inputs).run(todo, gpus)
        if not self._jobs.cancel_event(job).is_set():  # else it was killed, or the server stops
            self._finish(job, base, datums, skipped)

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

    def _count(self, job: Job, **columns: int) -> None:
        assignments = ", ".join(f"{column} = ?" for column in columns)
        with self._db.transaction():
            self._db.execute(f"UPDATE job SET {assignments} WHERE seq = ?", *columns.values(), job.seq)

    def _timeout(self, job: Job, pipeline: Pipeline) -> _JobTimeout:
        limit = pipeline.request.job_timeout
        return _JobTimeout(limit, lambda: self._jobs.kill(job, JOB_TIMED_OUT))

    def _finish(self, job: Job, base: Job | None, datums: list[Datum], skipped: set[str]) -> None:
        """Output commit, results and state of the job in one transaction."""
        if not self._jobs.set_state(job, JobState.FINISHING):
            return
        rows = self._db.rows("SELECT datum, result FROM datum_done WHERE job_seq = ?", job.seq)
        done = {row["datum"]: json.loads(row["result"]) for row in rows}
        with self._db.transaction():
            results, output = self._results(base, datums, done), self._output(job, base, datums, done)
            self._db.execute(
                "UPDATE job SET skipped = ?, datums = ?, output_tree = ? WHERE seq = ? AND finished IS NULL",
                *(len(skipped), results, output, job.seq),
            )
            if self._pfs.lookup.commits("c.seq = ?", job.output):
                self._pfs.commits.set_tree(job.output, output)
            failed = [datum.id for datum in datums if _state(done, datum) == DatumState.FAILED]
            if failed:
                self._jobs.end(job, JobState.FAILURE, f"datum {failed[0]} failed")
            else:
                self._jobs.end(job, JobState.SUCCESS, "")

    def _results(self, base: Job | None, datums: list[Datum], done: dict[str, Any]) -> bytes | None:
        """The tree of the job's datums: those of the base that are still there, and the new results."""
        tree = base.datums if base else None
        current = {datum.id for datum in datums}
        edits: dict[str, Any] = {key: None for key, _ in self._datum_trees.scan(tree) if key not in current}
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


class _DatumRuns:
    """The datums of one job that have to be run."""

    def __init__(self, runner: JobRunner, job: Job, pipeline: Pipeline, inputs: JobInputs) -> None:
        self._runner = runner
        self._job = job
        self._pipeline = pipeline
        self._inputs = inputs
        self._cancelled = runner._jobs.cancel_event(job)

    def run(self, datums: Iterable[Datum], gpus: list[tuple[str, ...]]) -> None:
        """Run those that a run before a crash has not done; each worker with its own devices."""
        sql = "SELECT datum FROM datum_done WHERE job_seq = ?"
        done = {row["datum"] for row in self._runner._db.rows(sql, self._job.seq)}
        queue = iter([datum for datum in datums if datum.id not in done])
        lock = threading.Lock()

        def work(devices: tuple[str, ...]) -> None:
            while not self._cancelled.is_set():
                with lock:
                    datum = next(queue, None)
                if datum is None:
                    return
                self._run_datum(datum, devices)

        with ThreadPoolExecutor(len(gpus), f"job-{self._job.seq}") as pool:
            for finished in [pool.submit(work, devices) for devices in gpus]:
                finished.result()

    def _run_datum(self, datum: Datum, devices: tuple[str, ...]) -> None:
        """Try the datum as often as datum_tries says, then err_cmd; keep what came of it."""
        request = self._pipeline.request
        transform = request.transform
        state, files, seconds, read = DatumState.FAILED, list[tuple[str, list[Chunk]]](), 0.0, 0
        for _ in range(max(1, request.datum_tries)):
            error, files, spent, read = self._attempt(datum, devices, transform.cmd, transform.stdin)
            seconds += spent
            if self._cancelled.is_set():
                return
            if not error:
                state = DatumState.SUCCESS
                break
            self._log(datum, f"errored running user code after {_duration(spent)}: {error}", user=False)
        if state is DatumState.FAILED and transform.err_cmd:
            error, _, spent, _ = self._attempt(datum, devices, transform.err_cmd, transform.err_stdin)
            if self._cancelled.is_set():
                return
            if error:
                text = f"errored running err_cmd after {_duration(spent)}: {error}"
                self._log(datum, text, user=False)
            else:
                state = DatumState.RECOVERED
        self._keep(datum, state, files if state is DatumState.SUCCESS else [], seconds, read)

    def _attempt(
        self, datum: Datum, devices: tuple[str, ...], cmd: list[str], stdin: list[str]
    ) -> tuple[str, list[tuple[str, list[Chunk]]], float, int]:
        """(error, output files, seconds, bytes of input) of one run in a directory of its own."""
        runner, transform = self._runner, self._pipeline.request.transform
        scratch = Path(tempfile.mkdtemp(prefix="datum-", dir=runner._scratch))
        writer = runner._pfs.chunks.writer()
        try:
            read = lay_out(runner._pfs, self._inputs.with_trees(datum), scratch)
            task = DatumTask(
                scratch=scratch,
                cmd=tuple(cmd),
                stdin=tuple(stdin),
                env=self._env(datum),
                image=transform.image,
                working_dir=transform.working_dir,
                user=transform.user,
                accept_return_code=tuple(transform.accept_return_code),
                timeout=_seconds(self._pipeline.request.datum_timeout),
                gpus=devices,
            )
            result = runner._worker.run(task, lambda line: self._log(datum, line, user=True), self._cancelled)
            error, files = result.error, list[tuple[str, list[Chunk]]]()
            if not error:
                try:
                    files = collect(runner._pfs, scratch, writer)
                except OutputError as refused:
                    error = str(refused)
            writer.flush()
            return error, files, result.seconds, read
        finally:
            _remove(scratch)

    def _env(self, datum: Datum) -> dict[str, str]:
        key = self._pipeline.key
        env = datum_env(
            datum,
            project=key.project,
            pipeline=key.name,
            job_id=self._job.id,
            spec_commit=self._pipeline.spec_commit,
            pod_name=self._pipeline.worker_name,
        )
        return {**env, **self._pipeline.request.transform.env}

    def _keep(
        self,
        datum: Datum,
        state: DatumState,
        files: list[tuple[str, list[Chunk]]],
        seconds: float,
        read: int,
    ) -> None:
        """The result, in one transaction with the job's counters: a crash loses neither or both."""
        size = sum(length for _, chunks in files for _, length in chunks)
        result = DatumResult(
            state=int(state),
            hash=datum.content_hash(self._pipeline.salt).hex(),
            job=self._job.id,
            inputs=[(f.name, f.path, f.hash.hex(), f.size) for f in datum.files],
            outputs=[path for path, _ in files],
            process_seconds=seconds,
            download_bytes=read,
            upload_bytes=size,
            image=self._pipeline.request.transform.image,
        )
        entry = json.dumps({"result": result.to_json(), "files": files})
        column = {DatumState.FAILED: "failed", DatumState.RECOVERED: "recovered"}.get(state, "processed")
        db = self._runner._db
        with db.transaction():
            job = self._runner._records.job_by_seq(self._job.seq)
            if job is None or job.finished is not None:
                return
            db.execute("INSERT OR REPLACE INTO datum_done VALUES (?, ?, ?)", self._job.seq, datum.id, entry)
            db.execute(f"UPDATE job SET {column} = {column} + 1 WHERE seq = ?", self._job.seq)
            self._runner._jobs.add_stats(job, process_seconds=seconds, download_bytes=read, upload_bytes=size)

    def _log(self, datum: Datum, message: str, user: bool) -> None:
        self._runner._jobs.log(self._job, datum.id, message, user)


class _JobTimeout:
    """Calls `expire` when the body takes longer than `limit` (a timedelta or None; zero is none)."""

    def __init__(self, limit: timedelta | None, expire: Any) -> None:
        seconds = _seconds(limit)
        self._timer = threading.Timer(seconds, expire) if seconds else None

    def __enter__(self) -> None:
        if self._timer:
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()


def _seconds(limit: timedelta | None) -> float | None:
    return limit.total_seconds() or None if limit else None


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.2f}s"


def _state(done: dict[str, Any], datum: Datum) -> int | None:
    entry = done.get(datum.id)
    return entry["result"]["state"] if entry else None


def _remove(scratch: Path) -> None:
    """Delete a datum's directory, whatever modes its code left there."""

    def unlock(_function: object, path: str, _error: object) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700, follow_symlinks=os.chmod in os.supports_follow_symlinks)

    shutil.rmtree(scratch, onerror=unlock)
    shutil.rmtree(scratch, ignore_errors=True)
