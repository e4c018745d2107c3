# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines, jobs and datums as messages."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from typing import Any

from pachyderm_sdk.api import pfs, pps

from ..errors import unknown
from ..pfs.model import RepoKey
from ..pfs.service import Pfs
from ..pps.job_inputs import JobInputs
from ..pps.model import DatumInput, DatumResult, DatumState, Job, Pipeline, PipelineKey
from ..pps.running import Attempt
from .messages import branch_message, commit_message, project_name, repo_message, when


def pipeline_key(pipeline: Any) -> PipelineKey:
    if not pipeline or not pipeline.name:
        raise unknown("request.Pipeline cannot be nil")
    return PipelineKey(project_name(pipeline.project), pipeline.name)


def pipeline_message(key: PipelineKey) -> Any:
    return pps.Pipeline(name=key.name, project=pfs.Project(name=key.project))


def job_message(key: PipelineKey, job_id: str) -> Any:
    return pps.Job(pipeline=pipeline_message(key), id=job_id)


def pipeline_info(pipeline: Pipeline, last_job: Job | None, details: bool, workers: int) -> Any:
    """`workers` are those that there can be now, which only the details show."""
    spec = pfs.Commit(
        repo=repo_message(pipeline.key.repo("spec")),
        id=pipeline.spec_commit,
        branch=pfs.Branch(repo=repo_message(pipeline.key.repo("spec")), name="master"),
    )
    info = pps.PipelineInfo(
        pipeline=pipeline_message(pipeline.key),
        version=pipeline.version,
        spec_commit=spec,
        stopped=pipeline.stopped,
        state=pps.PipelineState(pipeline.state),
        reason=pipeline.reason,
        parallelism=pipeline.parallelism,
        type=pps.PipelineInfoPipelineType.PIPELINE_TYPE_TRANSFORM,
        user_spec_json=pipeline.user_json,
        effective_spec_json=pipeline.effective_json,
        metadata=json.loads(pipeline.metadata),
    )
    if last_job is not None:
        info.last_job_state = pps.JobState(last_job.state)
    if details:
        info.details = _pipeline_details(pipeline, workers)
    return info


# What PipelineInfo.Details and JobInfo.Details show of the spec under the same names.
_PIPELINE_FIELDS = (
    *("transform", "parallelism_spec", "egress", "output_branch", "resource_requests", "resource_limits"),
    *("sidecar_resource_limits", "sidecar_resource_requests", "input", "description", "datum_set_spec"),
    *("datum_timeout", "job_timeout", "datum_tries", "scheduling_spec", "pod_spec", "pod_patch", "metadata"),
    *("reprocess_spec", "autoscaling", "tolerations"),
)
_JOB_FIELDS = (
    *("transform", "parallelism_spec", "egress", "resource_requests", "resource_limits"),
    *("sidecar_resource_limits", "sidecar_resource_requests", "datum_set_spec", "datum_timeout"),
    *("job_timeout", "datum_tries", "scheduling_spec", "pod_spec", "pod_patch"),
)


def _pipeline_details(pipeline: Pipeline, workers: int) -> Any:
    details = pps.PipelineInfoDetails(
        created_at=when(pipeline.created),
        updated_at=when(pipeline.updated),
        salt=pipeline.salt,
        reason=pipeline.reason,
        workers_requested=0 if pipeline.stopped else pipeline.parallelism,
        workers_available=workers,
    )
    _copy_set(pipeline.request, details, _PIPELINE_FIELDS)
    return details


def job_info(store: Pfs, pipeline: Pipeline, job: Job, details: bool) -> Any:
    info = pps.JobInfo(
        job=job_message(pipeline.key, job.id),
        pipeline_version=job.version,
        data_processed=job.processed,
        data_skipped=job.skipped,
        data_failed=job.failed,
        data_recovered=job.recovered,
        data_total=job.total,
        stats=_stats(job.stats),
        state=pps.JobState(job.state),
        reason=job.reason,
        created=when(job.created),
    )
    for commit in store.lookup.commits("c.seq = ?", job.output):
        info.output_commit = commit_message(commit)
        info.output_commit.branch = branch_message(pipeline.output)
    if job.started is not None:
        info.started = when(job.started)
    if job.finished is not None:
        info.finished = when(job.finished)
    if details:
        shown = pps.JobInfoDetails(salt=pipeline.salt)
        _copy_set(pipeline.request, shown, _JOB_FIELDS)
        shown.input = JobInputs(store, pipeline.request, job.output).described()
        info.details = shown
    return info


def datum_info(key: PipelineKey, job: Job, datum_id: str, result: DatumResult) -> Any:
    state = result.state if result.job == job.id else int(DatumState.SKIPPED)
    return pps.DatumInfo(
        datum=pps.Datum(job=job_message(key, job.id), id=datum_id),
        state=pps.DatumState(state),
        stats=_stats(result.stats),
        data=[datum_file(file) for file in result.inputs],
        image_id=result.image,
    )


def datum_file(file: DatumInput) -> Any:
    """A file of a datum; pachctl does not survive one that names no commit."""
    commit = pfs.Commit(repo=repo_message(RepoKey(file.project, file.repo)), id=file.commit)
    return pfs.FileInfo(
        file=pfs.File(commit=commit, path=file.path),
        file_type=pfs.FileType.DIR if file.path.endswith("/") else pfs.FileType.FILE,
        size_bytes=file.size,
        hash=bytes.fromhex(file.hash),
    )


def worker_status(pipeline: Pipeline, job: Job, attempt: Attempt) -> Any:
    data = [pps.InputFile(path=file.path, hash=file.hash) for file in attempt.datum.files]
    status = pps.DatumStatus(started=when(attempt.started), data=data)
    return pps.WorkerStatus(worker_id=pipeline.worker_name, job_id=job.id, datum_status=status)


def log_message(pipeline: Pipeline, job: Job, row: sqlite3.Row, data: list[Any]) -> Any:
    return pps.LogMessage(
        project_name=pipeline.key.project,
        pipeline_name=pipeline.key.name,
        job_id=job.id,
        worker_id=pipeline.worker_name,
        datum_id=row["datum"],
        data=data,
        user=bool(row["user"]),
        ts=when(row["time"]),
        message=row["message"],
    )


def _stats(stats: dict[str, float]) -> Any:
    return pps.ProcessStats(
        download_time=timedelta(seconds=stats.get("download_seconds", 0)),
        process_time=timedelta(seconds=stats.get("process_seconds", 0)),
        upload_time=timedelta(seconds=stats.get("upload_seconds", 0)),
        download_bytes=int(stats.get("download_bytes", 0)),
        upload_bytes=int(stats.get("upload_bytes", 0)),
    )


def _copy_set(source: Any, target: Any, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(source, name)
        if value:
            setattr(target, name, value)
