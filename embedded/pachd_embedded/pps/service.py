# SPDX-License-Identifier: GPL-3.0-or-later
"""PPS as a whole: what the API's methods call."""

from __future__ import annotations

from pathlib import Path

from .. import directories
from ..pfs.service import Pfs
from ..store.db import Database
from ..store.tree import TreeStore
from ..workers.gpus import GpuPool
from ..workers.worker import Worker
from .access import PipelineAccess
from .crons import Crons
from .datum_runs import DatumRunner
from .defaults import Defaults
from .egress import Egress
from .jobs import Jobs
from .logs import Logs
from .model import Pipeline
from .pipelines import Pipelines
from .records import Records
from .regeneration import Regeneration
from .runner import JobRunner
from .scheduler import Scheduler
from .secrets import Secrets


class Pps:
    def __init__(self, db: Database, pfs: Pfs, worker: Worker, gpus: GpuPool, directory: Path) -> None:
        scratch = directory / "scratch"
        # Left by a server that was killed; what it was doing is done anew.
        directories.remove(scratch)
        scratch.mkdir(exist_ok=True)
        self.pfs = pfs
        self.datum_trees = TreeStore(db, weigh=lambda _value: 0)
        self.records = Records(db)
        self.access = PipelineAccess(db, self.records)
        self.jobs = Jobs(db, pfs, self.records)
        self.logs = Logs(db)
        self.defaults = Defaults(db, pfs)
        self.secrets = Secrets(directory / "secrets")
        self.crons = Crons(pfs)
        self.pipelines = Pipelines(db, pfs, self.records, self.jobs, self.defaults, self.secrets, self.crons)
        self.regeneration = Regeneration(pfs, self.records, self.defaults, self.pipelines)
        datum_runner = DatumRunner(pfs, self.jobs, self.logs, self.secrets, worker, scratch)
        self.running = datum_runner.running
        egress = Egress(pfs, self.logs)
        runner = JobRunner(db, pfs, self.records, self.jobs, self.datum_trees, datum_runner, egress)
        self._scheduler = Scheduler(
            db, pfs, self.records, self.jobs, self.pipelines, runner, gpus, self.crons, worker
        )

    def workers_available(self, pipeline: Pipeline) -> int:
        """Workers of the pipeline that there can be at the same time, 0 while it is not to run."""
        return self._scheduler.workers_available(pipeline)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.stop()
