# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachyderm_commit does with commits. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._items import items
from ._messages import repo_message
from ._names import branch_name, project_name, repo_name
from ._options import seconds
from ._plan import Action, Outcome, Plan
from ._sdk import sdk

# To anything else, 2.12 answers an inner error.
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Commit:
    """A declared commit: of `ident`, or the head of `branch`; without `repo` a whole commit set."""

    project: str
    repo: str
    branch: str
    ident: str
    where: str

    @property
    def label(self) -> str:
        if not self.repo:
            return f"commit set {self.ident}"
        return f"{self.project}/{self.repo}@{self.ident or self.branch}"


@dataclass(frozen=True, slots=True)
class Task:
    """What the options of pachyderm_commit ask for; `wait_timeout` is in seconds."""

    action: str
    commits: tuple[Commit, ...]
    description: str
    wait_timeout: float


def parse_commits(params: Mapping[str, Any]) -> Task:
    """Reads the module's options. Raises PachydermError."""
    action = params["action"]
    commits = []
    for item, where in items(params, "commits", ("project", "branch")):
        if action in ("start", "finish") and not item["repo"]:
            raise PachydermError(f"{where}repo: is required with action {action}")
        if action == "start" and item["id"]:
            raise PachydermError(f"{where}id: action start makes a new commit; leave the id out")
        if action in ("squash", "drop") and (item["repo"] or not item["id"]):
            raise PachydermError(
                f"{where}id: action {action} takes the id of a whole commit set, and no repo"
            )
        if item["id"] and not _ID.fullmatch(item["id"]):
            raise PachydermError(f"{where}id: {item['id']}: must be the 32 digits, 0-9 and a-f, of a commit")
        if not (item["repo"] or item["id"]):
            raise PachydermError(f"{where}repo: is required, or {where}id for a whole commit set")
        repo = repo_name(item["repo"], f"{where}repo") if item["repo"] else ""
        project = project_name(item["project"], f"{where}project")
        branch = branch_name(item["branch"], f"{where}branch")
        commits.append(Commit(project, repo, branch, item["id"] or "", where))
    wait_timeout = seconds(params, "wait_timeout")
    return Task(action, tuple(commits), params["description"] or "", wait_timeout)


def run_commits(pachd: Pachd, task: Task, check_mode: bool) -> Outcome:
    """Starts, finishes, squashes or drops commits, or waits for them; in check mode it only says how."""
    plan = _planned(pachd, task)
    if not check_mode:
        converge(plan, partial(_apply, pachd, task.description), partial(_planned, pachd, task))
    outcome = Outcome(plan, {"commits": []})
    if task.action not in ("squash", "drop") and not check_mode:
        for commit in task.commits:
            now = _look(pachd, commit) if task.action == "start" else _finished(pachd, commit, task)
            outcome.values["commits"] += [_values(info) for info in now]
    return outcome


def _planned(pachd: Pachd, task: Task) -> Plan:
    before = {commit: _look(pachd, commit) for commit in task.commits}
    actions = (_action(task, commit, found) for commit, found in before.items())
    return Plan(tuple(action for action in actions if action))


def _repo(commit: Commit) -> Any:
    return repo_message(commit.project, commit.repo)


def _message(commit: Commit) -> Any:
    """pachd takes the name of a branch for its head."""
    return sdk().pfs.Commit(repo=_repo(commit), id=commit.ident or commit.branch)


def _look(pachd: Pachd, commit: Commit) -> list[Any]:
    """CommitInfo of what is meant; nothing if there is none."""
    try:
        if commit.repo and not commit.ident:
            # Asked for the commit of a branch that is missing, pachd answers an inner error.
            pachd.pfs.inspect_branch(branch=sdk().pfs.Branch(repo=_repo(commit), name=commit.branch))
        if commit.repo:
            return [pachd.pfs.inspect_commit(commit=_message(commit))]
        return list(pachd.pfs.inspect_commit_set(commit_set=sdk().pfs.CommitSet(id=commit.ident)))
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        return []


def _is_open(info: Any) -> bool:
    return not info.finishing.timestamp() and not info.finished.timestamp()


def _action(task: Task, commit: Commit, found: Sequence[Any]) -> Action | None:
    """The write that is needed, if one is. Raises PachydermError for a commit that is not there."""
    verb = task.action
    if verb == "start":
        if found and _is_open(found[0]):
            return None
        return Action("start", "commit", commit.label, None, {"state": "open"}, commit)
    if verb in ("squash", "drop"):
        return Action(verb, "commit", commit.label, {"id": commit.ident}, None, commit) if found else None
    if not found:
        raise PachydermError(f"{commit.where}{commit.label} does not exist")
    if verb == "finish" and _is_open(found[0]):
        return Action("finish", "commit", commit.label, {"state": "open"}, {"state": "finished"}, commit)
    return None


def _apply(pachd: Pachd, description: str, plan: Plan) -> None:
    for action in plan.actions:
        _write(pachd, action, description)


def _write(pachd: Pachd, action: Action, description: str) -> None:
    pfs, commit = sdk().pfs, action.item
    try:
        if action.verb == "start":
            branch = pfs.Branch(repo=_repo(commit), name=commit.branch)
            pachd.pfs.start_commit(branch=branch, description=description)
        elif action.verb == "finish":
            pachd.pfs.finish_commit(commit=_message(commit), description=description)
        elif action.verb == "squash":
            pachd.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=commit.ident))
        else:
            pachd.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit.ident))
    except PachdError as error:
        raise PachydermError(f"{commit.where}{commit.label}: cannot {action.verb} it: {error}") from error


def _finished(pachd: Pachd, commit: Commit, task: Task) -> list[Any]:
    """Waits until pachd has finished them. Raises PachydermError for one that has an error."""
    pfs = sdk().pfs
    try:
        with pachd.deadline(task.wait_timeout):
            if commit.repo:
                infos = [pachd.pfs.inspect_commit(commit=_message(commit), wait=pfs.CommitState.FINISHED)]
            else:
                commit_set = pfs.CommitSet(id=commit.ident)
                infos = list(pachd.pfs.inspect_commit_set(commit_set=commit_set, wait=True))
    except PachdError as error:
        if error.code != "DEADLINE_EXCEEDED":
            raise
        raise PachydermError(
            f"{commit.where}{commit.label} is not finished at the end of wait_timeout,"
            f" {task.wait_timeout:g} s"
        ) from error
    for info in infos:
        if info.error:
            values = _values(info)
            name = f"{values['project']}/{values['repo']}@{values['id']}"
            raise PachydermError(
                f"commit {name} has an error: {info.error}", commits=[_values(i) for i in infos]
            )
    return infos


def _values(info: Any) -> dict[str, Any]:
    repo = info.commit.repo
    return {
        "project": repo.project.name,
        "repo": repo.name,
        "repo_type": repo.type,
        "id": info.commit.id,
        "state": "open" if _is_open(info) else "finished" if info.finished.timestamp() else "finishing",
        "error": info.error,
        "description": info.description,
    }
