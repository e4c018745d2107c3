# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos: options, plan and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._names import project_name, repo_name
from ._plan import Action, Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._sdk import sdk

RepoKey = tuple[str, str]  # (project, repo)


@dataclass(frozen=True, slots=True)
class Repo:
    """A declared repo. A `description` of None is one that nobody cares about.

    `force` deletes a repo although branches of other repos take data from it.
    """

    project: str
    name: str
    description: str | None = None
    state: str = "present"
    force: bool = False

    @property
    def key(self) -> RepoKey:
        return self.project, self.name

    @property
    def label(self) -> str:
        return f"{self.project}/{self.name}"

    def shown(self, description: str) -> dict[str, Any]:
        return {"project": self.project, "name": self.name, "description": description}


@dataclass(frozen=True, slots=True)
class ActualRepo:
    """A user repo as pachd has it. `downstream` are the user repos whose branches take data from it."""

    description: str
    of_pipeline: bool = False
    downstream: tuple[RepoKey, ...] = ()


def parse_repos(params: Mapping[str, Any]) -> list[Repo]:
    """The repos that a module's options declare. Raises PachydermError.

    What an item of the list leaves out is as outside of the list.
    """
    repos = []
    for index, item in enumerate([params] if params["repos"] is None else params["repos"]):
        prefix = "" if params["repos"] is None else f"repos[{index}]."
        repos.append(
            Repo(
                project_name(item["project"] or params["project"], f"{prefix}project"),
                repo_name(item["name"], f"{prefix}name"),
                item["description"],
                item["state"] or params["state"],
                params["force"],
            )
        )
    if problem := refuse_twice("repo", [r.label for r in repos], "repos"):
        raise PachydermError(problem)
    return repos


def plan_repos(
    declared: Sequence[Repo], actual: Mapping[RepoKey, ActualRepo], projects: Collection[str], check: bool
) -> Plan:
    """The writes that bring `declared` about. Everything is checked here, so that nothing is left half done.

    `projects` are those that exist. In check mode a missing one is a warning: an earlier task may be about to
    create it. Raises PachydermError.
    """
    writes, warnings, gone = [], [], []
    for repo in declared:
        known = actual.get(repo.key)
        if repo.state == "absent":
            gone += [repo] if known else []
            continue
        if repo.project not in projects:
            text = f"repo {repo.label}: project {repo.project} does not exist"
            if not check:
                raise PachydermError(f"{text}; create it first, with pachyderm_project for example")
            warnings.append(f"{text} yet")
        if known is None:
            writes.append(
                Action("create", "repo", repo.label, None, repo.shown(repo.description or ""), repo)
            )
        elif repo.description not in (None, known.description):
            before, after = repo.shown(known.description), repo.shown(repo.description or "")
            writes.append(Action("update", "repo", repo.label, before, after, repo))
    deletes = [
        Action("delete", "repo", repo.label, repo.shown(actual[repo.key].description), None, repo)
        for repo in _downstream_first(gone, actual)
    ]
    return Plan((*deletes, *writes), tuple(warnings))


def _downstream_first(gone: Sequence[Repo], actual: Mapping[RepoKey, ActualRepo]) -> list[Repo]:
    """Repos to delete, each after those that take data from it. Raises PachydermError if one may not go."""
    left = {repo.key: repo for repo in gone}
    for repo in gone:
        known = actual[repo.key]
        if known.of_pipeline:
            raise PachydermError(
                f"repo {repo.label} is the output of pipeline {repo.name}: delete the pipeline instead"
            )
        staying = [f"{project}/{name}" for project, name in known.downstream if (project, name) not in left]
        if staying and not repo.force:
            raise PachydermError(
                f"repo {repo.label}: {', '.join(staying)} takes data from it; delete that first, or use force"
            )
    ordered: list[Repo] = []
    while left:
        free = [r for r in left.values() if not any(key in left for key in actual[r.key].downstream)]
        # pachd lets no circle come about; should one exist all the same, the order does not matter.
        ordered += free or list(left.values())
        left = {key: repo for key, repo in left.items() if repo not in ordered}
    return ordered


def run_repos(pachd: Pachd, declared: Sequence[Repo], check_mode: bool) -> Outcome:
    """Brings the declared repos about; in check mode it only says how."""
    actual = read_repos(pachd)
    for repo in declared:
        if repo.state == "absent" and repo.key in actual:
            actual[repo.key] = _with_downstream(pachd, repo, actual[repo.key])
    projects = read_projects(pachd) if any(r.state == "present" for r in declared) else {}
    plan = plan_repos(declared, actual, projects, check_mode)
    if not check_mode:
        for action in plan.actions:
            _apply(pachd, action)
    after = {action.name: action.after for action in plan.actions}
    shown = []
    for repo in declared:
        if repo.state == "present":
            known = actual.get(repo.key)
            shown.append(after.get(repo.label) or repo.shown(known.description if known else ""))
    return Outcome(plan, {"repos": shown})


def read_repos(pachd: Pachd) -> dict[RepoKey, ActualRepo]:
    """Every user repo, in one call. A repo of type spec beside it says that a pipeline writes into it."""
    users: dict[RepoKey, str] = {}
    specs: set[RepoKey] = set()
    for info in pachd.pfs.list_repo(type=""):
        key = info.repo.project.name, info.repo.name
        if info.repo.type == "user":
            users[key] = info.description
        elif info.repo.type == "spec":
            specs.add(key)
    return {key: ActualRepo(description, key in specs) for key, description in users.items()}


def _message(repo: Repo) -> Any:
    pfs = sdk().pfs
    return pfs.Repo(name=repo.name, type="user", project=pfs.Project(name=repo.project))


def _with_downstream(pachd: Pachd, repo: Repo, known: ActualRepo) -> ActualRepo:
    found = {
        (branch.repo.project.name, branch.repo.name): None
        for info in pachd.pfs.list_branch(repo=_message(repo))
        for branch in info.subvenance
        if branch.repo.type == "user"
    }
    found.pop(repo.key, None)
    return ActualRepo(known.description, known.of_pipeline, tuple(found))


def _apply(pachd: Pachd, action: Action) -> None:
    repo: Repo = action.item
    try:
        if action.verb != "delete":
            update = action.verb == "update"
            pachd.pfs.create_repo(repo=_message(repo), description=repo.description or "", update=update)
            return
        deleted = pachd.pfs.delete_repo(repo=_message(repo), force=repo.force).deleted
    except PachdError as error:
        raise PachydermError(f"repo {repo.label}: cannot {action.verb} it: {error}") from error
    if not deleted:
        # pachd says so, and no error, to somebody who may not delete the repo.
        raise PachydermError(f"repo {repo.label}: pachd did not delete it; may the auth_token do so?")
