# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks what a lab made, and deletes what it declares no more. PRIVATE: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ._at_once import for_each
from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._messages import pipeline_message, repo_message
from ._metadata import Change, write_metadata
from ._pipeline_reads import read_pipelines
from ._pipelines import named
from ._plan import Action, Outcome, Plan
from ._prune_plan import ANNOUNCED, CREATED, HOME, Key, Lab, Thing, plan_announcement, plan_prune
from ._repos import repo_picker
from ._sdk import sdk

# The key of Pachyderm's metadata is this and the name of the lab.
MARK = "gpulab.lab."
# Notes of what a run is about to make: this, the name of the lab, a kind and a name.
NOTE = "gpulab.announced."
KINDS = ("projects", "repos", "branches", "pipelines")
_KIND = {"projects": "project", "repos": "repo", "branches": "branch", "pipelines": "pipeline"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_FORMS = {
    "projects": re.compile(r"[^/@]+"),
    "repos": re.compile(r"[^/@]+/[^/@]+"),
    "branches": re.compile(r"[^/@]+/[^/@]+@[^/@]+"),
    "pipelines": re.compile(r"[^/@]+/[^/@]+"),
}


def parse_lab(params: Mapping[str, Any]) -> Lab:
    """Reads the options. Raises PachydermError."""
    # First of all, since it takes out of the options what nobody is to see.
    declared = {("pipeline", name) for name in named(params["specs"])}
    if not _NAME.fullmatch(params["lab"]):
        raise PachydermError(f'lab: "{params["lab"]}": only letters, digits, ".", "-" and "_" are allowed')
    for kind in KINDS:
        for index, name in enumerate(params[kind]):
            if not _FORMS[kind].fullmatch(name):
                raise PachydermError(
                    f"{kind}[{index}]: {name}: is not of the form of {kind} in the documentation"
                )
            declared.add((_KIND[kind], name))
    created = {
        (str(action.get("kind")), str(action.get("name")))
        for action in params["actions"]
        if action.get("action") == "create"
    }
    return Lab(
        params["lab"],
        frozenset(declared),
        frozenset(created & declared),
        params["prune"],
        params["data"],
        params["announce"],
    )


def run_lab(pachd: Pachd, lab: Lab, check_mode: bool) -> Outcome:
    """Marks and prunes; in check mode it only says what."""
    plan = _planned(pachd, lab)
    if not check_mode:
        converge(plan, partial(_apply, pachd, lab), partial(_planned, pachd, lab))
    return Outcome(plan)


def _planned(pachd: Pachd, lab: Lab) -> Plan:
    projects = list(pachd.pfs.list_project())
    announced = {key for project in projects for key in _notes(lab, project.metadata)}
    actual = read_things(pachd, projects)
    if lab.announce:
        return plan_announcement(lab, actual, announced)
    if lab.prune:
        actual |= {
            key: replace(thing, has_data=_has_commits(pachd, key[1]))
            for key, thing in actual.items()
            if key[0] == "repo" and thing.marks.get(lab.name) == CREATED and key not in lab.declared
        }
    return plan_prune(lab, actual, announced)


def _apply(pachd: Pachd, lab: Lab, plan: Plan) -> None:
    edits = [edit for action in plan.actions if action.verb != "delete" for edit in _edits(lab, action)]
    write_metadata(pachd, edits)
    for action in plan.actions:
        if action.verb == "delete":
            _delete(pachd, action)


def read_things(pachd: Pachd, projects: Iterable[Any]) -> dict[Key, Thing]:
    """Every project, user repo, branch and pipeline, with its marks and with what needs it."""
    marks: dict[Key, dict[str, str]] = {}
    for project in projects:
        marks["project", project.project.name] = _marks(project.metadata)
    infos = list(pachd.pfs.list_repo(type=""))
    pipelines = {_label(info.repo) for info in infos if info.repo.type == "spec"}
    repos = [info.repo for info in infos if info.repo.type == "user"]
    for info in infos:
        if info.repo.type == "user":
            marks[_thing_of(_label(info.repo), pipelines), _label(info.repo)] = _marks(info.metadata)
    branches = for_each(lambda repo: pachd.pfs.list_branch(repo=repo), repos)
    readers: dict[Key, list[frozenset[Key]]] = {}
    for key in marks:
        if key[0] != "project":
            readers.setdefault(("project", key[1].split("/")[0]), []).append(frozenset({key}))
    for branch in branches:
        _add_branch(branch, pipelines, marks, readers)
    for (project, name), pipeline in read_pipelines(pachd, ()).items():
        for upstream in ("/".join(key) for key in pipeline.inputs):
            reader: frozenset[Key] = frozenset({("pipeline", f"{project}/{name}")})
            readers.setdefault((_thing_of(upstream, pipelines), upstream), []).append(reader)
    return {key: Thing(found, tuple(dict.fromkeys(readers.get(key, ())))) for key, found in marks.items()}


def _add_branch(
    info: Any, pipelines: set[str], marks: dict[Key, dict[str, str]], readers: dict[Key, list[frozenset[Key]]]
) -> None:
    """A branch, and what it takes data from. It goes with its repo, that of a pipeline with the pipeline."""
    repo = _label(info.branch.repo)
    whole: Key = (_thing_of(repo, pipelines), repo)
    key: Key = ("branch", f"{repo}@{info.branch.name}")
    marks[key] = _marks(info.metadata)
    upstream = [(_label(b.repo), b.name) for b in info.direct_provenance if b.repo.type == "user"]
    if info.trigger is not None and info.trigger.branch:
        upstream.append((repo, info.trigger.branch))
    for other, name in upstream:
        reader = frozenset({key, whole})
        readers.setdefault(("branch", f"{other}@{name}"), []).append(reader)
        if other != repo:
            readers.setdefault((_thing_of(other, pipelines), other), []).append(reader)


def _label(repo: Any) -> str:
    return f"{repo.project.name}/{repo.name}"


def _thing_of(repo: str, pipelines: set[str]) -> str:
    """The output repo of a pipeline comes and goes with it, and so bears its mark."""
    return "pipeline" if repo in pipelines else "repo"


def _marks(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key.removeprefix(MARK): value for key, value in metadata.items() if key.startswith(MARK)}


def _repo(label: str) -> Any:
    return repo_message(*label.split("/"))


def _has_commits(pachd: Pachd, label: str) -> bool:
    """Whether anybody wrote into the repo, rather than pachd itself."""
    kind = sdk().pfs.OriginKind.USER
    return any(pachd.pfs.list_commit(repo=_repo(label), number=1, origin_kind=kind, all=True))


def _notes(lab: Lab, metadata: Mapping[str, str]) -> Iterator[Key]:
    prefix = f"{NOTE}{lab.name}:"
    for text in metadata:
        if text.startswith(prefix):
            kind, _colon, name = text.removeprefix(prefix).partition(":")
            yield kind, name


def _edits(lab: Lab, action: Action) -> Iterator[tuple[dict[str, Any], Change]]:
    """A mark and the end of its note are one call, so no kill comes between them."""
    home = {"project": sdk().pfs.ProjectPicker(name=HOME[1])}
    note = f"{NOTE}{lab.name}:{action.kind}:{action.name}"
    if action.verb == "announce":
        yield home, {note: ""}
        return
    if action.before == {"mark": ANNOUNCED}:
        yield home, {note: None}
    if action.verb != "withdraw":
        yield _target(action), {f"{MARK}{lab.name}": action.item}


def _target(action: Action) -> dict[str, Any]:
    pfs = sdk().pfs
    if action.kind == "project":
        return {"project": pfs.ProjectPicker(name=action.name)}
    repo, _at, branch = action.name.partition("@")
    project, name = repo.split("/")
    picker = repo_picker((project, name))
    if action.kind == "branch":
        return {"branch": pfs.BranchPicker(name=pfs.BranchPickerBranchName(repo=picker, name=branch))}
    return {"repo": picker}


def _delete(pachd: Pachd, action: Action) -> None:
    """Never with force but for triggers: what somebody has come to need meanwhile stays."""
    pfs = sdk().pfs
    label, _at, branch = action.name.partition("@")
    try:
        if action.kind == "project":
            pachd.pfs.delete_project(project=pfs.Project(name=label))
            return
        moved = _moved(pachd, label)
        for name in [branch] if branch else moved:
            pachd.pfs.delete_branch(branch=pfs.Branch(repo=_repo(label), name=name), force=name in moved)
        if action.kind == "repo":
            pachd.pfs.delete_repo(repo=_repo(label))
        elif action.kind == "pipeline":
            pachd.pps.delete_pipeline(pipeline=pipeline_message(*label.split("/")))
    except PachdError as error:
        raise PachydermError(f"{action.kind} {action.name}: cannot delete it: {error}") from error


def _moved(pachd: Pachd, label: str) -> list[str]:
    """The branches that a trigger moves: pachd deletes neither end of one without force.

    Not those that somebody takes data from, since they stay, and so does what they are in.
    """
    branches = pachd.pfs.list_branch(repo=_repo(label))
    return [b.branch.name for b in branches if b.trigger and b.trigger.branch and not b.subvenance]
