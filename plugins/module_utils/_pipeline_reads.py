# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd says of pipelines, before anything is written. PRIVATE: it may change at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError, one_line
from ._jobs import state_name
from ._pipeline_plan import ActualPipeline, Key, Pipeline, Spec
from ._sdk import sdk
from ._spec_normal import normal, pfs_inputs
from ._spec_types import type_problem

# Where a cluster says how many GPUs it has in all: a key of ClusterInfo.metadata.
GPUS_KEY = "gpulab.gpus"

_GPU_FIELDS = {"resourceLimits": "resource_limits", "resourceRequests": "resource_requests"}

_BEFORE_PROTO_ERROR = re.compile(r"^.*Create Pipeline Request message: ")
_PROTO_ERROR = re.compile(r"proto:\s*(?:syntax error\s*)?(?:\(line 1:\d+\):)?\s*(?P<problem>.+)$")
_UNKNOWN_FIELD = re.compile(r'unknown field "(?P<name>[^"]+)"')


def input_repos(value: Any, project: str) -> tuple[Key, ...]:
    """The repos that an input reads, `project` being that of inputs which name none."""
    repos = ((str(pfs.get("project") or project), str(pfs.get("repo") or "")) for pfs in pfs_inputs(value))
    return tuple(dict.fromkeys(key for key in repos if key[1]))


def read_pipelines(pachd: Pachd, declared: Iterable[Pipeline]) -> dict[Key, ActualPipeline]:
    """Every pipeline, in one call; of the `declared` ones also what their output branches have lost."""
    pps = sdk().pps
    transform = pps.PipelineInfoPipelineType.PIPELINE_TYPE_TRANSFORM.value
    found = {}
    for info in pachd.pps.list_pipeline(details=True):
        project = info.pipeline.project.name
        spec = normal(json.loads(info.effective_spec_json or "{}"), project)
        found[project, info.pipeline.name] = ActualPipeline(
            spec=spec,
            inputs=input_repos(spec.get("input"), project),
            version=info.version,
            stopped=info.stopped,
            state=state_name(pps.PipelineState, info.state),
            reason=info.reason,
            is_transform=info.type == transform,
        )
    for pipeline in declared:
        known = found.get(pipeline.key)
        # A stopped pipeline has no provenance; starting it brings that back.
        if known is not None and not known.stopped:
            found[pipeline.key] = _with_provenance(pachd, pipeline, known)
    return found


def _with_provenance(pachd: Pachd, pipeline: Pipeline, known: ActualPipeline) -> ActualPipeline:
    """Deleting an input repo with force takes the provenance away, and making it again does not return it."""
    pfs = sdk().pfs
    repo = pfs.Repo(name=pipeline.name, type="user", project=pfs.Project(name=pipeline.project))
    try:
        branch = pachd.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name=known.output_branch))
        names = [
            _branch(b.repo.project.name, b.repo.name, b.repo.type, b.name) for b in branch.direct_provenance
        ]
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        names = []
    needed = [_branch(pipeline.project, pipeline.name, "spec", "master")]
    # pachd chooses the branch of an input with a trigger.
    needed += [
        _branch(one["project"], one["repo"], one["repoType"], one["branch"])
        for one in pfs_inputs(known.spec.get("input"))
        if not one.get("trigger")
    ]
    lost = [name for name in dict.fromkeys(needed) if name not in names]
    return replace(known, provenance=tuple(sorted(names)), lost=tuple(lost))


def _branch(project: str, repo: str, kind: str, branch: str) -> str:
    return f"{project}/{repo}@{branch}" if kind == "user" else f"{project}/{repo}.{kind}@{branch}"


def check_gpus(pachd: Pachd, declared: Iterable[Pipeline], wanted: Mapping[Key, Spec]) -> None:
    """Raises PachydermError for a spec whose workers could never start, for want of GPUs.

    How many there are, pachd is asked only if a spec wants some. A cluster that does not say it lets any
    number pass.
    """
    asked = [request for p in declared for request in _gpu_requests(p, wanted.get(p.key, {}))]
    total = _gpus(pachd) if asked else None
    for what, number in asked:
        if number < 1:
            raise PachydermError(f"{what}: must be at least 1, not {number}; leave gpu out for none")
        if total is not None and number > total:
            raise PachydermError(
                f"{what}: asks for {number} GPUs for each worker, and there are {total} in all; ask for fewer"
            )


def _gpu_requests(pipeline: Pipeline, spec: Spec) -> Iterator[tuple[str, int]]:
    """Which key of which pipeline asks for GPUs, and for how many."""
    for field, key in _GPU_FIELDS.items():
        gpu = spec.get(field, {}).get("gpu")
        if gpu is not None:
            yield f"{pipeline.where}: pipeline {pipeline.label}: {key}.gpu.number", gpu.get("number", 0)


def _gpus(pachd: Pachd) -> int | None:
    """How many GPUs the cluster has; None where nobody has told it."""
    try:
        text = pachd.admin.inspect_cluster().metadata.get(GPUS_KEY, "")
    except PachdError as error:
        if error.code != "UNIMPLEMENTED":
            raise
        return None
    return int(text) if text.isdecimal() else None


def effective_spec(pachd: Pachd, pipeline: Pipeline, project_exists: bool) -> Spec:
    """The spec, in the one form, that pachd would give the pipeline, defaults and all, by a dry run."""
    where = f"{pipeline.where}: pipeline {pipeline.label}"
    if problem := type_problem(pipeline.spec or {}):
        raise PachydermError(f"{where}: {problem}")
    if not project_exists:
        return normal(pipeline.spec or {}, pipeline.project)
    text = json.dumps(pipeline.spec)
    try:
        answer = pachd.pps.create_pipeline_v2(create_pipeline_request_json=text, dry_run=True, update=True)
    except PachdError as error:
        # From None: pachd's own text holds the whole spec, values of variables and all.
        raise PachydermError(f"{where}: {_refusal(pipeline, error)}") from None
    return normal(json.loads(answer.effective_create_pipeline_request_json), pipeline.project)


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
