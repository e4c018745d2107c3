# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._connection import Pachd
from ._errors import PachydermError, first_few
from ._job_wait import wait_for_job
from ._names import pipeline_name, project_name
from ._options import seconds
from ._pipeline_plan import (
    ActualPipeline,
    Key,
    Pipeline,
    Spec,
    Target,
    check_inputs,
    missing_inputs,
    missing_projects,
    ordered,
    plan_pipelines,
)
from ._pipeline_reads import check_gpus, input_repos, missing_secrets, read_pipelines
from ._pipeline_specs import effective_specs
from ._pipeline_write import Planned, carry_out
from ._plan import Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._repos import ActualRepo, read_repos
from ._spec_1x import convert, plain
from ._spec_env import forget_env
from ._spec_file import load_specs


@dataclass(frozen=True, slots=True)
class Task:
    """What the options of pachyderm_pipeline ask for. `wait_timeout` is in seconds, None for no waiting."""

    pipelines: tuple[Pipeline, ...]
    target: Target
    create_repos: bool
    wait_timeout: float | None


def parse_task(params: Mapping[str, Any]) -> Task:
    """Reads options and spec files. Raises PachydermError.

    In `params` the values of transform.env are overwritten, since Ansible prints options again.
    """
    given = copy.deepcopy(dict(params))
    for spec in (params["pipeline"], *(params["pipelines"] or ())):
        forget_env(spec)
    params = given
    target = Target(params["state"], params["reprocess"], params["force"], params["keep_repo"])
    found = [_pipeline(spec, where, params["project"], target) for spec, where in _specs(params)]
    if problem := refuse_twice("pipeline", [p.label for p in found], "pipelines"):
        raise PachydermError(problem)
    wait_timeout = seconds(params, "wait_timeout")
    wait = params["wait"] and params["state"] in ("present", "started")
    return Task(tuple(ordered(found)), target, params["create_repos"], wait_timeout if wait else None)


def named(specs: Sequence[Spec]) -> list[str]:
    """project/name of each of what pachyderm_pipeline takes as `pipelines`. Raises PachydermError.

    In `specs` the values of transform.env are overwritten, as by parse_task.
    """
    given = copy.deepcopy(list(specs))
    for spec in specs:
        forget_env(spec)
    target = Target("absent", False, False, False)
    params = {"name": None, "pipeline": None, "src": None, "pipelines": given}
    return [_pipeline(spec, where, "default", target).label for spec, where in _specs(params)]


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
    actual = read_pipelines(pachd, task.pipelines)
    plan, specs = _planned(pachd, task, actual, check_mode)
    if not check_mode and plan.changed:

        def again() -> Planned:
            return _planned(pachd, task, read_pipelines(pachd, task.pipelines), check_mode)

        plan = carry_out(pachd, (plan, specs), again, task.target)
        actual = read_pipelines(pachd, ())
    outcome = Outcome(plan)
    outcome.values["pipelines"] = [_values(p, actual.get(p.key), plan) for p in task.pipelines]
    outcome.values["jobs"] = []
    if task.wait_timeout is not None and not check_mode:
        _wait(pachd, task, actual, plan, outcome)
    return outcome


def _planned(pachd: Pachd, task: Task, actual: Mapping[Key, ActualPipeline], check_mode: bool) -> Planned:
    """Everything that can be refused is refused here, before anything is written.

    Projects, repos and secrets that do not exist are warnings in check mode, where an earlier task may be
    about to create them.
    """
    if task.target.state == "absent":
        return plan_pipelines(task.pipelines, actual, {}, task.target), {}
    declared = [pipeline for pipeline in task.pipelines if pipeline.spec is not None]
    in_doubt = [p for p in declared if _is_in_doubt(p, actual.get(p.key))]
    repos = read_repos(pachd) if in_doubt else {}
    projects = set(read_projects(pachd)) if in_doubt else {p.project for p in declared}
    _refuse_names_in_use(in_doubt, repos, actual)
    known = {*repos, *(p.key for p in declared)}
    new_repos = missing_inputs(in_doubt, known) if task.create_repos else []
    problems = [
        *missing_projects(in_doubt, new_repos, projects),
        *check_inputs(in_doubt, {*known, *new_repos}),
    ]
    _refuse(problems, check_mode)
    specs = effective_specs(pachd, declared, actual, projects)
    wanted = {key: effective.spec for key, effective in specs.items()}
    check_gpus(pachd, task.pipelines, wanted)
    plan = plan_pipelines(task.pipelines, actual, wanted, task.target, new_repos)
    problems += missing_secrets(pachd, plan, wanted)
    _refuse(problems, check_mode)
    return replace(plan, warnings=(*plan.warnings, *(f"{problem} yet" for problem in problems))), specs


def _is_in_doubt(pipeline: Pipeline, known: ActualPipeline | None) -> bool:
    """Whether its project or a repo may be missing: those of one that is there and works are not."""
    return known is None or known.stopped or bool(known.lost) or pipeline.inputs != known.inputs


def _refuse(problems: Sequence[str], check_mode: bool) -> None:
    if problems and not check_mode:
        raise PachydermError(f"{first_few(list(problems))}; create it first")


def _refuse_names_in_use(
    pipelines: Sequence[Pipeline], repos: Mapping[Key, ActualRepo], actual: Mapping[Key, ActualPipeline]
) -> None:
    for pipeline in pipelines:
        repo = repos.get(pipeline.key)
        if repo and not repo.of_pipeline and pipeline.key not in actual:
            raise PachydermError(
                f"{pipeline.where}: pipeline {pipeline.label}: a repo of this name is in the"
                " way of its output; choose another name"
            )


def _values(pipeline: Pipeline, known: ActualPipeline | None, plan: Plan) -> dict[str, Any]:
    actions = [a.verb for a in plan.actions if (a.kind, a.name) == ("pipeline", pipeline.label)]
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
