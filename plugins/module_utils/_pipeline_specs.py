# SPDX-License-Identifier: GPL-3.0-or-later
"""The specs that pachd would give declared pipelines. PRIVATE: it may change at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._at_once import at_once
from ._connection import Pachd
from ._errors import PachdError, PachydermError, one_line
from ._pipeline_plan import ActualPipeline, Key, Pipeline, Spec
from ._sdk import sdk
from ._spec_normal import NOT_SPEC, merged, normal
from ._spec_types import type_problem

# What any spec needs, for a dry run that shows nothing but a project's defaults.
_NOTHING: Spec = {"input": {"pfs": {"repo": "none", "glob": "/"}}}

_BEFORE_PROTO_ERROR = re.compile(r"^.*Create Pipeline Request message: ")
_PROTO_ERROR = re.compile(r"proto:\s*(?:syntax error\s*)?(?:\(line 1:\d+\):)?\s*(?P<problem>.+)$")
_UNKNOWN_FIELD = re.compile(r'unknown field "(?P<name>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Effective:
    """A spec with all defaults: `spec` in the one form, `answer` as pachd's dry run has it.

    `answer` is None where pachd was not asked: the pipeline has this very spec.
    """

    spec: Spec
    answer: Spec | None = None


def effective_specs(
    pachd: Pachd,
    declared: Sequence[Pipeline],
    actual: Mapping[Key, ActualPipeline],
    projects: Collection[str],
) -> dict[Key, Effective]:
    """The spec that each declared one, of those that have one, is to have. Raises PachydermError.

    Pachd is asked for each that may differ. `projects` are those that exist; what is to be in another one is
    taken as it is.
    """
    for pipeline in declared:
        if problem := type_problem(pipeline.spec or {}):
            raise PachydermError(f"{pipeline.where}: pipeline {pipeline.label}: {problem}")
    found = {p.key: Effective(normal(p.spec or {}, p.project)) for p in declared if p.project not in projects}
    found |= _unchanged(pachd, [p for p in declared if p.key not in found], actual)
    asked = [p for p in declared if p.key not in found]
    answers = at_once(lambda pipeline: _dry_run(pachd, pipeline), asked)
    for pipeline, answer in zip(asked, answers, strict=True):
        found[pipeline.key] = Effective(normal(answer, pipeline.project), answer)
    return found


def _unchanged(
    pachd: Pachd, declared: Sequence[Pipeline], actual: Mapping[Key, ActualPipeline]
) -> dict[Key, Effective]:
    """Those whose spec, merged over the project's defaults, is what they have, in one call a project."""
    message = sdk().pps.CreatePipelineRequest
    there = [p for p in declared if p.key in actual and not actual[p.key].lost]
    found = {}
    for project in dict.fromkeys(p.project for p in there):
        mine = [p for p in there if p.project == project]
        if len(mine) == 1:
            continue
        ident = {"name": "defaults", "project": {"name": project}}
        nothing = Pipeline(project, "defaults", {"pipeline": ident, **_NOTHING})
        answer = _dry_run(pachd, nothing)
        defaults = {key: value for key, value in answer.items() if key not in ("pipeline", "input")}
        for pipeline in mine:
            spec = normal(merged(defaults, pipeline.spec or {}, message), project)
            if spec == actual[pipeline.key].spec:
                found[pipeline.key] = Effective(spec)
    return found


def _dry_run(pachd: Pachd, pipeline: Pipeline) -> Spec:
    text = json.dumps(pipeline.spec)
    try:
        answer = pachd.pps.create_pipeline_v2(create_pipeline_request_json=text, dry_run=True, update=True)
    except PachdError as error:
        # From None: pachd's own text holds the whole spec, values of variables and all.
        raise refused(pipeline, error) from None
    spec: Spec = json.loads(answer.effective_create_pipeline_request_json)
    return {key: value for key, value in spec.items() if key not in NOT_SPEC}


def refused(pipeline: Pipeline, error: PachdError) -> PachydermError:
    """What to tell of a spec that pachd does not take."""
    return PachydermError(f"{pipeline.where}: pipeline {pipeline.label}: {_refusal(pipeline, error)}")


def _refusal(pipeline: Pipeline, error: PachdError) -> str:
    """pachd's text without the spec in it; what a user needs is the field."""
    problem = _BEFORE_PROTO_ERROR.sub("", one_line(str(error)))
    if found := _PROTO_ERROR.match(problem):
        problem = found["problem"]
    if unknown := _UNKNOWN_FIELD.search(problem):
        paths = ", ".join(_paths(pipeline.spec or {}, unknown["name"], ""))
        return f'unknown field "{unknown["name"]}"' + (f" ({paths})" if paths else "")
    return problem


def _paths(value: Any, name: str, prefix: str) -> Iterator[str]:
    """Where in a spec a field of this name is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == name:
                yield f"{prefix}{key}"
            yield from _paths(inner, name, f"{prefix}{key}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, name, f"{prefix.removesuffix('.')}[{index}].")
