# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos: options, plan and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._items import items
from ._messages import repo_message
from ._metadata import Change, changed_metadata, merged_metadata, parse_metadata, write_metadata
from ._names import project_name, repo_name
from ._plan import Action, Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._sdk import sdk
from ._transactions import RequestError, create_repo, run_batch

RepoKey = tuple[str, str]  # (project, repo)


@dataclass(frozen=True, slots=True)
class Repo:
    """A declared repo. A `description` of None is one that nobody cares about, as is a key of metadata that
    is not in `metadata`.

    `force` deletes a repo although branches of other repos take data from it.
    """

    project: str
    name: str
    description: str | None = None
    state: str = "present"
    force: bool = False
    metadata: Change = field(default_factory=dict)

    @property
    def key(self) -> RepoKey:
        return self.project, self.name

    @property
    def label(self) -> str:
        return f"{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class ActualRepo:
    """A user repo as pachd has it. `downstream` are the user repos whose branches take data from it."""

    description: str
    of_pipeline: bool = False
    downstream: tuple[RepoKey, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be written of a repo: its description, if `described`, and keys of its metadata."""

    repo: Repo
    described: bool
    metadata: Change


def parse_repos(params: Mapping[str, Any]) -> list[Repo]:
    """The repos that a module's options declare. Raises PachydermError."""
    repos = [
        Repo(
            project_name(item["project"], f"{prefix}project"),
            repo_name(item["name"], f"{prefix}name"),
            item["description"],
            item["state"],
            params["force"],
            parse_metadata(item["metadata"], f"{prefix}metadata"),
        )
        for item, prefix in items(params, "repos", ("project", "state"))
    ]
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
        write = _write(repo, known)
        if write.described or write.metadata:
            before = _shown(repo, known) if known else None
            after = _shown(repo, _after(write, known or ActualRepo("")))
            writes.append(Action("update" if known else "create", "repo", repo.label, before, after, write))
    deletes = [
        Action("delete", "repo", repo.label, _shown(repo, actual[repo.key]), None, repo)
        for repo in _downstream_first(gone, actual)
    ]
    return Plan((*deletes, *writes), tuple(warnings))


def _write(repo: Repo, known: ActualRepo | None) -> Write:
    if known is None:
        return Write(repo, True, changed_metadata(repo.metadata, {}))
    described = repo.description not in (None, known.description)
    return Write(repo, described, changed_metadata(repo.metadata, known.metadata))


def _after(write: Write, known: ActualRepo) -> ActualRepo:
    description = (write.repo.description or "") if write.described else known.description
    return replace(known, description=description, metadata=merged_metadata(write.metadata, known.metadata))


def _shown(repo: Repo, known: ActualRepo) -> dict[str, Any]:
    return {
        "project": repo.project,
        "name": repo.name,
        "description": known.description,
        "metadata": dict(known.metadata),
    }


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
    plan, actual = _planned(pachd, declared, check_mode)
    if not check_mode:
        converge(plan, partial(_apply, pachd), lambda: _planned(pachd, declared, check_mode)[0])
    after = {action.name: action.after for action in plan.actions}
    shown = []
    for repo in declared:
        if repo.state == "present":
            shown.append(after.get(repo.label) or _shown(repo, actual[repo.key]))
    return Outcome(plan, {"repos": shown})


def _planned(
    pachd: Pachd, declared: Sequence[Repo], check_mode: bool
) -> tuple[Plan, dict[RepoKey, ActualRepo]]:
    """What is to be done, and what is there."""
    actual = read_repos(pachd)
    for repo in declared:
        if repo.state == "absent" and repo.key in actual:
            actual[repo.key] = _with_downstream(pachd, repo, actual[repo.key])
    projects = read_projects(pachd) if any(r.state == "present" for r in declared) else {}
    return plan_repos(declared, actual, projects, check_mode), actual


def read_repos(pachd: Pachd) -> dict[RepoKey, ActualRepo]:
    """Every user repo, in one call. A repo of type spec beside it says that a pipeline writes into it."""
    users: dict[RepoKey, Any] = {}
    specs: set[RepoKey] = set()
    for info in pachd.pfs.list_repo(type=""):
        key = info.repo.project.name, info.repo.name
        if info.repo.type == "user":
            users[key] = info
        elif info.repo.type == "spec":
            specs.add(key)
    return {
        key: ActualRepo(info.description, key in specs, metadata=info.metadata) for key, info in users.items()
    }


def _with_downstream(pachd: Pachd, repo: Repo, known: ActualRepo) -> ActualRepo:
    found = {
        (branch.repo.project.name, branch.repo.name): None
        for info in pachd.pfs.list_branch(repo=repo_message(*repo.key))
        for branch in info.subvenance
        if branch.repo.type == "user"
    }
    found.pop(repo.key, None)
    return replace(known, downstream=tuple(found))


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        if action.verb == "delete":
            _delete(pachd, action.item)
    writes = [action for action in plan.actions if action.verb != "delete"]
    _describe(pachd, [action for action in writes if action.item.described])
    metadata = [({"repo": repo_picker(write.item.repo.key)}, write.item.metadata) for write in writes]
    write_metadata(pachd, metadata)


def repo_picker(key: RepoKey) -> Any:
    pfs = sdk().pfs
    project, name = key
    picked = pfs.RepoPickerRepoName(project=pfs.ProjectPicker(name=project), name=name, type="user")
    return pfs.RepoPicker(name=picked)


def _describe(pachd: Pachd, actions: Sequence[Action]) -> None:
    """All by one call, all of them or none."""
    if not actions:
        return
    repos: list[Repo] = [action.item.repo for action in actions]
    requests = [
        create_repo(repo.project, repo.name, repo.description or "", action.verb == "update")
        for repo, action in zip(repos, actions, strict=True)
    ]
    others = f"; none of the {len(actions)} repos was written" if len(actions) > 1 else ""
    try:
        run_batch(pachd, requests)
    except RequestError as error:
        action = actions[error.index]
        raise PachydermError(f"repo {action.name}: cannot {action.verb} it: {error}{others}") from error
    except PachdError as error:
        raise PachydermError(f"repos: cannot write them: {error}") from error


def _delete(pachd: Pachd, repo: Repo) -> None:
    try:
        deleted = pachd.pfs.delete_repo(repo=repo_message(*repo.key), force=repo.force).deleted
    except PachdError as error:
        raise PachydermError(f"repo {repo.label}: cannot delete it: {error}") from error
    if not deleted:
        # pachd says so, and no error, to somebody who may not delete the repo.
        raise PachydermError(f"repo {repo.label}: pachd did not delete it; may the auth_token do so?")
