# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: options, plan and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachydermError
from ._items import items
from ._metadata import Change, changed_metadata, merged_metadata, parse_metadata, write_metadata
from ._names import project_name
from ._plan import Action, Outcome, Plan, refuse_twice
from ._sdk import sdk


@dataclass(frozen=True, slots=True)
class Project:
    """A declared project. A `description` of None is one that nobody cares about, as is a key of metadata
    that is not in `metadata`."""

    name: str
    description: str | None = None
    state: str = "present"
    metadata: Change = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActualProject:
    """A project as pachd has it."""

    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be written of a project: its description, if `described`, and keys of its metadata."""

    project: Project
    described: bool
    metadata: Change


def parse_projects(params: Mapping[str, Any]) -> list[Project]:
    """The projects that a module's options declare. Raises PachydermError."""
    projects = [
        Project(
            project_name(item["name"], f"{prefix}name"),
            item["description"],
            item["state"],
            parse_metadata(item["metadata"], f"{prefix}metadata"),
        )
        for item, prefix in items(params, "projects", ("state",))
    ]
    if problem := refuse_twice("project", [p.name for p in projects], "projects"):
        raise PachydermError(problem)
    return projects


def plan_projects(
    declared: Sequence[Project], actual: Mapping[str, ActualProject], in_use: Mapping[str, Sequence[str]]
) -> Plan:
    """`in_use` maps the name of a project to the repos that it still holds.

    Raises PachydermError when a project to delete holds repos: that would lose data that nobody named.
    """
    actions = []
    for project in declared:
        known = actual.get(project.name)
        before = _shown(project.name, known) if known else None
        if project.state == "present":
            write = _write(project, known)
            if write.described or write.metadata:
                after = _shown(project.name, _after(write, known or ActualProject()))
                verb = "update" if known else "create"
                actions.append(Action(verb, "project", project.name, before, after, write))
        elif known:
            if repos := ", ".join(in_use.get(project.name, ())):
                raise PachydermError(
                    f"project {project.name} still holds {repos}; delete pipelines and repos first"
                )
            actions.append(Action("delete", "project", project.name, before, None, project))
    return Plan(tuple(actions))


def _write(project: Project, known: ActualProject | None) -> Write:
    if known is None:
        return Write(project, True, changed_metadata(project.metadata, {}))
    described = project.description not in (None, known.description)
    return Write(project, described, changed_metadata(project.metadata, known.metadata))


def _after(write: Write, known: ActualProject) -> ActualProject:
    description = (write.project.description or "") if write.described else known.description
    return ActualProject(description, merged_metadata(write.metadata, known.metadata))


def _shown(name: str, project: ActualProject) -> dict[str, Any]:
    return {"name": name, "description": project.description, "metadata": dict(project.metadata)}


def run_projects(pachd: Pachd, declared: Sequence[Project], check_mode: bool) -> Outcome:
    """Brings the declared projects about; in check mode it only says how."""
    plan, actual = _planned(pachd, declared)
    if not check_mode:
        converge(plan, partial(_apply, pachd), lambda: _planned(pachd, declared)[0])
    after = {action.name: action.after for action in plan.actions}
    present = [p.name for p in declared if p.state == "present"]
    return Outcome(plan, {"projects": [after.get(name) or _shown(name, actual[name]) for name in present]})


def _planned(pachd: Pachd, declared: Sequence[Project]) -> tuple[Plan, dict[str, ActualProject]]:
    """What is to be done, and what is there."""
    actual = read_projects(pachd)
    going = [p.name for p in declared if p.state == "absent" and p.name in actual]
    return plan_projects(declared, actual, _repos_of(pachd, going) if going else {}), actual


def read_projects(pachd: Pachd) -> dict[str, ActualProject]:
    """Each project by its name."""
    return {
        info.project.name: ActualProject(info.description, info.metadata) for info in pachd.pfs.list_project()
    }


def _repos_of(pachd: Pachd, projects: Sequence[str]) -> dict[str, list[str]]:
    pfs = sdk().pfs
    found: dict[str, list[str]] = {}
    for info in pachd.pfs.list_repo(type="user", projects=[pfs.Project(name=name) for name in projects]):
        found.setdefault(info.repo.project.name, []).append(f"repo {info.repo.name}")
    return found


def _apply(pachd: Pachd, plan: Plan) -> None:
    pfs = sdk().pfs
    changes = []
    for action in plan.actions:
        project = pfs.Project(name=action.name)
        if action.verb == "delete":
            pachd.pfs.delete_project(project=project)
            continue
        write: Write = action.item
        if write.described:
            text = write.project.description or ""
            pachd.pfs.create_project(project=project, description=text, update=action.verb == "update")
        changes.append(({"project": pfs.ProjectPicker(name=action.name)}, write.metadata))
    write_metadata(pachd, changes)
