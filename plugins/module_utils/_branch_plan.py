# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about branches. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ._errors import PachydermError, first_few
from ._plan import Action, Plan

RepoKey = tuple[str, str]  # (project, repo)
BranchKey = tuple[str, str, str]  # (project, repo, branch)


@dataclass(frozen=True, slots=True)
class Trigger:
    """pfs.Trigger, whole: `branch` is the one of the same repo that is followed."""

    branch: str
    all: bool = False
    cron_spec: str = ""
    rate_limit_spec: str = ""
    size: str = ""
    commits: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """A declared branch. What is None is left as it is.

    `head` is a commit's id, another branch of the repo, or either with an ancestry such as "master^2".
    """

    project: str
    repo: str
    name: str
    head: str | None = None
    provenance: tuple[BranchKey, ...] | None = None
    trigger: Trigger | None = None
    state: str = "present"
    force: bool = False
    where: str = ""

    @property
    def key(self) -> BranchKey:
        return self.project, self.repo, self.name

    @property
    def label(self) -> str:
        return label(self.key)

    def sibling(self, name: str) -> BranchKey:
        return self.project, self.repo, name


@dataclass(frozen=True, slots=True)
class ActualBranch:
    """A branch as pachd has it. `downstream` are those that take data from it, at any distance.

    `of_pipeline` tells that it is the output of a pipeline.
    """

    head: str = ""
    provenance: tuple[BranchKey, ...] = ()
    trigger: Trigger | None = None
    downstream: tuple[BranchKey, ...] = ()
    of_pipeline: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """A call that creates or updates a branch.

    `head` is the id of a commit, or the name of a branch that this run writes too; "" leaves the head.
    """

    branch: Branch
    head: str = ""
    provenance: tuple[BranchKey, ...] = ()
    trigger: Trigger | None = None


def label(key: BranchKey) -> str:
    return f"{key[0]}/{key[1]}@{key[2]}"


def plan_branches(
    declared: Sequence[Branch],
    actual: Mapping[BranchKey, ActualBranch],
    heads: Mapping[BranchKey, str],
    repos: Collection[RepoKey],
    check: bool,
) -> Plan:
    """The writes that bring `declared` about, in an order in which each finds what it needs.

    `heads` has the commit id of each head that is there now, by (project, repo, what is declared). In check
    mode what is missing is a warning: an earlier task may be about to make it. Raises PachydermError.
    """
    present = _ordered([b for b in declared if b.state == "present"])
    gone = [b for b in declared if b.state == "absent" and b.key in actual]
    problems = list(_missing(present, actual, heads, repos))
    if problems and not check:
        raise PachydermError(f"{first_few(problems)}; create it first")
    writes: list[Action] = []
    # The heads that this run leaves behind; None for a commit that is yet to be made.
    new_heads: dict[BranchKey, str | None] = {}
    for branch in present:
        known = actual.get(branch.key)
        _refuse(branch, known or ActualBranch())
        action = _write(branch, known, heads, new_heads)
        if action:
            writes.append(action)
    deletes = [
        Action("delete", "branch", b.label, shown(b.key, actual[b.key]), None, b)
        for b in _downstream_first(gone, actual)
    ]
    return Plan((*deletes, *writes), tuple(f"{problem} yet" for problem in problems))


def _write(
    branch: Branch,
    known: ActualBranch | None,
    heads: Mapping[BranchKey, str],
    new_heads: dict[BranchKey, str | None],
) -> Action | None:
    before = known or ActualBranch()
    head, call_head = before.head or None, ""
    if branch.head is not None:
        source = branch.sibling(branch.head)
        wanted = new_heads[source] if source in new_heads else heads.get(source)
        if wanted is None or wanted != before.head:
            head, call_head = wanted, wanted or branch.head
    provenance = before.provenance if branch.provenance is None else branch.provenance
    new_provenance = set(provenance) != set(before.provenance)
    if new_provenance and provenance:
        head = None  # pachd makes a commit for it
    trigger = branch.trigger if branch.trigger != before.trigger else None
    if known and not (call_head or new_provenance or trigger):
        return None
    new_heads[branch.key] = head
    after = ActualBranch(head or "", provenance, trigger or before.trigger)
    write = Write(branch, call_head, provenance, trigger)
    verb = "update" if known else "create"
    return Action(
        verb,
        "branch",
        branch.label,
        shown(branch.key, before) if known else None,
        shown(branch.key, after),
        write,
    )


