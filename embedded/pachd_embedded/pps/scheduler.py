# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts jobs: of each pipeline one at a time, when their input is finished and devices are free."""

from __future__ import annotations

import logging
import os
import threading

from ..pfs.service import Pfs
from ..store.db import Database
from ..workers.gpus import GpuPool
from .job_inputs import JobInputs
from .jobs import STOPPED_REASON, Jobs
from .model import Job, JobState, Pipeline, PipelineState
from .pipelines import Pipelines
from .records import Records
from .runner import JobRunner

log = logging.getLogger(__name__)

# Looked again after so many seconds even when nothing was written.
IDLE_SECONDS = 5.0
# Datums that run at the same time, all jobs together, are bounded by the machine.
WORKERS = os.cpu_count() or 1

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
    ) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        self._jobs = jobs
        self._pipelines = pipelines
        self._runner = runner
        self._gpus = gpus
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
            if (job := self._records.job_by_seq(seq)) is not None:
                self._jobs.cancel_event(job).set()
        for thread in running.values():
            thread.join()

    def _run(self) -> None:
        seen = -1
        while not self._stopping.is_set():
            seen = self._db.wait_for_change(seen, IDLE_SECONDS)
            try:
                self._settle_pipelines()
                for job in self._jobs.waiting():
                    self._try_start(job)
            except Exception:
                # The loop is what every pipeline depends on: it reports and goes on.
                log.exception("scheduling failed")

    def _settle_pipelines(self) -> None:
        for pipeline in self._records.pipelines():
            state, reason = self._state_of(pipeline)
            if (state, reason) != (pipeline.state, pipeline.reason):
                with self._db.transaction():
                    self._pipelines.set_state(pipeline.row_id, state, reason)

    def _state_of(self, pipeline: Pipeline) -> tuple[PipelineState, str]:
        if pipeline.stopped:
            return PipelineState.PAUSED, ""
        if not pipeline.request.transform.cmd:
            return PipelineState.FAILURE, NO_COMMAND
        if pipeline.gpus > self._gpus.total:
            kind = pipeline.request.resource_limits.gpu.type or "nvidia.com/gpu"
            return PipelineState.CRASHING, (
                f"0/1 nodes are available: 1 Insufficient {kind}."
                f" (asks for {pipeline.gpus}, this machine has {self._gpus.total})"
            )
        return PipelineState.RUNNING, ""

    def _try_start(self, job: Job) -> None:
        pipeline = self._records.pipeline_of(job)
        if not pipeline.request.transform.cmd:
            self._jobs.kill(job, STOPPED_REASON)
            return
        if not JobInputs(self._pfs, pipeline.request, job.output).ready():
            return
        with self._running_lock:
            if job.seq in self._running or len(self._running) >= WORKERS:
                return
            devices = self._devices(pipeline)
            if not devices or not self._jobs.set_state(job, JobState.STARTING):
                self._release(devices)
                return
            thread = threading.Thread(target=self._work, args=(job, devices), name=f"job-{job.seq}")
            self._running[job.seq] = thread
        thread.start()

    def _devices(self, pipeline: Pipeline) -> list[tuple[str, ...]]:
        """The GPUs of each worker, as many workers as are asked for and possible; none: it has to wait."""
        if pipeline.gpus > self._gpus.total:
            return []
        devices: list[tuple[str, ...]] = []
        while len(devices) < min(pipeline.parallelism, WORKERS):
            taken = self._gpus.try_acquire(pipeline.gpus)
            if taken is None:
                break
            devices.append(taken)
        return devices

    def _release(self, devices: list[tuple[str, ...]]) -> None:
        for taken in devices:
            self._gpus.release(taken)

    def _work(self, job: Job, devices: list[tuple[str, ...]]) -> None:
        try:
            self._runner.run(job, devices)
        except Exception as error:
            log.exception("job %s failed", job.id)
            self._jobs.end(job, JobState.FAILURE, f"the embedded pachd could not run the job: {error}")
        finally:
            self._release(devices)
            with self._running_lock:
                del self._running[job.seq]
            if not self._stopping.is_set():
                self._jobs.forget(job)
            self._db.wake()
