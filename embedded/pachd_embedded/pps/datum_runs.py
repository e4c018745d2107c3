# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the datums of a job: files in, user code as often as the spec allows it, files out."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from .. import directories
from ..errors import PachError
from ..pfs.entries import Chunk
from ..pfs.service import Pfs
from ..store.chunks import ChunkWriter
from ..workers.limits import limits_of
from ..workers.worker import DatumTask, Worker
from .datum_io import DatumFileError, collect, lay_out, write_env
from .datum_secrets import secret_env, secret_mounts
from .datum_sets import datum_sets
from .datums import Datum, datum_env
from .job_inputs import JobInputs
from .jobs import Jobs
from .logs import Logs
from .model import DatumInput, DatumResult, DatumState, Job, Pipeline
from .running import Cancellation, Running
from .secrets import Secrets

log = logging.getLogger(__name__)

Files = list[tuple[str, list[Chunk]]]


@dataclass(frozen=True)
class JobRun:
    """What the datums of one job share."""

    job: Job
    pipeline: Pipeline
    inputs: JobInputs
    cancelled: Cancellation
    # What user code has in PACH_TOKEN; "" while auth is off.
    token: str = field(default="", repr=False)


@dataclass
class _Attempt:
    """One run of user code and what it took. `error` is "" when it went well; times are in seconds."""

    error: str = ""
    files: Files = field(default_factory=list)
    download_seconds: float = 0.0
    process_seconds: float = 0.0
    upload_seconds: float = 0.0
    download_bytes: int = 0

    @property
    def upload_bytes(self) -> int:
        return sum(length for _path, chunks in self.files for _digest, length in chunks)


class DatumRunner:
    """`scratch` is where each run gets a directory of its own, which is gone afterwards."""

    def __init__(
        self, pfs: Pfs, jobs: Jobs, logs: Logs, secrets: Secrets, worker: Worker, scratch: Path
    ) -> None:
        self._pfs = pfs
        self._jobs = jobs
        self._logs = logs
        self._secrets = secrets
        self._worker = worker
        self._scratch = scratch
        self.running = Running()

    def run(self, job_run: JobRun, datums: list[Datum], gpus: list[tuple[str, ...]]) -> None:
        """Run datums, as many at the same time as `gpus` has entries: the devices of each worker.

        Returns early when the job is cancelled.
        """
        request = job_run.pipeline.request
        for note in (
            self._worker.notes(request.transform.user, limits_of(request.resource_limits)) if datums else []
        ):
            self._logs.write(job_run.job, "", note, user=False)
        sets = datum_sets(datums, request.datum_set_spec, len(gpus))
        lock = threading.Lock()

        def work(devices: tuple[str, ...]) -> None:
            while True:
                with lock:
                    datum_set = next(sets, None)
                if datum_set is None:
                    return
                for datum in datum_set:
                    if job_run.cancelled.is_set():
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
        state, seconds = DatumState.FAILED, 0.0
        tried = _Attempt()
        for _attempt in range(max(1, request.datum_tries)):
            tried = self._attempt(job_run, datum, devices, transform.cmd, transform.stdin, writer)
            if job_run.cancelled.is_set():
                return
            seconds += tried.process_seconds
            if not tried.error:
                state = DatumState.SUCCESS
                break
            self._report(job_run, datum, "user code", tried)
        if state is DatumState.FAILED and transform.err_cmd:
            mended = self._attempt(job_run, datum, devices, transform.err_cmd, transform.err_stdin, writer)
            if job_run.cancelled.is_set():
                return
            if mended.error:
                self._report(job_run, datum, "err_cmd", mended)
            else:
                state = DatumState.RECOVERED
        if state is not DatumState.SUCCESS:
            tried.files = []
        tried.process_seconds = seconds
        self._jobs.keep(job_run.job, datum.id, _result(job_run, datum, state, tried), tried.files)
        fields = {
            "pipeline": job_run.pipeline.key.name,
            "job": job_run.job.id,
            "datum": datum.id,
            "state": state.name,
            "ms": round(seconds * 1000, 1),
        }
        log.debug("datum done", extra=fields)

    def _attempt(
        self,
        job_run: JobRun,
        datum: Datum,
        devices: tuple[str, ...],
        cmd: list[str],
        stdin: list[str],
        writer: ChunkWriter,
    ) -> _Attempt:
        """One run in a directory of its own, also while somebody restarts the datum."""
        request = job_run.pipeline.request
        transform = request.transform
        scratch = Path(tempfile.mkdtemp(prefix="datum-", dir=self._scratch))
        tried = _Attempt()
        try:
            started = time.monotonic()
            tried.download_bytes = lay_out(self._pfs, job_run.inputs.with_trees(datum), scratch)
            env = _env(job_run, datum) | secret_env(self._secrets, transform.secrets)
            write_env(scratch, env)
            task = DatumTask(
                scratch=scratch,
                cmd=tuple(cmd),
                stdin=tuple(stdin),
                env=env | _token_env(job_run.token),
                image=transform.image,
                working_dir=transform.working_dir,
                user=transform.user,
                accept_return_code=tuple(transform.accept_return_code),
                timeout=seconds_of(request.datum_timeout),
                gpus=devices,
                limits=limits_of(request.resource_limits),
                mounts=secret_mounts(self._secrets, transform.secrets, scratch),
            )
            tried.download_seconds = time.monotonic() - started
            with self.running.attempt(job_run.job.seq, datum, job_run.cancelled) as cancelled:
                result = self._worker.run(
                    task, lambda line: self._log(job_run, datum, line, user=True), cancelled
                )
            tried.error, tried.process_seconds = result.error, result.seconds
            if not tried.error:
                started = time.monotonic()
                tried.files = collect(self._pfs, scratch, writer)
                writer.flush()
                tried.upload_seconds = time.monotonic() - started
        except DatumFileError as error:
            tried.error = str(error)
        except PachError as error:  # a secret that was deleted since
            tried.error = error.text
        finally:
            directories.remove(scratch)
        return tried

    def _report(self, job_run: JobRun, datum: Datum, what: str, tried: _Attempt) -> None:
        text = f"errored running {what} after {_duration(tried.process_seconds)}: {tried.error}"
        self._log(job_run, datum, text, user=False)

    def _log(self, job_run: JobRun, datum: Datum, message: str, user: bool) -> None:
        self._logs.write(job_run.job, datum.id, message, user)


def _result(job_run: JobRun, datum: Datum, state: DatumState, tried: _Attempt) -> DatumResult:
    return DatumResult(
        state=int(state),
        hash=datum.content_hash(job_run.pipeline.salt).hex(),
        job=job_run.job.id,
        inputs=[DatumInput(f.project, f.repo, f.commit, f.path, f.hash.hex(), f.size) for f in datum.files],
        outputs=[path for path, _chunks in tried.files],
        download_seconds=tried.download_seconds,
        process_seconds=tried.process_seconds,
        upload_seconds=tried.upload_seconds,
        download_bytes=tried.download_bytes,
        upload_bytes=tried.upload_bytes,
        image=job_run.pipeline.request.transform.image,
    )


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


def _token_env(token: str) -> dict[str, str]:
    """Given to user code alone: unlike the other variables it is in no file."""
    return {"PACH_TOKEN": token} if token else {}


def seconds_of(limit: timedelta | None) -> float | None:
    """A limit of the spec in seconds; None where there is none, which a zero means as well."""
    return limit.total_seconds() or None if limit else None


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.2f}s"
