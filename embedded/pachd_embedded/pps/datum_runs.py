# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the datums of a job: files in, user code as often as the spec allows it, files out."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..pfs.entries import Chunk
from ..pfs.service import Pfs
from ..store.chunks import ChunkWriter
from ..workers.worker import DatumTask, Worker
from .datum_io import DatumFileError, collect, lay_out, remove
from .datums import Datum, datum_env
from .job_inputs import JobInputs
from .jobs import Jobs
from .logs import Logs
from .model import DatumInput, DatumResult, DatumState, Job, Pipeline

Files = list[tuple[str, list[Chunk]]]


@dataclass(frozen=True)
class JobRun:
    """What the datums of one job share."""

    job: Job
    pipeline: Pipeline
    inputs: JobInputs
    cancelled: threading.Event


@dataclass
class _Attempt:
    """One run of user code. `error` is "" when it went well; `read` are the bytes of its input."""

    error: str = ""
    seconds: float = 0.0
    read: int = 0


class DatumRunner:
    """`scratch` is where each run gets a directory of its own, which is gone afterwards."""

    def __init__(self, pfs: Pfs, jobs: Jobs, logs: Logs, worker: Worker, scratch: Path) -> None:
        self._pfs = pfs
        self._jobs = jobs
        self._logs = logs
        self._worker = worker
        self._scratch = scratch

    def run(self, job_run: JobRun, datums: Iterable[Datum], gpus: list[tuple[str, ...]]) -> None:
        """Run datums, as many at the same time as `gpus` has entries: the devices of each worker.

        Returns early when the job is cancelled.
        """
        queue = iter(datums)
        lock = threading.Lock()

        def work(devices: tuple[str, ...]) -> None:
            while not job_run.cancelled.is_set():
                with lock:
                    datum = next(queue, None)
                if datum is None:
                    return
                try:
                    # Until the result is kept nothing else refers to the output.
                    with self._pfs.chunks.writer() as writer:
                        self._run_datum(job_run, datum, devices, writer)
                except BaseException:
                    job_run.cancelled.set()  # the job fails, so the other workers need not go on
                    raise

        with ThreadPoolExecutor(len(gpus), f"job-{job_run.job.seq}") as pool:
            for finished in [pool.submit(work, devices) for devices in gpus]:
                finished.result()

    def _run_datum(
        self, job_run: JobRun, datum: Datum, devices: tuple[str, ...], writer: ChunkWriter
    ) -> None:
        """Try the datum as often as datum_tries says, then err_cmd; keep what came of it."""
        request = job_run.pipeline.request
        transform = request.transform
        state, files, seconds, read = DatumState.FAILED, Files(), 0.0, 0
        for _ in range(max(1, request.datum_tries)):
            files = []
            tried = self._attempt(job_run, datum, devices, transform.cmd, transform.stdin, writer, files)
            if job_run.cancelled.is_set():
                return
            seconds, read = seconds + tried.seconds, tried.read
            if not tried.error:
                state = DatumState.SUCCESS
                break
            self._report(job_run, datum, "user code", tried)
        if state is DatumState.FAILED and transform.err_cmd:
            tried = self._attempt(job_run, datum, devices, transform.err_cmd, transform.err_stdin, writer, [])
            if job_run.cancelled.is_set():
                return
            if tried.error:
                self._report(job_run, datum, "err_cmd", tried)
            else:
                state = DatumState.RECOVERED
        kept = files if state is DatumState.SUCCESS else []
        self._jobs.keep(job_run.job, datum.id, self._result(job_run, datum, state, kept, seconds, read), kept)

    def _attempt(
        self,
        job_run: JobRun,
        datum: Datum,
        devices: tuple[str, ...],
        cmd: list[str],
        stdin: list[str],
        writer: ChunkWriter,
        files: Files,
    ) -> _Attempt:
        """One run in a directory of its own; its output goes into `files`."""
        request = job_run.pipeline.request
        scratch = Path(tempfile.mkdtemp(prefix="datum-", dir=self._scratch))
        tried = _Attempt()
        try:
            tried.read = lay_out(self._pfs, job_run.inputs.with_trees(datum), scratch)
            task = DatumTask(
                scratch=scratch,
                cmd=tuple(cmd),
                stdin=tuple(stdin),
                env=_env(job_run, datum),
                image=request.transform.image,
                working_dir=request.transform.working_dir,
                user=request.transform.user,
                accept_return_code=tuple(request.transform.accept_return_code),
                timeout=seconds_of(request.datum_timeout),
                gpus=devices,
            )
            result = self._worker.run(
                task, lambda line: self._log(job_run, datum, line, user=True), job_run.cancelled
            )
            tried.error, tried.seconds = result.error, result.seconds
            if not tried.error:
                files += collect(self._pfs, scratch, writer)
                writer.flush()
        except DatumFileError as error:
            tried.error = str(error)
        finally:
            remove(scratch)
        return tried

    def _result(
        self,
        job_run: JobRun,
        datum: Datum,
        state: DatumState,
        files: Files,
        seconds: float,
        read: int,
    ) -> DatumResult:
        return DatumResult(
            state=int(state),
            hash=datum.content_hash(job_run.pipeline.salt).hex(),
            job=job_run.job.id,
            inputs=[
                DatumInput(f.project, f.repo, f.commit, f.path, f.hash.hex(), f.size) for f in datum.files
            ],
            outputs=[path for path, _ in files],
            process_seconds=seconds,
            download_bytes=read,
            upload_bytes=sum(length for _, chunks in files for _, length in chunks),
            image=job_run.pipeline.request.transform.image,
        )

    def _report(self, job_run: JobRun, datum: Datum, what: str, tried: _Attempt) -> None:
        text = f"errored running {what} after {_duration(tried.seconds)}: {tried.error}"
        self._log(job_run, datum, text, user=False)

    def _log(self, job_run: JobRun, datum: Datum, message: str, user: bool) -> None:
        self._logs.write(job_run.job, datum.id, message, user)


def _env(job_run: JobRun, datum: Datum) -> dict[str, str]:
    pipeline = job_run.pipeline
    env = datum_env(
        datum,
        project=pipeline.key.project,
        pipeline=pipeline.key.name,
        job_id=job_run.job.id,
        spec_commit=pipeline.spec_commit,
        pod_name=pipeline.worker_name,
    )
    return {**env, **pipeline.request.transform.env}


def seconds_of(limit: timedelta | None) -> float | None:
    """A limit of the spec in seconds; None where there is none, which a zero means as well."""
    return limit.total_seconds() or None if limit else None


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.2f}s"
