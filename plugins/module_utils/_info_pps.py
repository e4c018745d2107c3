# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines, jobs, datums and logs as plain values. PRIVATE: it may change at any time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._info_pfs import project_infos, project_messages
from ._info_query import Query, Values
from ._jobs import iso, job_values, state_name
from ._sdk import sdk
from ._spec_1x import plain
from ._spec_env import forget_env, hide_env
from ._spec_normal import NOT_SPEC, normal

_FLAGS = {plain(name) for name in NOT_SPEC}


def read_pipeline_values(pachd: Pachd, query: Query) -> Values:
    """Newest first."""
    pps = sdk().pps
    return [
        {
            "project": info.pipeline.project.name,
            "name": info.pipeline.name,
            "version": info.version,
            "state": state_name(pps.PipelineState, info.state),
            "reason": info.reason,
            "stopped": info.stopped,
            "last_job_state": state_name(pps.JobState, info.last_job_state),
            "workers_requested": info.details.workers_requested,
            "workers_available": info.details.workers_available,
            "metadata": dict(info.metadata),
            "spec": _spec(info, query),
            "user_spec": _user_spec(info, query),
        }
        for info in _infos(pachd, query)
    ]


def _infos(pachd: Pachd, query: Query) -> list[Any]:
    infos = pachd.pps.list_pipeline(details=True, projects=project_messages(query))
    return [info for info in infos if query.pipeline in (None, info.pipeline.name)]


def _spec(info: Any, query: Query) -> dict[str, Any]:
    spec = normal(json.loads(info.effective_spec_json or "{}"), info.pipeline.project.name)
    return spec if query.env else hide_env(spec)


def _user_spec(info: Any, query: Query) -> dict[str, Any]:
    """What was given when the pipeline was made, without what is no part of a spec."""
    given = json.loads(info.user_spec_json or "{}")
    spec = {key: value for key, value in given.items() if plain(key) not in _FLAGS}
    if not query.env:
        forget_env(spec)
    return spec


def read_jobs(pachd: Pachd, query: Query) -> Values:
    """Newest first, of the current version of each pipeline; those with the id that is asked for."""
    found: Iterable[Any]
    if query.job:
        found = _jobs_with_id(pachd, query)
    elif query.pipeline is None:
        found = pachd.pps.list_job(projects=project_messages(query), number=query.max_jobs)
    else:
        found = (
            job
            for info in _infos(pachd, query)
            for job in pachd.pps.list_job(pipeline=info.pipeline, number=query.max_jobs)
        )
    jobs = [job_values(info) for info in found]
    return sorted(jobs, key=lambda job: job["created"] or "", reverse=True)[: query.max_jobs]


def _jobs_with_id(pachd: Pachd, query: Query) -> list[Any]:
    try:
        infos = list(pachd.pps.inspect_job_set(job_set=sdk().pps.JobSet(id=query.job)))
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        return []
    return [
        info
        for info in infos
        if query.pipeline in (None, info.job.pipeline.name)
        and query.project in (None, info.job.pipeline.project.name)
    ]


def _job(pachd: Pachd, query: Query) -> Any:
    """The job that is asked for: the newest of the pipeline if none is. None if it had none so far."""
    pps = sdk().pps
    project = sdk().pfs.Project(name=query.project or "default")
    pipeline = pps.Pipeline(name=query.pipeline or "", project=project)
    if query.job:
        return pps.Job(id=query.job, pipeline=pipeline)
    newest = next(iter(pachd.pps.list_job(pipeline=pipeline, number=1)), None)
    return newest.job if newest is not None else None


def read_datums(pachd: Pachd, query: Query) -> Values:
    pps = sdk().pps
    job = _job(pachd, query)
    if job is None:
        return []
    states = [pps.DatumState.from_string(state.upper()) for state in query.datum_states]
    chosen = pps.ListDatumRequestFilter(state=states) if states else None
    return [
        {
            "id": info.datum.id,
            "job": job.id,
            "state": state_name(pps.DatumState, info.state),
            "files": [_file(one.file) for one in info.data],
            "download_bytes": info.stats.download_bytes,
            "upload_bytes": info.stats.upload_bytes,
            "process_seconds": info.stats.process_time.total_seconds(),
        }
        for info in pachd.pps.list_datum(job=job, filter=chosen, number=query.max_datums)
    ]


def _file(file: Any) -> str:
    repo = file.commit.repo
    return f"{repo.project.name}/{repo.name}:{file.path}"


def read_logs(pachd: Pachd, query: Query) -> Values:
    """The last lines, oldest first; of the newest job if none is named."""
    job = _job(pachd, query)
    if job is None:
        return []
    datum = sdk().pps.Datum(id=query.datum, job=job) if query.datum else None
    lines = pachd.pps.get_logs(job=job, datum=datum, tail=query.max_log_lines)
    return [
        {
            "job": line.job_id,
            "datum": line.datum_id,
            "worker": line.worker_id,
            "user": line.user,
            "time": iso(line.ts),
            "message": line.message.rstrip("\n"),
        }
        for line in lines
    ][-query.max_log_lines :]


def read_defaults(pachd: Pachd, query: Query) -> Values:
    """Those of the cluster, unless a project is asked for, and of each project that has some."""
    found: Values = []
    if query.project is None:
        text = pachd.pps.get_cluster_defaults().cluster_defaults_json
        found.append({"project": None, "spec": _defaults(text, "the cluster", query)})
    for info in project_infos(pachd, query):
        text = pachd.pps.get_project_defaults(project=info.project).project_defaults_json
        found.append({"project": info.project.name, "spec": _defaults(text, info.project.name, query)})
    return [values for values in found if values["spec"]]


def _defaults(text: str, whose: str, query: Query) -> dict[str, Any]:
    try:
        spec = json.loads(text or "{}")
    except ValueError as error:
        raise PachydermError(f"defaults of {whose}: are no JSON") from error
    if not query.env:
        for key, value in spec.items():
            if plain(key) == "createpipelinerequest":
                forget_env(value)
    return dict(spec)
