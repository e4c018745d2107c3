# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with pipelines, in which order. Pure. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ._errors import PachydermError
from ._plan import Action, Plan
from ._spec_env import hide_env

Spec = dict[str, Any]
Key = tuple[str, str]  # (project, name) of a pipeline, and of the repo that it writes into


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A declared pipeline. `spec` is what is sent to pachd; None where only the state is declared.

    `inputs` are the repos it reads, `where` names the option or file that declares it, `notes` are warnings.
    `step` is the number of the transaction in which a plan writes it.
    """

    project: str
    name: str
    spec: Spec | None = field(default=None, compare=False)
    inputs: tuple[Key, ...] = ()
    where: str = ""
    notes: tuple[str, ...] = ()
    step: int = 0

    @property
    def key(self) -> Key:
        return self.project, self.name

    @property
    def label(self) -> str:
        return f"{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class ActualPipeline:
    """A pipeline as pachd has it; `spec` in the one form of _spec_normal.

    `provenance` are the branches that its output branch is made from, `lost` those that are not among them
    although the spec reads them. Both are empty for a pipeline that is stopped.
    """

    spec: Spec
    inputs: tuple[Key, ...]
    version: int
    stopped: bool
    state: str
    reason: str
    is_transform: bool = True
    provenance: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def output_branch(self) -> str:
        return str(self.spec.get("outputBranch", "master"))


@dataclass(frozen=True, slots=True)
class Target:
    """What all declared pipelines shall be: the options of these names."""

    state: str = "present"
    reprocess: bool = False
    force: bool = False
    keep_repo: bool = False


def ordered(pipelines: Sequence[Pipeline]) -> list[Pipeline]:
    """The pipelines, each after those whose output it reads. Raises PachydermError for a circle."""
    left = {pipeline.key: pipeline for pipeline in pipelines}
    order: list[Pipeline] = []
    while left:
        free = next((p for p in left.values() if not any(key in left for key in p.inputs)), None)
        if free is None:
            raise PachydermError(f"pipelines read each other's output in a circle: {_circle(left)}; break it")
        order.append(left.pop(free.key))
    return order


def _circle(left: Mapping[Key, Pipeline]) -> str:
    """A circle among pipelines of which each reads the output of another one of them."""
    path = [next(iter(left.values()))]
    while True:
        upstream = next(left[key] for key in path[-1].inputs if key in left)
        if upstream in path:
            circle = [*path[path.index(upstream) :], upstream]
            return " reads ".join(pipeline.label for pipeline in circle)
        path.append(upstream)


def missing_inputs(pipelines: Sequence[Pipeline], repos: Collection[Key]) -> list[Key]:
    """Each input repo that is not among `repos`."""
    return list(dict.fromkeys(key for p in pipelines for key in p.inputs if key not in repos))


def check_inputs(pipelines: Sequence[Pipeline], repos: Collection[Key]) -> list[str]:
    """A text for each pipeline and input repo that is not among `repos`."""
    return [
        f"{pipeline.where}: pipeline {pipeline.label}: input repo {project}/{repo} does not exist"
        for pipeline in pipelines
        for project, repo in missing_inputs([pipeline], repos)
    ]


def missing_projects(
    pipelines: Sequence[Pipeline], new_repos: Sequence[Key], projects: Collection[str]
) -> list[str]:
    """A text for each project that a pipeline or a new repo needs and that is not among `projects`."""
    found = [
        f"{p.where}: pipeline {p.label}: project {p.project} does not exist"
        for p in pipelines
        if p.project not in projects
    ]
    inputs = [key for key in new_repos if key[0] not in projects]
    return found + [f"input repo {key[0]}/{key[1]}: project {key[0]} does not exist" for key in inputs]


def plan_pipelines(
    declared: Sequence[Pipeline],
    actual: Mapping[Key, ActualPipeline],
    wanted: Mapping[Key, Spec],
    target: Target,
    new_repos: Sequence[Key] = (),
) -> Plan:
    """The writes that bring the declared pipelines, given in their order, about.

    `wanted` has the spec, in the one form, that each declared one is to have; `new_repos` are made for them.
    Raises PachydermError.
    """
    if target.state == "absent":
        return Plan(tuple(_deletes(declared, actual, target.force)))
    actions: list[Action] = []
    for pipeline in declared:
        known = actual.get(pipeline.key)
        spec = wanted.get(pipeline.key)
        if known is None and spec is None:
            raise PachydermError(
                f"{pipeline.where}: pipeline {pipeline.label} does not exist, and no spec is given"
            )
        if spec is None and known is not None:
            spec = known.spec
        actions += _writes(pipeline, known, spec or {}, target)
    notes = [note for pipeline in declared for note in (*pipeline.notes, *_lost(pipeline, actual, target))]
    repos = [_new_repo(key) for key in new_repos]
    if not target.reprocess:
        notes += [note for action in actions if (note := _old_results(action, actual, wanted))]
    return Plan((*repos, *in_steps(declared, actual, actions)), tuple(notes))


def _new_repo(key: Key) -> Action:
    shown = {"project": key[0], "name": key[1], "description": ""}
    return Action("create", "repo", f"{key[0]}/{key[1]}", None, shown, key)


def _old_results(
    action: Action, actual: Mapping[Key, ActualPipeline], wanted: Mapping[Key, Spec]
) -> str | None:
    """A text for an update whose new code will not run on what was processed already."""
    if action.verb != "update":
        return None
    old, new = actual[action.item.key].spec, wanted[action.item.key]
    before, after = old.get("transform", {}), new.get("transform", {})
    fields = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if not fields or new.get("reprocessSpec") == "every_job":
        return None
    names = ", ".join(f"transform.{field}" for field in fields)
    return (
        f"pipeline {action.name}: its code has changed ({names}), and results of datums that were processed"
        " before stay as they are; set reprocess to have them made anew"
    )


def in_steps(
    declared: Sequence[Pipeline], actual: Mapping[Key, ActualPipeline], actions: Sequence[Action]
) -> list[Action]:
    """The actions in the order in which they are carried out, with the transaction of each write.

    A pipeline that is new or reads other branches than before gets its commit at once, another one that is
    updated or is downstream at the end of the transaction. Within one, the former would read old results of
    the latter and never the new ones, so it waits for the next.
    """
    writes = {a.item.key: a for a in actions if a.verb in ("create", "update")}
    known = [p if p.spec is not None else replace(p, inputs=actual[p.key].inputs) for p in declared]
    keys = {p.key for p in declared}
    rest = [Pipeline(project, name, inputs=a.inputs) for (project, name), a in actual.items()]
    others = [p for p in reversed(rest) if p.key not in keys]
    # Which transaction gives a pipeline a commit, and whether at its end.
    moved: dict[Key, tuple[int, bool]] = {}
    for pipeline in ordered([*others, *known]):
        above = [moved[key] for key in pipeline.inputs if key in moved]
        step = max((number for number, _at_end in above), default=0)
        if pipeline.key in writes:
            at_end = _reads_the_same(writes[pipeline.key], actual.get(pipeline.key))
            step += not at_end and (step, True) in above
            moved[pipeline.key] = step, at_end
        elif above:
            moved[pipeline.key] = step, True
    placed = [replace(writes[p.key], item=replace(p, step=moved[p.key][0])) for p in known if p.key in writes]
    placed.sort(key=lambda action: action.item.step)
    return [*placed, *(action for action in actions if action.verb in ("start", "stop"))]


def _reads_the_same(action: Action, known: ActualPipeline | None) -> bool:
    if known is None or known.lost or action.after is None:
        return False
    return all(action.after["spec"].get(key) == known.spec.get(key) for key in ("input", "outputBranch"))


def _lost(pipeline: Pipeline, actual: Mapping[Key, ActualPipeline], target: Target) -> list[str]:
    """A text for a pipeline that would get no more jobs, because an input repo was deleted with force."""
    known = actual.get(pipeline.key)
    if known is None or not known.lost or target.state == "stopped":
        return []
    remedy = (
        "; declare its spec, or stop and start it" if pipeline.spec is None else "; the pipeline is updated"
    )
    output = f"{pipeline.label}@{known.output_branch}"
    return [f"pipeline {pipeline.label}: provenance of {output} lost {', '.join(known.lost)}{remedy}"]


def _writes(pipeline: Pipeline, known: ActualPipeline | None, spec: Spec, target: Target) -> list[Action]:
    stopped = known.stopped if known else False
    old = known.spec if known else None
    before = _shown(old, stopped) if old is not None else None
    actions = []
    # The same spec again makes pachd connect the output branch anew.
    lost = known.lost if known and pipeline.spec is not None and target.state != "stopped" else ()
    if known is None or spec != old or lost:
        verb = "update" if known else "create"
        # An update leaves a stopped pipeline stopped.
        after = _shown(spec, stopped, old)
        if known and before is not None and lost and spec == old:
            before["provenance"] = list(known.provenance)
            after["provenance"] = sorted({*known.provenance, *lost})
        actions.append(Action(verb, "pipeline", pipeline.label, before, after, pipeline))
        before = after
    if target.state == "stopped" and not stopped:
        after = _shown(spec, True, old)
        actions.append(Action("stop", "pipeline", pipeline.label, before, after, pipeline))
    if target.state == "started" and stopped:
        after = _shown(spec, False, old)
        actions.append(Action("start", "pipeline", pipeline.label, before, after, pipeline))
    return actions


def _deletes(declared: Sequence[Pipeline], actual: Mapping[Key, ActualPipeline], force: bool) -> list[Action]:
    """Downstream ones first. Without `force`, a pipeline whose output others read is an error."""
    gone = [replace(p, inputs=actual[p.key].inputs) for p in declared if p.key in actual]
    going = {pipeline.key for pipeline in gone}
    for pipeline in gone:
        readers = [f"{k[0]}/{k[1]}" for k, a in actual.items() if pipeline.key in a.inputs and k not in going]
        if readers and not force:
            raise PachydermError(
                f"{pipeline.where}: pipeline {pipeline.label}: {', '.join(readers)} reads its output;"
                " delete that first, or use force"
            )
    return [
        Action("delete", "pipeline", p.label, _shown(actual[p.key].spec, actual[p.key].stopped), None, p)
        for p in reversed(ordered(gone))
    ]


def _shown(spec: Spec, stopped: bool, old: Spec | None = None) -> dict[str, Any]:
    return {"spec": hide_env(spec, old), "stopped": stopped}
