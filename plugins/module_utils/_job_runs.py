# SPDX-License-Identifier: GPL-3.0-or-later
"""New jobs of pipelines that are there. PRIVATE to the collection: it may change at any time.

pachd has no call that simply runs a pipeline (RunPipeline is unimplemented in 2.x). What starts a job is a
tick of a cron input, a commit in a branch that the data comes from, which may be an empty one, or an update.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._messages import branch_message, pipeline_message
from ._pipeline_plan import ActualPipeline, Key, Spec
from ._pipeline_reads import read_pipelines
from ._plan import Action, Plan
from ._sdk import sdk
from ._spec_normal import pfs_inputs
from ._transactions import run_batch

Branch = tuple[str, str, str]  # project, repo, branch


@dataclass(frozen=True, slots=True)
class Run:
    """How a pipeline is run: by a `tick`, by doing all anew (`reprocess`), or by a commit in `branch`.

    A run without any of them gets its job by the commit of another one in the list.
    """

    key: Key
    tick: bool = False
    reprocess: bool = False
    branch: Branch | None = None


def plan_runs(pachd: Pachd, keys: Sequence[Key], reprocess: bool) -> Plan:
    """Raises PachydermError for a pipeline that is not there, is stopped, or can get no job."""
    actual = read_pipelines(pachd, ())
    return Plan(tuple(_action(run) for run in _runs(keys, actual, reprocess)))


def _action(run: Run) -> Action:
    label = f"{run.key[0]}/{run.key[1]}"
    return Action("run", "job", label, None, {"pipeline": label, "state": "JOB_CREATED"}, run)


def _runs(keys: Sequence[Key], actual: Mapping[Key, ActualPipeline], reprocess: bool) -> Iterator[Run]:
    committed: set[Branch] = set()
    for key in dict.fromkeys(keys):
        known = actual.get(key)
        if known is None:
            raise PachydermError(f"pipeline {key[0]}/{key[1]} does not exist")
        if known.stopped:
            raise PachydermError(f"pipeline {key[0]}/{key[1]} is stopped; start it first")
        if reprocess:
            yield Run(key, reprocess=True)
        elif _has_cron(known.spec.get("input")):
            yield Run(key, tick=True)
        else:
            branches = _sources(key, actual)
            if not branches:
                raise PachydermError(
                    f"pipeline {key[0]}/{key[1]} reads no branch of data, but through stopped pipelines;"
                    " start those, or set reprocess"
                )
            yield Run(key, branch=None if committed & set(branches) else branches[0])
            committed.add(branches[0])


def _has_cron(value: Any) -> bool:
    if isinstance(value, dict):
        return "cron" in value or any(_has_cron(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_cron(item) for item in value)


def _sources(key: Key, actual: Mapping[Key, ActualPipeline]) -> list[Branch]:
    """The branches of data that a pipeline reads, itself or through others that are not stopped."""
    found: dict[Branch, None] = {}
    left, seen = [actual[key].spec], {key}
    while left:
        for project, repo, branch in _read_by(left.pop(0)):
            above = actual.get((project, repo))
            if above is None:
                found[project, repo, branch] = None
            elif (project, repo) not in seen and not above.stopped:
                seen.add((project, repo))
                left.append(above.spec)
    return list(found)


def _read_by(spec: Spec) -> list[Branch]:
    inputs = pfs_inputs(spec.get("input"))
    return [(one["project"], one["repo"], one["branch"]) for one in inputs if one["repoType"] == "user"]


def start_runs(pachd: Pachd, plan: Plan) -> dict[Key, str]:
    """The id of the job that each run of the plan has started."""
    runs: list[Run] = [action.item for action in plan.actions if action.verb == "run"]
    before = {run.key: _newest(pachd, run.key) for run in runs}
    for run in runs:
        try:
            _start(pachd, run)
        except PachdError as error:
            raise PachydermError(f"pipeline {run.key[0]}/{run.key[1]}: cannot run it: {error}") from error
    return {run.key: _new(pachd, run.key, before[run.key]) for run in runs}


def _start(pachd: Pachd, run: Run) -> None:
    message = pipeline_message(*run.key)
    if run.reprocess:
        pachd.pps.rerun_pipeline(pipeline=message, reprocess=True)
    elif run.tick:
        pachd.pps.run_cron(pipeline=message)
    elif run.branch:
        _commit_nothing(pachd, run.branch)


def _commit_nothing(pachd: Pachd, branch: Branch) -> None:
    """An empty commit, started and finished at once, so that none is left open."""
    pfs, request = sdk().pfs, sdk().transaction.TransactionRequest
    started = branch_message(*branch)
    start = pfs.StartCommitRequest(branch=started)
    finish = pfs.FinishCommitRequest(commit=pfs.Commit(repo=started.repo, id=started.name))
    run_batch(pachd, [request(start_commit=start), request(finish_commit=finish)])


def _newest(pachd: Pachd, key: Key) -> str:
    infos = pachd.pps.list_job(pipeline=pipeline_message(*key), number=1, details=False)
    return next((str(info.job.id) for info in infos), "")


def _new(pachd: Pachd, key: Key, before: str) -> str:
    end = time.monotonic() + pachd.options.timeout
    while (ident := _newest(pachd, key)) == before:
        if time.monotonic() > end:
            raise PachydermError(
                f"pipeline {key[0]}/{key[1]}: was run, and no job has appeared within timeout"
            )
        time.sleep(0.1)
    return ident
