# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API's pipelines: create, update, list, start, stop, run, delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pfs, pps

from ..errors import not_found, unimplemented, unknown
from ..pps.model import JobState, Pipeline, PipelineState
from ..pps.spec import spec_of_request
from .messages import Context
from .pages import page_of
from .pps_base import PpsMethods, refuse_jq
from .pps_messages import pipeline_info, pipeline_key, pipeline_message

_UNHEALTHY = (JobState.KILLED, JobState.FAILURE, JobState.UNRUNNABLE)
_FAILED = (PipelineState.FAILURE, PipelineState.CRASHING)


class PipelineMethods(PpsMethods):
    def create_pipeline_v2(self, request: Any, _context: Context) -> Any:
        answer = self._pps.pipelines.create(
            request.create_pipeline_request_json,
            dry_run=request.dry_run,
            update=request.update,
            reprocess=request.reprocess,
        )
        return pps.CreatePipelineV2Response(effective_create_pipeline_request_json=answer)

    def create_pipeline(self, request: Any, _context: Context) -> Any:
        """The older call; what it stores as the user's spec is the message in proto JSON."""
        update, reprocess = request.update, request.reprocess
        request.update = request.reprocess = False
        self._pps.pipelines.create(
            spec_of_request(request), dry_run=request.dry_run, update=update, reprocess=reprocess
        )
        return Empty()

    def rerun_pipeline(self, request: Any, _context: Context) -> Any:
        self._pps.pipelines.rerun(pipeline_key(request.pipeline), request.reprocess)
        return Empty()

    def inspect_pipeline(self, request: Any, _context: Context) -> Any:
        """The newest version; `name^` is the one before it."""
        key, back = pipeline_key(request.pipeline), 0
        if "^" in key.name:
            name, _caret, number = key.name.partition("^")
            key, back = type(key)(key.project, name), _generations(number)
        pipeline = self._records.get_pipeline(key)
        if back >= pipeline.newest:
            raise unknown(
                f'pipeline "{key}" has only {pipeline.newest} versions, not enough to find ancestor {back}'
            )
        return self._pipeline_info(self._records.versions(key)[back], request.details)

    def list_pipeline(self, request: Any, _context: Context) -> Iterator[Any]:
        refuse_jq(request)
        for pipeline in page_of(self._listed(request), request.page):
            yield self._pipeline_info(pipeline, details=True)

    def _listed(self, request: Any) -> Iterable[Pipeline]:
        if request.pipeline and request.pipeline.name:
            newest = [self._records.get_pipeline(pipeline_key(request.pipeline))]
        else:
            wanted = [project.name for project in request.projects]
            newest = [p for p in self._records.pipelines() if not wanted or p.key.project in wanted]
        for pipeline in filter(lambda each: self._access.may_see(each.key), newest):
            versions = self._records.versions(pipeline.key)
            if request.commit_set and request.commit_set.id:
                job = self._records.find_job(pipeline.row_id, request.commit_set.id)
                yield from (each for each in versions if job is not None and each.version == job.version)
            else:
                yield from versions if request.history < 0 else versions[: request.history + 1]

    def delete_pipeline(self, request: Any, _context: Context) -> Any:
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

    def delete_pipelines(self, request: Any, _context: Context) -> Any:
        projects = [project.name for project in request.projects]
        keys = self._pps.pipelines.delete_all(projects, request.all, request.force, request.keep_repo)
        return pps.DeletePipelinesResponse(pipelines=[pipeline_message(key) for key in keys])

    def delete_all(self, _request: Any, _context: Context) -> Any:
        """All pipelines and secrets; repos of data stay."""
        self._pps.pipelines.delete_all([], True, True, False)
        self._pps.secrets.delete_all()
        return Empty()

    def start_pipeline(self, request: Any, _context: Context) -> Any:
        self._pps.pipelines.start(pipeline_key(request.pipeline))
        return Empty()

    def stop_pipeline(self, request: Any, _context: Context) -> Any:
        self._pps.pipelines.stop(pipeline_key(request.pipeline), request.must_exist)
        return Empty()

    def run_pipeline(self, _request: Any, _context: Context) -> Any:
        raise unknown("unimplemented")  # as pachd 2.12 has it

    def run_cron(self, request: Any, _context: Context) -> Any:
        self._pps.crons.run(self._records.get_pipeline(pipeline_key(request.pipeline)))
        return Empty()

    def pipelines_summary(self, request: Any, _context: Context) -> Any:
        """How many pipelines of each project are in which state; projects without pipelines are left out."""
        wanted = [picker.name for picker in request.projects]
        summaries: dict[str, Any] = {}
        for pipeline in self._records.pipelines():
            project = pipeline.key.project
            if (not wanted or project in wanted) and self._access.may_see(pipeline.key):
                summary = summaries.setdefault(
                    project, pps.PipelinesSummary(project=pfs.Project(name=project))
                )
                self._count(pipeline, summary)
        order = wanted or [project.name for project in self._pps.pfs.lookup.projects()]
        return pps.PipelinesSummaryResponse(
            summaries=[summaries[name] for name in order if name in summaries]
        )

    def _count(self, pipeline: Pipeline, summary: Any) -> None:
        if pipeline.state in _FAILED:
            summary.failed_pipelines += 1
        elif pipeline.state is PipelineState.PAUSED:
            summary.paused_pipelines += 1
        else:
            summary.active_pipelines += 1
        last = self._records.last_job(pipeline)
        summary.unhealthy_pipelines += last is not None and last.state in _UNHEALTHY

    def _pipeline_info(self, pipeline: Pipeline, details: bool) -> Any:
        workers = self._pps.workers_available(pipeline) if details else 0
        return pipeline_info(pipeline, self._records.last_job(pipeline), details, workers)

    # Refused

    def render_template(self, _request: Any, _context: Context) -> Any:
        raise unimplemented("the embedded pachd renders no jsonnet templates; render the spec where you are")

    def run_load_test(self, _request: Any, _context: Context) -> Any:
        raise unimplemented("the embedded pachd runs no load tests")

    def run_load_test_default(self, request: Any, context: Context) -> Any:
        return self.run_load_test(request, context)

    def check_status(self, _request: Any, _context: Context) -> Iterator[Any]:
        raise unimplemented("the embedded pachd watches no maximum_expected_uptime; list pipelines instead")


def _generations(text: str) -> int:
    """Of the ancestor that `^`, `^2` or `^^` behind a name means."""
    if text.isdecimal():
        return int(text)
    if text.strip("^"):
        raise not_found(f'pipeline version "^{text}" not found')
    return len(text) + 1
