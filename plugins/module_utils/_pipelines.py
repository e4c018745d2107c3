# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError, first_few
from ._jobs import wait_for_job
from ._names import pipeline_name, project_name
from ._pipeline_plan import ActualPipeline, Key, Pipeline, Spec, Target, check_inputs, ordered, plan_pipelines
from ._pipeline_reads import check_gpus, effective_spec, input_repos, read_pipelines
from ._plan import Action, Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._repos import read_repos
from ._sdk import sdk
from ._spec_1x import convert, plain
from ._spec_env import forget_env
from ._spec_file import load_specs


@dataclass(frozen=True, slots=True)
class Task:
    """What the options of pachyderm_pipeline ask for. `wait_timeout` is in seconds, None for no waiting."""

    pipelines: tuple[Pipeline, ...]
    target: Target
    wait_timeout: float | None


def parse_task(params: Mapping[str, Any]) -> Task:
    """Reads options and spec files. Raises PachydermError.

    In `params` the values of transform.env are overwritten, since Ansible prints options again.
    """
    given = copy.deepcopy(dict(params))
    for spec in (params["pipeline"], *(params["pipelines"] or ())):
        forget_env(spec)
    params = given
    target = Target(params["state"], params["reprocess"], params["force"])
    found = [_pipeline(spec, where, params["project"], target) for spec, where in _specs(params)]
    if problem := refuse_twice("pipeline", [p.label for p in found], "pipelines"):
        raise PachydermError(problem)
    if params["wait_timeout"] <= 0:
        raise PachydermError(f"wait_timeout: must be more than 0 seconds, not {params['wait_timeout']:g}")
    wait = params["wait"] and params["state"] in ("present", "started")
    return Task(tuple(ordered(found)), target, params["wait_timeout"] if wait else None)


def _specs(params: Mapping[str, Any]) -> Iterator[tuple[Spec, str]]:
    """Each spec, or mapping with only a name, and where it is from."""
    if params["name"] is not None:
        yield {"name": params["name"]}, "name"
    elif params["pipeline"] is not None:
        yield params["pipeline"], "pipeline"
    elif params["src"] is not None:
        yield from _of_file(params["src"])
    else:
        for index, item in enumerate(params["pipelines"]):
            if set(item) == {"src"}:
                yield from _of_file(os.path.expanduser(os.path.expandvars(str(item["src"]))))
            else:
                yield item, f"pipelines[{index}]"


def _of_file(path: str) -> Iterator[tuple[Spec, str]]:
    specs = load_specs(path)
    for number, spec in enumerate(specs, start=1):
        yield spec, path if len(specs) == 1 else f"{path} (spec {number})"


def _pipeline(item: Spec, where: str, project: str, target: Target) -> Pipeline:
    if "name" in item and set(item) <= {"name", "project"}:
        if target.state == "present":
            raise PachydermError(f"{where}: only a name is given; state present needs a pipeline spec")
        home = project_name(str(item.get("project") or project), f"{where}.project")
        return Pipeline(home, pipeline_name(str(item["name"]), where), where=where)
    try:
        spec, notes = convert(item)
    except PachydermError as error:
        raise PachydermError(f"{where}: {error}") from error
    notes = [f"{where}: {note}" for note in notes]
    for key in [key for key in spec if plain(key) in ("update", "reprocess", "dryrun", "speccommit")]:
        del spec[key]
        notes.append(f"{where}: {key} is no part of a spec and is left out; see the module's options")
    ident = spec.get("pipeline")
    if not isinstance(ident, dict) or not isinstance(ident.get("name"), str):
        raise PachydermError(f'{where}: pipeline.name: is required, as in {{"pipeline": {{"name": "gpu"}}}}')
    named = ident.get("project") or {"name": project}
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise PachydermError(f"{where}: pipeline.project: must be a mapping with a name")
    # Without a project in the spec, pachd can neither rerun the pipeline nor take new defaults for it.
    spec["pipeline"] = {**ident, "project": named}
    return Pipeline(
        project=project_name(named["name"], f"{where}: pipeline.project.name"),
        name=pipeline_name(ident["name"], f"{where}: pipeline.name"),
        spec=spec,
        inputs=input_repos(spec.get("input"), named["name"]),
        where=where,
        notes=tuple(notes),
    )


def run_task(pachd: Pachd, task: Task, check_mode: bool) -> Outcome:
    """Brings the pipelines about and waits for their jobs; in check mode it only says what it would write."""
    # Repos first: a pipeline made between the two reads would seem to be a repo in the way of itself.
    repos = {} if task.target.state == "absent" else read_repos(pachd)
    actual = read_pipelines(pachd, task.pipelines)
    warnings: list[str] = []
    wanted: dict[Key, Spec] = {}
    if task.target.state != "absent":
        projects = read_projects(pachd)
        warnings = _missing(task, projects, repos, actual, check_mode)
        for pipeline in task.pipelines:
            if pipeline.spec is not None:
                wanted[pipeline.key] = effective_spec(pachd, pipeline, pipeline.project in projects)
        check_gpus(pachd, task.pipelines, wanted)
    plan = plan_pipelines(task.pipelines, actual, wanted, task.target)
    if not check_mode and plan.changed:
        plan = _carry_out(pachd, task, plan, wanted)
        actual = read_pipelines(pachd, ())
    outcome = Outcome(plan, {}, warnings)
    outcome.values["pipelines"] = [_values(p, actual.get(p.key), plan) for p in task.pipelines]
    outcome.values["jobs"] = []
    if task.wait_timeout is not None and not check_mode:
        _wait(pachd, task, actual, plan, outcome)
    return outcome


