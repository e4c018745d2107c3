# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out what is planned for pipelines. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._messages import pipeline_message
from ._pipeline_plan import Key, Pipeline, Target
from ._pipeline_specs import Effective, refused
from ._plan import Action, Plan
from ._sdk import sdk
from ._spec_message import request_message
from ._transactions import RequestError, create_repo, run_batch

# How often what is left is tried after somebody else was faster, or no answer came.
_ATTEMPTS = 4
_MADE_MEANWHILE, _NO_ANSWER = "ALREADY_EXISTS", "UNAVAILABLE"

# A plan, and the specs that it writes.
Planned = tuple[Plan, Mapping[Key, Effective]]


def carry_out(pachd: Pachd, planned: Planned, again: Callable[[], Planned], target: Target) -> Plan:
    """Does what is planned, and returns what was done.

    When a pipeline or a repo was made by somebody else meanwhile, or an answer is lost, `again` looks at all
    of it anew. Raises PachydermError with what was done until then.
    """
    plan, specs = planned
    warnings = dict.fromkeys(plan.warnings)
    done: list[Action] = []
    left = batches(plan)
    attempt = 1
    while left:
        try:
            _write(pachd, left[0], specs, target)
            done += left.pop(0)
        except PachdError as error:
            if error.code not in (_MADE_MEANWHILE, _NO_ANSWER) or attempt == _ATTEMPTS:
                raise _failed(error, left[0], done) from error
            plan, specs = again()
            warnings |= dict.fromkeys(plan.warnings)
            if error.code == _NO_ANSWER:
                # What is no longer planned was done, and only its answer was lost.
                to_do = {(action.verb, action.name) for action in plan.actions}
                done += [action for action in left[0] if (action.verb, action.name) not in to_do]
            left = batches(plan)
            attempt += 1
        except PachydermError as error:
            error.details |= _done(done)
            raise
    return Plan(tuple(done), tuple(warnings))


def batches(plan: Plan) -> list[list[Action]]:
    """The actions by calls: new repos and pipelines of one step are one transaction, all else is alone."""
    found: list[list[Action]] = []
    for action in plan.actions:
        step = _step(action)
        if found and step is not None and step == _step(found[-1][0]):
            found[-1].append(action)
        else:
            found.append([action])
    return found


def _step(action: Action) -> int | None:
    if action.kind == "repo":
        return 0
    return action.item.step if action.verb in ("create", "update") else None


def _failed(error: PachdError, actions: Sequence[Action], done: Sequence[Action]) -> PachydermError:
    if error.code == _MADE_MEANWHILE:
        return PachydermError(f"somebody else changes the same pipelines: {error}", **_done(done))
    what = actions[0].name if len(actions) == 1 else f"{len(actions)} repos and pipelines"
    return PachydermError(f"cannot {actions[0].verb} {what}: {error}", **_done(done))


def _done(actions: Sequence[Action]) -> dict[str, Any]:
    plan = Plan(tuple(actions))
    return {"changed": plan.changed, "actions": plan.summary}


def _write(pachd: Pachd, actions: Sequence[Action], specs: Mapping[Key, Effective], target: Target) -> None:
    """One call. Raises PachdError where another attempt makes sense, else PachydermError."""
    action = actions[0]
    try:
        if len(actions) > 1 or action.kind == "repo":
            run_batch(pachd, [_request(action, specs, target) for action in actions])
        else:
            _single(pachd, action, target)
    except PachdError as error:
        if error.code in (_MADE_MEANWHILE, _NO_ANSWER):
            raise
        if isinstance(error, RequestError):
            action = actions[error.index]
        raise _refused(action, error, len(actions)) from None


def _refused(action: Action, error: PachdError, number: int) -> PachydermError:
    others = f"; none of the {number} repos and pipelines was written" if number > 1 else ""
    if action.kind == "pipeline" and action.verb in ("create", "update"):
        return PachydermError(f"{refused(action.item, error)}{others}")
    where = f"{action.item.where}: " if action.kind == "pipeline" else ""
    return PachydermError(f"{where}{action.kind} {action.name}: cannot {action.verb} it: {error}{others}")


def _request(action: Action, specs: Mapping[Key, Effective], target: Target) -> Any:
    if action.kind == "repo":
        return create_repo(*action.item)
    pipeline: Pipeline = action.item
    answer = specs[pipeline.key].answer or {}
    try:
        message = request_message(answer)
    except PachydermError as error:
        raise PachydermError(f"{pipeline.where}: pipeline {pipeline.label}: {error}") from error
    message.update = action.verb == "update"
    message.reprocess = message.update and target.reprocess
    return sdk().transaction.TransactionRequest(
        create_pipeline_v2=sdk().pps.CreatePipelineTransaction(
            create_pipeline_request=message,
            user_json=json.dumps(pipeline.spec),
            effective_json=json.dumps(answer),
        )
    )


def _single(pachd: Pachd, action: Action, target: Target) -> None:
    pipeline: Pipeline = action.item
    message = pipeline_message(pipeline.project, pipeline.name)
    if action.verb == "delete":
        pachd.pps.delete_pipeline(pipeline=message, force=target.force, keep_repo=target.keep_repo)
    elif action.verb == "start":
        pachd.pps.start_pipeline(pipeline=message)
    elif action.verb == "stop":
        pachd.pps.stop_pipeline(pipeline=message, must_exist=True)
    else:
        update = action.verb == "update"
        pachd.pps.create_pipeline_v2(
            create_pipeline_request_json=json.dumps(pipeline.spec),
            update=update,
            reprocess=update and target.reprocess,
        )
