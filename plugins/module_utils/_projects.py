# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: options, plan and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachydermError
from ._names import project_name
from ._plan import Action, Outcome, Plan, refuse_twice
from ._sdk import sdk


@dataclass(frozen=True, slots=True)
class Project:
    """A declared or an actual project. A declared `description` of None is one that nobody cares about."""

    name: str
    description: str | None = None
    state: str = "present"

    def shown(self, description: str) -> dict[str, Any]:
        return {"name": self.name, "description": description}


def parse_projects(params: Mapping[str, Any]) -> list[Project]:
    """The projects that a module's options declare. Raises PachydermError.

    What an item of the list leaves out is as outside of the list.
    """
    projects = []
    for index, item in enumerate([params] if params["projects"] is None else params["projects"]):
        where = "name" if params["projects"] is None else f"projects[{index}].name"
        name, state = project_name(item["name"], where), item["state"] or params["state"]
        projects.append(Project(name, item["description"], state))
    if problem := refuse_twice("project", [p.name for p in projects], "projects"):
        raise PachydermError(problem)
    return projects


def plan_projects(
    declared: Sequence[Project], actual: Mapping[str, str], in_use: Mapping[str, Sequence[str]]
) -> Plan:
    """`actual` maps the name of a project to its description, `in_use` to the repos that it still holds.

    Raises PachydermError when a project to delete holds repos: that would lose data that nobody named.
    """
    actions = []
    for project in declared:
        known = actual.get(project.name)
        if project.state == "absent":
            if known is None:
                continue
            if repos := ", ".join(in_use.get(project.name, ())):
                raise PachydermError(
                    f"project {project.name} still holds {repos}; delete pipelines and repos first"
                )
            actions.append(Action("delete", "project", project.name, project.shown(known), None, project))
        elif known is None:
            after = project.shown(project.description or "")
            actions.append(Action("create", "project", project.name, None, after, project))
        elif project.description not in (None, known):
            before, after = project.shown(known), project.shown(project.description or "")
            actions.append(Action("update", "project", project.name, before, after, project))
    return Plan(tuple(actions))


def run_projects(pachd: Pachd, declared: Sequence[Project], check_mode: bool) -> Outcome:
    """Brings the declared projects about; in check mode it only says how."""
    actual = read_projects(pachd)
    going = [p.name for p in declared if p.state == "absent" and p.name in actual]
    plan = plan_projects(declared, actual, _repos_of(pachd, going) if going else {})
    if not check_mode:
        for action in plan.actions:
            _apply(pachd, action)
    after = {action.name: action.after for action in plan.actions}
    present = [p for p in declared if p.state == "present"]
    return Outcome(plan, {"projects": [after.get(p.name) or p.shown(actual[p.name]) for p in present]})


def read_projects(pachd: Pachd) -> dict[str, str]:
    """Name and description of each project."""
    return {info.project.name: info.description for info in pachd.pfs.list_project()}


def _repos_of(pachd: Pachd, projects: Sequence[str]) -> dict[str, list[str]]:
    pfs = sdk().pfs
    found: dict[str, list[str]] = {}
    for info in pachd.pfs.list_repo(type="user", projects=[pfs.Project(name=name) for name in projects]):
        found.setdefault(info.repo.project.name, []).append(f"repo {info.repo.name}")
    return found


def _apply(pachd: Pachd, action: Action) -> None:
    project = sdk().pfs.Project(name=action.name)
    if action.verb == "delete":
        pachd.pfs.delete_project(project=project)
        return
    description = action.item.description or ""
    pachd.pfs.create_project(project=project, description=description, update=action.verb == "update")