def _carry_out(pachd: Pachd, task: Task, plan: Plan, wanted: Mapping[Key, Spec]) -> Plan:
    """Does what is planned, and returns what was done.

    A pipeline that somebody else made meanwhile is compared anew, once.
    """
    done: list[Action] = []
    for again in (True, False):
        try:
            for action in plan.actions:
                _apply(pachd, action, task.target)
                done.append(action)
            break
        except PachdError as error:
            if not again:
                raise PachydermError(f"somebody else changes the same pipelines: {error}") from error
            actual = read_pipelines(pachd, task.pipelines)
            plan = plan_pipelines(task.pipelines, actual, wanted, task.target)
    return Plan(tuple(done), plan.warnings)


def _missing(
    task: Task,
    projects: Collection[str],
    repos: Collection[Key],
    actual: Mapping[Key, ActualPipeline],
    check_mode: bool,
) -> list[str]:
    """Texts for projects and repos that the specs need and that do not exist.

    They are warnings in check mode, where an earlier task may be about to create them. Raises PachydermError
    for them otherwise.
    """
    problems = [
        f"{p.where}: pipeline {p.label}: project {p.project} does not exist"
        for p in task.pipelines
        if p.spec is not None and p.project not in projects
    ]
    problems += check_inputs([p for p in task.pipelines if p.spec is not None], repos)
    if problems and not check_mode:
        raise PachydermError(f"{first_few(problems)}; create it first")
    for pipeline in task.pipelines:
        if pipeline.key in repos and pipeline.key not in actual:
            raise PachydermError(
                f"{pipeline.where}: pipeline {pipeline.label}: a repo of this name is in the"
                " way of its output; choose another name"
            )
    return [f"{problem} yet" for problem in problems]


def _apply(pachd: Pachd, action: Action, target: Target) -> None:
    """One call. Raises PachdError if somebody else has made the pipeline meanwhile, else PachydermError."""
    pipeline: Pipeline = action.item
    message = sdk().pps.Pipeline(name=pipeline.name, project=sdk().pfs.Project(name=pipeline.project))
    try:
        if action.verb == "delete":
            pachd.pps.delete_pipeline(pipeline=message, force=target.force)
        elif action.verb == "start":
            pachd.pps.start_pipeline(pipeline=message)
        elif action.verb == "stop":
            pachd.pps.stop_pipeline(pipeline=message, must_exist=True)
        else:
            is_update = action.verb == "update"
            pachd.pps.create_pipeline_v2(
                create_pipeline_request_json=json.dumps(pipeline.spec),
                update=is_update,
                reprocess=is_update and target.reprocess,
            )
    except PachdError as error:
        if action.verb == "create" and error.code == "ALREADY_EXISTS":
            raise
        where = f"{pipeline.where}: pipeline {pipeline.label}"
        raise PachydermError(f"{where}: cannot {action.verb} it: {error}") from error


def _values(pipeline: Pipeline, known: ActualPipeline | None, plan: Plan) -> dict[str, Any]:
    actions = [action.verb for action in plan.actions if action.item.key == pipeline.key]
    return {
        "project": pipeline.project,
        "name": pipeline.name,
        "actions": actions,
        "version": known.version if known else None,
        "state": known.state if known else None,
        "reason": known.reason if known else "",
        "stopped": known.stopped if known else None,
    }


def _wait(
    pachd: Pachd, task: Task, actual: Mapping[Key, ActualPipeline], plan: Plan, outcome: Outcome
) -> None:
    """Waits for the newest job of each pipeline, upstream first. Raises PachydermError with what was done."""
    end = time.monotonic() + (task.wait_timeout or 0)
    for pipeline in task.pipelines:
        known = actual[pipeline.key]
        if known.stopped:
            outcome.warnings.append(f"pipeline {pipeline.label} is stopped; its jobs are not waited for")
        elif known.is_transform:
            try:
                outcome.values["jobs"].append(wait_for_job(pachd, pipeline.project, pipeline.name, end))
            except PachydermError as error:
                error.details["jobs"] = [*outcome.values["jobs"], *error.details.get("jobs", [])]
                error.details |= {
                    "changed": plan.changed,
                    "actions": plan.summary,
                    "pipelines": outcome.values["pipelines"],
                    "warnings": [*plan.warnings, *outcome.warnings],
                }
                raise
