# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd says of pipelines, before anything is written. PRIVATE: it may change at any time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._jobs import state_name
from ._pipeline_plan import ActualPipeline, Key, Pipeline, Spec
from ._plan import Plan
from ._sdk import sdk
from ._spec_normal import normal, pfs_inputs
from ._wire import reading

# Where a cluster says how many GPUs it has in all: a key of ClusterInfo.metadata.
GPUS_KEY = "gpulab.gpus"

# What is read of a pipeline; its details say once more what is in its spec.
_READ = ("pipeline", "version", "state", "reason", "stopped", "type", "effective_spec_json")
_GPU_FIELDS = {"resourceLimits": "resource_limits", "resourceRequests": "resource_requests"}


def input_repos(value: Any, project: str) -> tuple[Key, ...]:
    """The repos that an input reads, `project` being that of inputs which name none."""
    repos = ((str(pfs.get("project") or project), str(pfs.get("repo") or "")) for pfs in pfs_inputs(value))
    return tuple(dict.fromkeys(key for key in repos if key[1]))


def read_pipelines(pachd: Pachd, declared: Iterable[Pipeline]) -> dict[Key, ActualPipeline]:
    """Every pipeline, in one call; in another, what the output branches of the `declared` ones have lost."""
    names = [pipeline.key for pipeline in declared]
    try:
        return _read(pachd, names)
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        # Somebody deleted one of them between the two calls.
        return _read(pachd, names)


def _read(pachd: Pachd, declared: Iterable[Key]) -> dict[Key, ActualPipeline]:
    pps = sdk().pps
    transform = pps.PipelineInfoPipelineType.PIPELINE_TYPE_TRANSFORM.value
    found = {}
    listed = pachd.calls.unary_stream(
        "/pps_v2.API/ListPipeline",
        request_serializer=pps.ListPipelineRequest.SerializeToString,
        response_deserializer=reading(pps.PipelineInfo, *_READ),
    )
    for info in listed(pps.ListPipelineRequest()):
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
    # A stopped pipeline has no provenance; starting it brings that back.
    running = [key for key in declared if key in found and not found[key].stopped]
    provenance = _provenance(pachd, running)
    for key in running:
        found[key] = _with_provenance(key, found[key], provenance)
    return found


def _provenance(pachd: Pachd, pipelines: Sequence[Key]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The direct provenance of each branch (project, repo, branch) that is made from a pipeline's spec."""
    if not pipelines:
        return {}
    pfs = sdk().pfs
    start = [branch_picker(project, name, "master", "spec") for project, name in pipelines]
    walk = pachd.calls.unary_stream(
        "/pfs_v2.API/WalkBranchSubvenance",
        request_serializer=pfs.WalkBranchSubvenanceRequest.SerializeToString,
        response_deserializer=reading(pfs.BranchInfo, "branch", "direct_provenance"),
    )
    return {
        (info.branch.repo.project.name, info.branch.repo.name, info.branch.name): tuple(
            _branch(b.repo.project.name, b.repo.name, b.repo.type, b.name) for b in info.direct_provenance
        )
        for info in walk(pfs.WalkBranchSubvenanceRequest(start=start, max_depth=1))
        if info.branch.repo.type == "user"
    }


def branch_picker(project: str, repo: str, branch: str, kind: str = "user") -> Any:
    pfs = sdk().pfs
    name = pfs.RepoPickerRepoName(name=repo, type=kind, project=pfs.ProjectPicker(name=project))
    return pfs.BranchPicker(name=pfs.BranchPickerBranchName(name=branch, repo=pfs.RepoPicker(name=name)))


def _with_provenance(
    key: Key, known: ActualPipeline, provenance: Mapping[tuple[str, ...], tuple[str, ...]]
) -> ActualPipeline:
    """Deleting an input repo with force takes the provenance away, and making it again does not return it."""
    names = provenance.get((*key, known.output_branch), ())
    needed = [_branch(*key, "spec", "master")]
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


def missing_secrets(pachd: Pachd, plan: Plan, wanted: Mapping[Key, Spec]) -> list[str]:
    """A text for each secret that a pipeline to be written names and that does not exist.

    pachd looks for those of a single pipeline only, not for those of a transaction.
    """
    users: dict[str, Pipeline] = {}
    for action in plan.actions:
        if action.kind == "pipeline" and action.verb in ("create", "update"):
            for secret in wanted[action.item.key].get("transform", {}).get("secrets", []):
                users.setdefault(secret.get("name", ""), action.item)
    return [
        f"{pipeline.where}: pipeline {pipeline.label}: secret {name} does not exist"
        for name, pipeline in users.items()
        if not _secret_exists(pachd, name)
    ]


def _secret_exists(pachd: Pachd, name: str) -> bool:
    try:
        pachd.pps.inspect_secret(secret=sdk().pps.Secret(name=name))
    except PachdError as error:
        if "not found" not in error.text:
            raise
        return False
    return True
