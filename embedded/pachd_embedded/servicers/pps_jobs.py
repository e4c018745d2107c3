# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API's jobs and job sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pps

from ..errors import unimplemented, unknown
from ..pps.model import Job, Pipeline
from .messages import Context, commit_ref, when
from .pps_base import PpsMethods, refuse_jq
from .pps_messages import job_info, pipeline_key


class JobMethods(PpsMethods):
    def inspect_job(self, request: Any, context: Context) -> Any:
        job = self._job(request.job)
        if request.wait:
            job = self._pps.jobs.wait(job, lambda: not context.is_active())
        return self._job_info(job, request.details)

    def list_job(self, request: Any, _context: Context) -> Iterator[Any]:
        """Newest first. `history` is how many versions before the pipeline's current one are shown."""
        refuse_jq(request)
        if request.pipeline and request.pipeline.name:
            pipeline = self._records.get_pipeline(pipeline_key(request.pipeline))
            jobs = self._records.jobs("pipeline_id = ? ORDER BY seq DESC", pipeline.row_id)
        else:
            jobs = self._records.jobs("1 ORDER BY seq DESC")
        if request.reverse:
            jobs.reverse()
        readers = [self._records.sets_that_read(commit_ref(commit)) for commit in request.input_commit]
        sent = 0
        for job in jobs:
            found = self._records.find_pipeline_of(job)
            if found is None or not _is_listed(request, job, found):
                continue  # deleted while the list is sent, or not asked for
            if not all(job.id in ids for ids in readers):
                continue
            if request.details and not self._access.may_list_jobs(found.key):
                continue
            yield self._job_info(job, request.details)
            sent += 1
            if sent == request.number:
                return

    def subscribe_job(self, request: Any, context: Context) -> Iterator[Any]:
        """Each job that has not ended once, the oldest first, and each new one as it comes."""
        if not request.pipeline or not request.pipeline.name:
            raise unknown("pipeline must be specified")
        key = pipeline_key(request.pipeline)
        for job in self._pps.jobs.subscribe(key, lambda: not context.is_active()):
            yield self._job_info(job, request.details)

    def inspect_job_set(self, request: Any, context: Context) -> Iterator[Any]:
        for job in self._records.jobs("id = ? ORDER BY seq", request.job_set.id):
            if request.wait:
                job = self._pps.jobs.wait(job, lambda: not context.is_active())
            yield self._job_info(job, request.details)

    def list_job_set(self, request: Any, _context: Context) -> Iterator[Any]:
        """Sets in the order of their newest job; in reverse of their oldest, the oldest first."""
        refuse_jq(request)
        if request.number < 0:
            raise unknown("number must be non-negative")
        wanted = [project.name for project in request.projects]
        seen: set[str] = set()
        sent = 0
        for job in self._records.jobs(f"1 ORDER BY seq {'ASC' if request.reverse else 'DESC'}"):
            if job.id in seen:
                continue
            seen.add(job.id)
            if not _is_past(request, job):
                continue
            infos = list(self._jobs_of_set(job.id, wanted, request.details))
            if infos:
                yield pps.JobSetInfo(job_set=pps.JobSet(id=job.id), jobs=infos)
                sent += 1
                if sent == request.number:
                    return

    def _jobs_of_set(self, job_id: str, projects: list[str], details: bool) -> Iterator[Any]:
        for job in self._records.jobs("id = ? ORDER BY seq", job_id):
            found = self._records.find_pipeline_of(job)
            if found is not None and (not projects or found.key.project in projects):
                yield job_info(self._pps.pfs, found, job, details)

    def stop_job(self, request: Any, _context: Context) -> Any:
        if not request.job:
            raise unknown("Job must be specified")
        self._pps.jobs.kill(self._job(request.job), request.reason)
        return Empty()

    def delete_job(self, request: Any, _context: Context) -> Any:
        if not request.job:
            raise unknown("job cannot be nil")
        self._pps.jobs.delete(self._job(request.job))
        return Empty()

    def update_job_state(self, _request: Any, _context: Context) -> Any:
        """What pachd's own workers tell it by."""
        raise unimplemented("the embedded pachd alone sets the states of its jobs; use StopJob to end one")

    def list_task(self, _request: Any, _context: Context) -> Iterator[Any]:
        """Jobs are not handed to workers as tasks of a queue, so there are none."""
        return iter(())


def _is_listed(request: Any, job: Job, pipeline: Pipeline) -> bool:
    projects = [project.name for project in request.projects]
    if projects and pipeline.key.project not in projects:
        return False
    if request.history >= 0 and job.version < pipeline.newest - request.history:
        return False
    return _is_past(request, job)


def _is_past(request: Any, job: Job) -> bool:
    """Whether the job comes after the pagination marker, which is a time and exclusive."""
    marker = request.pagination_marker
    if not marker or marker.timestamp() <= 0:
        return True
    created = when(job.created)
    assert created is not None
    return bool(created > marker if request.reverse else created < marker)
