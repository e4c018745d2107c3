# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachyderm_job does with jobs. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError, first_few
from ._items import items
from ._job_runs import plan_runs, start_runs
from ._job_wait import wait_for_job
from ._jobs import TERMINAL, job_message, job_values
from ._messages import pipeline_message
from ._names import pipeline_name, project_name
from ._options import seconds
from ._plan import Action, Outcome, Plan
from ._sdk import sdk

# Jobs of a pipeline that are looked through for those that have not ended.
_NEWEST = 100


@dataclass(frozen=True, slots=True)
class Job:
    """A declared job: the newest of `pipeline` if `ident` is empty, a whole set if `pipeline` is."""

    project: str
    pipeline: str
    ident: str
    where: str

    @property
    def label(self) -> str:
        name = f"{self.project}/{self.pipeline}" if self.pipeline else ""
        return f"{name}@{self.ident}" if name and self.ident else name or self.ident


@dataclass(frozen=True, slots=True)
class Task:
    """What the options of pachyderm_job ask for. `wait_timeout` is in seconds, None for no waiting."""

    action: str
    jobs: tuple[Job, ...]
    reprocess: bool
    reason: str
    datums: tuple[str, ...]
    wait_timeout: float | None


def parse_jobs(params: Mapping[str, Any]) -> Task:
    """Reads the module's options. Raises PachydermError."""
    action = params["action"]
    jobs = []
    for item, where in items(params, "jobs", ("project",)):
        if not (item["pipeline"] or item["id"]):
            raise PachydermError(f"{where}pipeline: is required, or {where}id for all jobs of a commit set")
        if action in ("run", "restart") and not item["pipeline"]:
            raise PachydermError(f"{where}pipeline: is required with action {action}")
        if action == "run" and item["id"]:
            raise PachydermError(f"{where}id: action run makes a new job; leave the id out")
        name = pipeline_name(item["pipeline"], f"{where}pipeline") if item["pipeline"] else ""
        project = project_name(item["project"], f"{where}project")
        jobs.append(Job(project, name, item["id"] or "", where))
    wait_timeout = seconds(params, "wait_timeout")
    wait = params["wait"] if action in ("run", "restart") else action == "wait"
    return Task(
        action,
        tuple(dict.fromkeys(jobs)),
        params["reprocess"],
        params["reason"],
        tuple(params["datums"]),
        wait_timeout if wait else None,
    )


def run_jobs(pachd: Pachd, task: Task, check_mode: bool) -> Outcome:
    """Runs, stops or restarts jobs, and waits for them; in check mode it only says what it would do."""
    plan = _planned(pachd, task)
    awaited = list(task.jobs)
    if not check_mode:
        converge(plan, partial(_apply, pachd, task), partial(_planned, pachd, task))
        started = start_runs(pachd, plan)
        awaited = [Job(*key, ident, "") for key, ident in started.items()] or awaited
    outcome = Outcome(plan, {"jobs": []})
    if check_mode or (task.action == "stop" and not plan.changed):
        return outcome
    if task.wait_timeout is None:
        outcome.values["jobs"] = _as_they_are(pachd, awaited)
    else:
        _wait(pachd, awaited, task.wait_timeout, outcome)
    return outcome


def _planned(pachd: Pachd, task: Task) -> Plan:
    if task.action == "run":
        return plan_runs(pachd, [(job.project, job.pipeline) for job in task.jobs], task.reprocess)
    if task.action == "stop":
        return Plan(tuple(_stops(pachd, task)))
    return _restarts(pachd, task) if task.action == "restart" else Plan()


def _apply(pachd: Pachd, task: Task, plan: Plan) -> None:
    """Stops jobs and restarts datums. New jobs are apart: a run that is started again makes a second one."""
    for action in plan.actions:
        if action.verb in ("stop", "restart"):
            message = job_message(action.item)
            try:
                if action.verb == "stop":
                    pachd.pps.stop_job(job=message, reason=task.reason)
                else:
                    pachd.pps.restart_datum(job=message, data_filters=list(task.datums))
            except PachdError as error:
                raise PachydermError(f"job {action.name}: cannot {action.verb} it: {error}") from error