def shown(key: BranchKey, branch: ActualBranch) -> dict[str, Any]:
    """What a diff and a result show. A head of None is a commit that is yet to be made."""
    return {
        "project": key[0],
        "repo": key[1],
        "name": key[2],
        "head": branch.head or None,
        "provenance": sorted(label(one) for one in branch.provenance),
        "trigger": asdict(branch.trigger) if branch.trigger else None,
    }


def _missing(
    present: Sequence[Branch],
    actual: Collection[BranchKey],
    heads: Collection[BranchKey],
    repos: Collection[RepoKey],
) -> Iterator[str]:
    """Texts for what declared branches need and what does not exist, nor is declared itself."""
    coming = {b.key for b in present}
    for branch in present:
        where = f"{branch.where}branch {branch.label}"
        needed = [branch.key, *(branch.provenance or ())]
        for project, repo in dict.fromkeys((project, repo) for project, repo, _name in needed):
            if (project, repo) not in repos:
                yield f"{where}: repo {project}/{repo} does not exist"
        if branch.head is not None:
            source = branch.sibling(branch.head)
            if source not in heads and source not in coming:
                yield f"{where}: head: no branch or commit {branch.head} exists in its repo"
        if branch.trigger:
            source = branch.sibling(branch.trigger.branch)
            if source not in actual and source not in coming:
                yield f"{where}: trigger.branch: branch {label(source)} does not exist"


def _refuse(branch: Branch, known: ActualBranch) -> None:
    """Raises PachydermError for what pachd refuses, and for what a second run would not find as declared."""
    where = f"{branch.where}branch {branch.label}"
    if known.of_pipeline and (branch.head or branch.provenance is not None or branch.trigger):
        raise PachydermError(
            f"{where} is the output of pipeline {branch.repo}, which alone says what it is; leave out head,"
            " provenance and trigger, or take another branch"
        )
    provenance = known.provenance if branch.provenance is None else branch.provenance
    trigger = branch.trigger or known.trigger
    if provenance and trigger:
        kept = "" if branch.trigger and branch.provenance else ", and it has the other one"
        raise PachydermError(
            f"{where}: a branch has either provenance or a trigger{kept}; provenance: [] removes the one, and"
            " only deleting the branch the other"
        )
    if branch.head is not None and (provenance or trigger):
        what = "provenance" if provenance else "trigger"
        raise PachydermError(f"{where}: head: its {what} moves its head; declare one of the two")
    for upstream in branch.provenance or ():
        if upstream in known.downstream:
            raise PachydermError(f"{where}: provenance: {label(upstream)} takes data from it already")


def _ordered(present: Sequence[Branch]) -> list[Branch]:
    """Each branch after those that it needs. Raises PachydermError for a circle."""
    by_key = {branch.key: branch for branch in present}
    needs = {
        branch.key: [
            *(branch.provenance or ()),
            *([branch.sibling(branch.head)] if branch.head else []),
            *([branch.sibling(branch.trigger.branch)] if branch.trigger else []),
        ]
        for branch in present
    }
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " <- ".join(label(key) for key in error.args[1])
        raise PachydermError(f"branches: these need each other: {circle}; take one link out") from None
    return [by_key[key] for key in order if key in by_key]


def _downstream_first(gone: Sequence[Branch], actual: Mapping[BranchKey, ActualBranch]) -> list[Branch]:
    """Branches to delete, each after those that take data from it. Raises if one may not go."""
    going = {branch.key for branch in gone}
    for branch in gone:
        known = actual[branch.key]
        staying = [label(key) for key in known.downstream if key not in going]
        reasons = [f"{', '.join(staying)} takes data from it"] if staying else []
        if known.of_pipeline:
            reasons.append(f"it is the output of pipeline {branch.repo}")
        if known.trigger:
            reasons.append(f"it has a trigger on {known.trigger.branch}")
        followers = [
            label(key)
            for key, other in actual.items()
            if other.trigger and (*key[:2], other.trigger.branch) == branch.key
        ]
        if followers:
            reasons.append(f"it triggers {', '.join(followers)}")
        if reasons and not branch.force:
            raise PachydermError(
                f"{branch.where}branch {branch.label}: {'; '.join(reasons)}; force deletes it all the same"
            )
    return sorted(gone, key=lambda b: len([k for k in actual[b.key].downstream if k in going]))
