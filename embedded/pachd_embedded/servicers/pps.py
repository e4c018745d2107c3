# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API: pipelines, jobs, datums, logs and defaults."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pps

from ..errors import PachError, unimplemented, unknown
from ..pps.inputs import fill_input, is_set
from ..pps.job_inputs import preview
from ..pps.model import DatumInput, DatumResult, Job, Pipeline
from ..pps.service import Pps
from ..pps.spec import spec_of_request
from .messages import Context, project_name, when
from .pps_messages import (
    datum_file,
    datum_info,
    job_info,
    log_message,
    pipeline_info,
    pipeline_key,
    pipeline_message,
)


class PpsServicer:
    def __init__(self, service: Pps) -> None:
        self._pps = service
        self._records = service.records

    # Pipelines

    def create_pipeline_v2(self, request: Any, _: Context) -> Any:
        answer = self._pps.pipelines.create(
            request.create_pipeline_request_json,
            dry_run=request.dry_run,
            update=request.update,
            reprocess=request.reprocess,
        )
        return pps.CreatePipelineV2Response(effective_create_pipeline_request_json=answer)

    def create_pipeline(self, request: Any, _: Context) -> Any:
        """The older call; what it stores as the user's spec is the message in proto JSON."""
        update, reprocess = request.update, request.reprocess
        request.update = request.reprocess = False
        self._pps.pipelines.create(
            spec_of_request(request), dry_run=request.dry_run, update=update, reprocess=reprocess
        )
        return Empty()

    def inspect_pipeline(self, request: Any, _: Context) -> Any:
        pipeline = self._records.get_pipeline(pipeline_key(request.pipeline))
        return self._pipeline_info(pipeline, request.details)

    def list_pipeline(self, request: Any, _: Context) -> Iterator[Any]:
        _refuse_jq(request)
        if request.pipeline and request.pipeline.name:
            keys = [self._records.get_pipeline(pipeline_key(request.pipeline)).key]
        else:
            wanted = [project.name for project in request.projects]
            keys = [p.key for p in self._records.pipelines() if not wanted or p.key.project in wanted]
        for key in keys:
            versions = self._records.versions(key)
            shown = versions if request.history == -1 else versions[: request.history + 1]
            yield from (self._pipeline_info(pipeline, details=True) for pipeline in shown)

    def delete_pipeline(self, request: Any, _: Context) -> Any:
        if request.all:
            self._pps.pipelines.delete_all([], True, request.force, request.keep_repo)
        else:
            self._pps.pipelines.delete(
                pipeline_key(request.pipeline),
                force=request.force,
                keep_repo=request.keep_repo,
                must_exist=request.must_exist,
            )
        return Empty()

    def delete_pipelines(self, request: Any, _: Context) -> Any:
        projects = [project.name for project in request.projects]
        keys = self._pps.pipelines.delete_all(projects, request.all, request.force, request.keep_repo)
        return pps.DeletePipelinesResponse(pipelines=[pipeline_message(key) for key in keys])

    def start_pipeline(self, request: Any, _: Context) -> Any:
        self._pps.pipelines.start(pipeline_key(request.pipeline))
        return Empty()

    def stop_pipeline(self, request: Any, _: Context) -> Any:
        self._pps.pipelines.stop(pipeline_key(request.pipeline), request.must_exist)
        return Empty()

    def run_pipeline(self, _request: Any, _: Context) -> Any:
        raise unknown("unimplemented")

    def _pipeline_info(self, pipeline: Pipeline, details: bool) -> Any:
        jobs = self._records.jobs("pipeline_id = ? ORDER BY seq DESC LIMIT 1", pipeline.row_id)
        workers = self._pps.workers_available(pipeline) if details else 0
        return pipeline_info(pipeline, jobs[0] if jobs else None, details, workers)

    # Jobs

    def inspect_job(self, request: Any, context: Context) -> Any:
        key, job_id = pipeline_key(request.job.pipeline), request.job.id
        if request.wait:
            job = self._pps.jobs.wait(key, job_id, lambda: not context.is_active())
        else:
            job = self._records.get_job(key, job_id)
        return self._job_info(job, request.details)

    def list_job(self, request: Any, _: Context) -> Iterator[Any]:
        """Newest first. history 0 shows jobs of the pipeline's current version only."""
        _refuse_jq(request)
        if request.pipeline and request.pipeline.name:
            pipeline = self._records.get_pipeline(pipeline_key(request.pipeline))
            jobs = self._records.jobs("pipeline_id = ? ORDER BY seq DESC", pipeline.row_id)
            if request.history == 0:
                jobs = [job for job in jobs if job.version == pipeline.version]
        else:
            jobs = self._records.jobs("1 ORDER BY seq DESC")
        if request.reverse:
            jobs.reverse()
        sent = 0
        for job in jobs:
            found = self._records.find_pipeline_of(job)
            if found is None or not self._is_listed(request, job, found):
                continue  # deleted while the list is sent, or not asked for
            yield job_info(self._pps.pfs, found, job, request.details)
            sent += 1
            if sent == request.number:
                return

    def _is_listed(self, request: Any, job: Job, pipeline: Pipeline) -> bool:
        projects = [project.name for project in request.projects]
        if projects and pipeline.key.project not in projects:
            return False
        marker = request.pagination_marker
        if request.is_set("pagination_marker") and marker and marker.timestamp() > 0:
            created = when(job.created)
            if created <= marker if request.reverse else created >= marker:
                return False
        upstream = {commit.id for commit in self._pps.pfs.lookup.commit_provenance(job.output)}
        return all(commit.id in upstream for commit in request.input_commit)

    def subscribe_job(self, request: Any, context: Context) -> Iterator[Any]:
        key = pipeline_key(request.pipeline)
        for job in self._pps.jobs.subscribe(key, lambda: not context.is_active()):
            yield self._job_info(job, request.details)

    def inspect_job_set(self, request: Any, context: Context) -> Iterator[Any]:
        for job in self._records.jobs("id = ? ORDER BY seq", request.job_set.id):
            if request.wait:
                key = self._records.pipeline_of(job).key
                waited = self._pps.jobs.wait(key, job.id, lambda: not context.is_active())
                yield self._job_info(waited, request.details)
            else:
                yield self._job_info(job, request.details)

    def list_job_set(self, request: Any, _: Context) -> Iterator[Any]:
        _refuse_jq(request)
        wanted = [project.name for project in request.projects]
        sets: dict[str, list[Any]] = {}
        for job in self._records.jobs("1 ORDER BY seq DESC"):
            found = self._records.find_pipeline_of(job)
            if found is not None and (not wanted or found.key.project in wanted):
                info = job_info(self._pps.pfs, found, job, request.details)
                sets.setdefault(job.id, []).insert(0, info)
        ids = list(reversed(sets)) if request.reverse else list(sets)
        for job_id in ids[: request.number or None]:
            yield pps.JobSetInfo(job_set=pps.JobSet(id=job_id), jobs=sets[job_id])

    def stop_job(self, request: Any, _: Context) -> Any:
        self._pps.jobs.kill(self._job(request.job), request.reason)
        return Empty()

    def delete_job(self, request: Any, _: Context) -> Any:
        self._pps.jobs.delete(self._job(request.job))
        return Empty()

    def _job(self, job: Any) -> Job:
        if not job:
            raise unknown("job cannot be nil")
        return self._records.get_job(pipeline_key(job.pipeline), job.id)

    def _job_info(self, job: Job, details: bool) -> Any:
        return job_info(self._pps.pfs, self._records.pipeline_of(job), job, details)

    # Datums and logs

    def list_datum(self, request: Any, _: Context) -> Iterator[Any]:
        """Those of a job, or with an input instead those that it would make now; by datum id."""
        if request.job and is_set(request.input):
            raise unknown("cannot specify both job and input")
        if request.reverse and not request.number:
            raise unknown("number must be > 0 when reverse is set")
        if request.job:
            infos = self._datums_of(self._job(request.job))
        elif is_set(request.input):
            infos = self._datums_of_input(request.input)
        else:
            raise unknown("must specify a job")
        ordered = reversed(list(infos)) if request.reverse else infos
        marker, states = request.pagination_marker, request.filter.state
        sent = 0
        for info in ordered:
            if _is_past(info.datum.id, marker, request.reverse) and (not states or info.state in states):
                yield info
                sent += 1
                if sent == request.number:
                    return

    def _datums_of(self, job: Job) -> Iterator[Any]:
        """Of a job that runs, those that are done."""
        key = self._records.pipeline_of(job).key
        found: Iterable[tuple[str, Any]] = self._pps.datum_trees.scan(job.datums)
        if job.finished is None:
            found = [(datum, entry["result"]) for datum, entry in self._records.datums_done(job).items()]
        for datum_id, value in found:
            yield datum_info(key, job, datum_id, DatumResult.of(value))

    def _datums_of_input(self, node: Any) -> Iterator[Any]:
        fill_input(node, "", project_name(None))
        request = pps.CreatePipelineRequest(input=node)
        try:
            for datum in preview(self._pps.pfs, request):
                yield pps.DatumInfo(
                    datum=pps.Datum(id=datum.id),
                    data=[
                        datum_file(DatumInput(f.project, f.repo, f.commit, f.path, f.hash.hex(), f.size))
                        for f in datum.files
                    ],
                )
        except PachError as error:
            raise unknown(error.text) from None  # as pachd: also for what is not found

    def inspect_datum(self, request: Any, _: Context) -> Any:
        if not request.datum or not request.datum.id:
            raise unknown("must specify a datum")
        if not request.datum.job:
            raise unknown("must specify a job")
        job = self._job(request.datum.job)
        if job.finished is None:
            value = self._records.datums_done(job).get(request.datum.id, {}).get("result")
        else:
            value = self._pps.datum_trees.get(job.datums, request.datum.id)
        if value is None:
            raise unknown(f"datum {request.datum.id} not found in job {job.id}")
        key = self._records.pipeline_of(job).key
        return datum_info(key, job, request.datum.id, DatumResult.of(value))

    def get_logs(self, request: Any, context: Context) -> Iterator[Any]:
        """What user code wrote and what the worker says of it, oldest first."""
        jobs, datum = self._logged(request)
        since = time.time() - request.since.total_seconds() if request.since else 0.0
        by_seq = {job.seq: (job, self._records.pipeline_of(job)) for job in jobs}
        if request.follow:
            lines = self._pps.logs.follow(jobs, datum, since, request.tail, lambda: not context.is_active())
        else:
            lines = self._pps.logs.read(jobs, datum, since, request.tail)
        for line in lines:
            message = self._log_message(*by_seq[line["job_seq"]], line, request.data_filters)
            if message is not None:
                yield message

    def _logged(self, request: Any) -> tuple[list[Job], str]:
        """The jobs whose logs are asked for, and the datum, "" for all."""
        datum = request.datum.id if request.datum else ""
        job = request.job if request.job and request.job.id else request.datum.job if datum else None
        if job:
            return [self._job(job)], datum
        if request.pipeline and request.pipeline.name:
            pipeline = self._records.get_pipeline(pipeline_key(request.pipeline))
            return self._records.jobs("pipeline_id = ? ORDER BY seq", pipeline.row_id), ""
        raise unknown("must specify a pipeline, job or datum")

    def _log_message(self, job: Job, pipeline: Pipeline, row: Any, filters: list[str]) -> Any | None:
        """The line as a message; None where its datum does not have the files of `filters`."""
        value = self._pps.datum_trees.get(job.datums, row["datum"]) if row["datum"] else None
        inputs = DatumResult.of(value).inputs if value else []
        if filters and not all(any(f in (file.path, file.hash) for file in inputs) for f in filters):
            return None
        data = [pps.InputFile(path=file.path, hash=bytes.fromhex(file.hash)) for file in inputs]
        return log_message(pipeline, job, row, data)

    # Defaults

    def get_cluster_defaults(self, _request: Any, _: Context) -> Any:
        return pps.GetClusterDefaultsResponse(cluster_defaults_json=self._pps.defaults.cluster())

    def set_cluster_defaults(self, request: Any, _: Context) -> Any:
        _refuse_regenerate(request)
        self._pps.defaults.set_cluster(request.cluster_defaults_json, request.dry_run)
        return pps.SetClusterDefaultsResponse()

    def get_project_defaults(self, request: Any, _: Context) -> Any:
        name = project_name(request.project)
        self._pps.pfs.projects.inspect(name)
        return pps.GetProjectDefaultsResponse(project_defaults_json=self._pps.defaults.project(name))

    def set_project_defaults(self, request: Any, _: Context) -> Any:
        _refuse_regenerate(request)
        name = project_name(request.project)
        self._pps.defaults.set_project(name, request.project_defaults_json, request.dry_run)
        return pps.SetProjectDefaultsResponse()


def _refuse_jq(request: Any) -> None:
    if request.jq_filter:
        raise unimplemented("the embedded pachd does not run jq filters; leave out jq_filter")


def _refuse_regenerate(request: Any) -> None:
    if request.regenerate or request.reprocess:
        raise unimplemented("the embedded pachd does not regenerate pipelines; update each of them instead")


def _is_past(datum_id: str, marker: str, reverse: bool) -> bool:
    if not marker:
        return True
    return datum_id < marker if reverse else datum_id > marker