def _found(pachd: Pachd, job: Job, number: int = 1) -> list[dict[str, Any]]:
    """The jobs that are meant, as they are now. Raises PachydermError if there are none."""
    pps = sdk().pps
    message = pipeline_message(job.project, job.pipeline)
    try:
        if not job.pipeline:
            infos = list(pachd.pps.inspect_job_set(job_set=pps.JobSet(id=job.ident)))
        elif job.ident:
            infos = [pachd.pps.inspect_job(job=pps.Job(id=job.ident, pipeline=message))]
        else:
            infos = list(pachd.pps.list_job(pipeline=message, number=number, details=False))
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        raise PachydermError(f"{job.where}job {job.label}: {error}") from error
    if not infos:
        what = "has no job" if job.pipeline else "is the id of no job"
        raise PachydermError(f"{job.where}{job.label} {what}")
    return [job_values(info) for info in infos]


def _as_they_are(pachd: Pachd, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [values for job in jobs for values in _found(pachd, job)]


def _name(job: Mapping[str, Any]) -> str:
    return f"{job['project']}/{job['pipeline']}@{job['id']}"


def _stops(pachd: Pachd, task: Task) -> list[Action]:
    after = {"state": "JOB_KILLED", "reason": task.reason}
    found = {_name(one): one for job in task.jobs for one in _found(pachd, job, _NEWEST)}
    return [
        Action("stop", "job", name, {"state": one["state"], "reason": one["reason"]}, after, one)
        for name, one in found.items()
        if one["state"] not in TERMINAL
    ]


def _restarts(pachd: Pachd, task: Task) -> Plan:
    """Datums of a job that runs start again at once; for one that has failed, a new job does them again."""
    actions, failed = [], []
    for job in task.jobs:
        found = _found(pachd, job)[0]
        if found["state"] == "JOB_UNRUNNABLE":
            raise PachydermError(
                f"{job.where}job {_name(found)} is JOB_UNRUNNABLE: restart what failed upstream;"
                f" {found['reason']}"
            )
        if found["state"] in ("JOB_FAILURE", "JOB_KILLED"):
            failed.append((job.project, job.pipeline))
        elif found["state"] not in TERMINAL:
            state = {"state": found["state"]}
            after = {**state, "restarted_datums": list(task.datums) or "all that are at work"}
            actions.append(Action("restart", "job", _name(found), state, after, found))
    runs = plan_runs(pachd, failed, reprocess=False) if failed else Plan()
    return Plan((*actions, *runs.actions), runs.warnings)


def _wait(pachd: Pachd, jobs: Sequence[Job], seconds: float, outcome: Outcome) -> None:
    """Waits for all of them. Raises PachydermError that tells the first one that failed by itself."""
    end = time.monotonic() + seconds
    done: list[dict[str, Any]] = outcome.values["jobs"]
    errors: list[PachydermError] = []
    for project, pipeline, ident in _one_by_one(pachd, jobs):
        try:
            done.append(wait_for_job(pachd, project, pipeline, end, ident))
        except PachydermError as error:
            told = error.details.get("jobs", [])
            done += told
            errors.append(error)
            if not told or told[0]["state"] not in TERMINAL:
                break
    if not errors:
        return
    first = next((error for error in errors if not _is_unrunnable(error)), errors[0])
    others = [
        f"{_name(job)} ({job['state']})"
        for error in errors
        if error is not first
        for job in error.details.get("jobs", [])
    ]
    text = f"{first}; also {first_few(others)}" if others else str(first)
    plan = outcome.plan or Plan()
    raise PachydermError(text, jobs=done, changed=plan.changed, actions=plan.summary) from first


def _is_unrunnable(error: PachydermError) -> bool:
    return any(job["state"] == "JOB_UNRUNNABLE" for job in error.details.get("jobs", []))


def _one_by_one(pachd: Pachd, jobs: Sequence[Job]) -> list[tuple[str, str, str]]:
    """Project, pipeline and id of each, those of a whole set in pachd's order, upstream first."""
    found = []
    for job in jobs:
        whole = [] if job.pipeline else _found(pachd, job)
        found += [(one["project"], one["pipeline"], one["id"]) for one in whole] or [
            (job.project, job.pipeline, job.ident)
        ]
    return found
