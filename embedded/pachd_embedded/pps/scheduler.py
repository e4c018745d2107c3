# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts jobs: of each pipeline one at a time, when their input is finished and devices are free."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading

from ..errors import PachError
from ..pfs.service import Pfs
from ..store.db import Database
from ..store.full import is_full
from ..workers.gpus import GpuPool
from ..workers.worker import Worker
from .crons import Crons
from .job_inputs import JobInputs
from .jobs import STOPPED_REASON, Jobs
from .model import NVIDIA_GPU, Job, JobState, Pipeline, PipelineState
from .pipelines import Pipelines
from .records import Records
from .runner import JobRunner

log = logging.getLogger(__name__)

# Looked again after so many seconds even when nothing was written.
IDLE_SECONDS = 5.0
# Changes come in bursts (each line of a log is one), of which one look at the end tells as much.
PAUSE_SECONDS = 0.01
# A job for which there is no space on disk is tried again after so many seconds.
FULL_SECONDS = 1.0
# Datums of a job that run at the same time, at most.
WORKERS = os.cpu_count() or 1
# Jobs that run at the same time, at most. More than the machine has cores: some do nothing but wait.
JOBS = max(8, WORKERS)

NO_COMMAND = "nothing to run: no transform.cmd"


class Scheduler:
    def __init__(
        self,
        db: Database,
        pfs: Pfs,
        records: Records,
        jobs: Jobs,
        pipelines: Pipelines,
        runner: JobRunner,
        gpus: GpuPool,
        crons: Crons,
        worker: Worker,
    ) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        self._jobs = jobs
        self._pipelines = pipelines
        self._runner = runner
        self._gpus = gpus
        self._crons = crons
        self._worker = worker
        self._stopping = threading.Event()
        self._loop = threading.Thread(target=self._run, name="scheduler")
        self._running: dict[int, threading.Thread] = {}
        self._running_lock = threading.Lock()

    def start(self) -> None:
        self._jobs.resume_interrupted()
        self._loop.start()

    def stop(self) -> None:
        """Stop the workers; their jobs stay unfinished and go on at the next start."""
        self._stopping.set()
        self._db.wake()
        self._loop.join()
        with self._running_lock:
            running = dict(self._running)
        for seq in running:
            self._jobs.cancel(seq)
        for thread in running.values():
            thread.join()

    def workers_available(self, pipeline: Pipeline) -> int:
        if pipeline.state not in (PipelineState.STARTING, PipelineState.RUNNING, PipelineState.CRASHING):
            return 0
        if not self._worker.image(pipeline.request.transform.image).ready:
            return 0
        possible = self._devices_of(pipeline) // pipeline.gpus if pipeline.gpus else pipeline.parallelism
        return min(pipeline.parallelism, possible)

    def _run(self) -> None:
        seen, pause = -1, IDLE_SECONDS
        while not self._stopping.is_set():
            seen = self._db.wait_for_change(seen, pause)
            pause = IDLE_SECONDS
            try:
                # Nobody may stop, update or delete between the look at a pipeline and what follows from it.
                with self._db.hold():
                    self._round()
                    pause = min(IDLE_SECONDS, self._crons.due(self._records.pipelines()))
            except Exception:
                # The loop is what every pipeline depends on: it reports and goes on.
                log.exception("scheduling failed")
            self._stopping.wait(PAUSE_SECONDS)

    def _round(self) -> None:
        self._jobs.delete_orphans()
        active: set[int] = set()
        starved: dict[int, str] = {}
        for job in self._jobs.first_unfinished():
            active.add(job.pipeline_id)
            if job.state is JobState.CREATED and (reason := self._try_start(job, bool(starved))):
                starved[job.pipeline_id] = reason
        for pipeline in self._records.pipelines():
            state, reason = self._state_of(pipeline, pipeline.row_id in active)
            reason = reason or starved.get(pipeline.row_id, "")
            if (state, reason) != (pipeline.state, pipeline.reason):
                with self._db.transaction():
                    self._pipelines.set_state(pipeline.row_id, state, reason)

    def _state_of(self, pipeline: Pipeline, active: bool) -> tuple[PipelineState, str]:
        if pipeline.stopped:
            return PipelineState.PAUSED, ""
        if not pipeline.request.transform.cmd:
            return PipelineState.FAILURE, NO_COMMAND
        asked, total = pipeline.gpus * pipeline.parallelism, self._devices_of(pipeline)
        if asked > total:
            reason = _insufficient(pipeline, f"this machine has {total}")
            return PipelineState.CRASHING, reason
        if pipeline.request.autoscaling and not active:
            return PipelineState.STANDBY, ""
        image = self._worker.image(pipeline.request.transform.image)
        if not image.ready:
            return PipelineState.CRASHING if image.reason else PipelineState.STARTING, image.reason
        return PipelineState.RUNNING, ""

    def _devices_of(self, pipeline: Pipeline) -> int:
        """How many devices there are of the kind that the pipeline asks for."""
        return self._gpus.total if pipeline.gpu_type == NVIDIA_GPU else 0

    def _try_start(self, job: Job, gpus_awaited: bool) -> str:
        """Start a job if everything for it is there. The answer is why it waits for devices, else "".

        `gpus_awaited`: an older job waits for devices, and must not wait for ever behind younger ones.
        """
        pipeline = self._records.pipeline_of(job)
        if not pipeline.request.transform.cmd:
            self._jobs.kill(job, STOPPED_REASON)
            return ""
        if pipeline.gpus > self._devices_of(pipeline):
            return ""  # waits as long as the spec is like that; the pipeline's state says so
        if not self._worker.image(pipeline.request.transform.image).ready:
            return ""  # as well
        if not JobInputs(self._pfs, pipeline.request, job.output).ready():
            return ""
        with self._running_lock:
            if job.seq in self._running or len(self._running) >= JOBS:
                return ""
            devices = [] if gpus_awaited and pipeline.gpus else self._devices(pipeline)
            if not devices:
                return _insufficient(pipeline, "others use them now")
            try:
                self._start(job, pipeline, devices)
            except BaseException:  # a disk that is full, a machine that makes no more threads
                self._running.pop(job.seq, None)
                self._give_back(devices)
                raise
        return ""

    def _start(self, job: Job, pipeline: Pipeline, devices: list[tuple[str, ...]]) -> None:
        self._jobs.cancel_event(job)
        self._jobs.set_state(job, JobState.STARTING)
        thread = threading.Thread(target=self._work, args=(job, pipeline, devices), name=f"job-{job.seq}")
        self._running[job.seq] = thread
        try:
            thread.start()
        except RuntimeError:
            self._leave(job)  # tried again in the next round
            raise

    def _give_back(self, devices: list[tuple[str, ...]]) -> None:
        for taken in devices:
            self._gpus.give_back(taken)

    def _devices(self, pipeline: Pipeline) -> list[tuple[str, ...]]:
        """The GPUs of each worker, as many workers as are asked for and possible; none: it has to wait."""
        devices: list[tuple[str, ...]] = []
        while len(devices) < min(pipeline.parallelism, WORKERS):
            taken = self._gpus.take(pipeline.gpus)
            if taken is None:
                break
            devices.append(taken)
        return devices

    def _work(self, job: Job, pipeline: Pipeline, devices: list[tuple[str, ...]]) -> None:
        try:
            self._run_job(job, pipeline, devices)
        finally:
            self._give_back(devices)
            try:
                self._leave(job)
            finally:
                with self._running_lock:
                    del self._running[job.seq]
                self._db.wake()

    def _run_job(self, job: Job, pipeline: Pipeline, devices: list[tuple[str, ...]]) -> None:
        try:
            self._runner.run(job, pipeline, devices)
        except Exception as error:
            if is_full(error):
                log.warning("no space is left: the job waits", extra={"job": job.id, "error": str(error)})
                self._stopping.wait(FULL_SECONDS)
            elif isinstance(error, PachError):  # such as a glob that cannot be read
                self._jobs.end(job, JobState.FAILURE, error.text)
            else:
                log.exception("job %s failed", job.id)
                self._jobs.end(job, JobState.FAILURE, f"the embedded pachd could not run the job: {error}")

    def _leave(self, job: Job) -> None:
        """One that has not ended is to start again; with a full disk that cannot be written down at once."""
        while True:
            try:
                self._jobs.leave(job)
            except sqlite3.Error as error:
                if not is_full(error):
                    raise
            else:
                return
            if self._stopping.wait(FULL_SECONDS):
                return  # the next start does the same


def _insufficient(pipeline: Pipeline, why: str) -> str:
    """As Kubernetes says it of a pod, and in brackets what it does not say."""
    workers = f"{pipeline.parallelism} x " if pipeline.parallelism > 1 else ""
    return (
        f"0/1 nodes are available: 1 Insufficient {pipeline.gpu_type}."
        f" (asks for {workers}{pipeline.gpus}, {why})"
    )
