# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the PPS servicer share."""

from __future__ import annotations

from typing import Any

from ..errors import unimplemented, unknown
from ..pps.model import Job, JobState
from ..pps.service import Pps
from .pps_messages import job_info, pipeline_key, worker_status


class PpsMethods:
    def __init__(self, service: Pps) -> None:
        self._pps = service
        self._records = service.records
        self._access = service.access

    def _job(self, job: Any) -> Job:
        if not job:
            raise unknown("must specify a job")
        return self._records.get_job(pipeline_key(job.pipeline), job.id)

    def _job_info(self, job: Job, details: bool) -> Any:
        """With details also what its workers do now."""
        pipeline = self._records.pipeline_of(job)
        if details:
            self._access.check_jobs(pipeline.key)
        info = job_info(self._pps.pfs, pipeline, job, details)
        if details and job.state is JobState.RUNNING:
            attempts = self._pps.running.of(job.seq)
            info.details.worker_status = [worker_status(pipeline, job, each) for each in attempts]
        return info


def refuse_jq(request: Any) -> None:
    if request.jq_filter:
        raise unimplemented("the embedded pachd does not run jq filters; leave out jq_filter")
