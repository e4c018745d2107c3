# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from ._branch_plan import ActualBranch, Branch, BranchKey, RepoKey, Trigger, Write, plan_branches, shown
from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._items import items
from ._messages import branch_message, repo_message
from ._names import branch_name, project_name, repo_name
from ._plan import Outcome, Plan, refuse_twice
from ._repos import read_repos
from ._sdk import sdk

_SIZE = re.compile(r"(\d+\.?\d*|\.\d+) ?([kmgtp]i?)?b?", re.IGNORECASE)
_ZONE = re.compile(r"(CRON_)?TZ=\S+\s+")
_CRON_FIELDS = 5


def parse_branches(params: Mapping[str, Any]) -> list[Branch]:
    """The branches that a module's options declare. Raises PachydermError."""
    branches = [
        _parse(item, prefix, params["force"])
        for item, prefix in items(params, "branches", ("project", "repo", "state"))
    ]
    if problem := refuse_twice("branch", [b.label for b in branches], "branches"):
        raise PachydermError(problem)
    return branches


def _parse(item: Mapping[str, Any], prefix: str, force: bool) -> Branch:
    if not item["repo"]:
        raise PachydermError(f"{prefix}repo: is required")
    project = project_name(item["project"], f"{prefix}project")
    repo = repo_name(item["repo"], f"{prefix}repo")
    name = branch_name(item["name"], f"{prefix}name")
    if item["head"] == "":
        raise PachydermError(f"{prefix}head: is empty; give a commit or a branch, or leave it out")
    provenance = None
    if item["provenance"] is not None:
        where = f"{prefix}provenance"
        found = (_upstream(text, project, f"{where}[{n}]") for n, text in enumerate(item["provenance"]))
        provenance = tuple(dict.fromkeys(found))
        if (project, repo) in [key[:2] for key in provenance]:
            raise PachydermError(f"{where}: a branch cannot take data from its own repo {project}/{repo}")
    trigger = _trigger(item["trigger"], name, f"{prefix}trigger.") if item["trigger"] else None
    if item["head"] == name:
        raise PachydermError(f"{prefix}head: is the branch itself; give a commit or another branch")
    return Branch(project, repo, name, item["head"], provenance, trigger, item["state"], force, prefix)


def _upstream(text: str, project: str, where: str) -> BranchKey:
    """What project/repo@branch names; without a project it is `project`, without a branch master."""
    path, _at, branch = str(text).partition("@")
    home, slash, repo = path.rpartition("/")
    return (
        project_name(home if slash else project, where),
        repo_name(repo, where),
        branch_name(branch or "master", where),
    )


def _trigger(given: Mapping[str, Any], name: str, prefix: str) -> Trigger:
    values = {key: value for key, value in given.items() if value is not None}
    trigger = Trigger(**values)
    branch_name(trigger.branch, f"{prefix}branch")
    if trigger.branch == name:
        raise PachydermError(f"{prefix}branch: is the branch itself; give another one of the repo")
    if trigger.commits < 0:
        raise PachydermError(f"{prefix}commits: must not be negative")
    if trigger.size and not _SIZE.fullmatch(trigger.size):
        raise PachydermError(f"{prefix}size: {trigger.size}: is no size such as 100M or 1.5GB")
    for key in ("cron_spec", "rate_limit_spec"):
        text = _ZONE.sub("", getattr(trigger, key))
        if text and not text.startswith("@") and len(text.split()) != _CRON_FIELDS:
            raise PachydermError(f"{prefix}{key}: {text}: must be five fields, or one such as @daily")
    return trigger


def run_branches(pachd: Pachd, declared: Sequence[Branch], check_mode: bool) -> Outcome:
    """Brings the declared branches about; in check mode it only says how."""
    plan, actual = _planned(pachd, declared, check_mode)
    if not check_mode:
        converge(plan, partial(_apply, pachd), lambda: _planned(pachd, declared, check_mode)[0])
    after = {action.name: action.after for action in plan.actions}
    present = [b for b in declared if b.state == "present"]
    return Outcome(plan, {"branches": [after.get(b.label) or shown(b.key, actual[b.key]) for b in present]})


def _planned(
    pachd: Pachd, declared: Sequence[Branch], check_mode: bool
) -> tuple[Plan, dict[BranchKey, ActualBranch]]:
    """What is to be done, and what is there."""
    repos = read_repos(pachd)
    concerned = dict.fromkeys(key for b in declared if (key := (b.project, b.repo)) in repos)
    actual = {key: known for repo in concerned for key, known in _read(pachd, repo).items()}
    return plan_branches(declared, actual, _heads(pachd, declared, actual, repos), repos, check_mode), actual


def _read(pachd: Pachd, repo: RepoKey) -> dict[BranchKey, ActualBranch]:
    """The branches of a repo, in one call."""
    found = {}
    for info in pachd.pfs.list_branch(repo=repo_message(*repo)):
        trigger = {name: getattr(info.trigger, name) for name in Trigger.__slots__}
        found[*repo, info.branch.name] = ActualBranch(
            head=info.head.id,
            provenance=tuple(_key(one) for one in info.direct_provenance if one.repo.type == "user"),
            trigger=Trigger(**trigger) if info.trigger.branch else None,
            downstream=tuple(_key(one) for one in info.subvenance if one.repo.type == "user"),
            of_pipeline=any(one.repo.type == "spec" for one in info.direct_provenance),
        )
    return found


def _heads(
    pachd: Pachd,
    declared: Sequence[Branch],
    actual: Mapping[BranchKey, ActualBranch],
    repos: Mapping[RepoKey, Any],
) -> dict[BranchKey, str]:
    """The id of each commit that is declared as a head, as far as there is one."""
    heads: dict[BranchKey, str] = {}
    for branch in declared:
        if branch.head is None or (branch.project, branch.repo) not in repos:
            continue
        source = branch.sibling(branch.head)
        if source in actual:
            heads[source] = actual[source].head
            continue
        commit = sdk().pfs.Commit(repo=repo_message(branch.project, branch.repo), id=branch.head)
        try:
            heads[source] = pachd.pfs.inspect_commit(commit=commit).commit.id
        except PachdError as error:
            # What is no id and no branch is ABORTED, and too far an ancestor UNKNOWN.
            if error.code not in ("NOT_FOUND", "ABORTED", "UNKNOWN"):
                raise
    return heads


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        try:
            if action.verb == "delete":
                pachd.pfs.delete_branch(branch=branch_message(*action.item.key), force=action.item.force)
            else:
                _create(pachd, action.item)
        except PachdError as error:
            raise PachydermError(f"branch {action.name}: cannot {action.verb} it: {error}") from error


def _create(pachd: Pachd, write: Write) -> None:
    pfs = sdk().pfs
    head = None
    if write.head:
        repo = repo_message(write.branch.project, write.branch.repo)
        head = pfs.Commit(repo=repo, id=write.head)
    pachd.pfs.create_branch(
        branch=branch_message(*write.branch.key),
        head=head,
        provenance=[branch_message(*key) for key in write.provenance],
        trigger=pfs.Trigger(**asdict(write.trigger)) if write.trigger else None,
    )


def _key(branch: Any) -> BranchKey:
    return branch.repo.project.name, branch.repo.name, branch.name
