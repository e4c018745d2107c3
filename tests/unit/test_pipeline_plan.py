# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to pipelines, as a table: declared, there, state, and the actions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._pipeline_plan import (
    ActualPipeline,
    Pipeline,
    Target,
    check_inputs,
    ordered,
    plan_pipelines,
)


def declared(name: str, *inputs: str) -> Pipeline:
    return Pipeline("default", name, {}, tuple(("default", repo) for repo in inputs), name)


def there(salt: int, stopped: bool = False, inputs: tuple[str, ...] = ()) -> ActualPipeline:
    repos = tuple(("default", repo) for repo in inputs)
    return ActualPipeline({"salt": salt}, repos, 1, stopped, "PIPELINE_RUNNING", "")


@pytest.mark.parametrize(
    ("actual", "wanted", "state", "verbs"),
    [
        (None, 1, "present", ["create"]),
        (None, 1, "started", ["create"]),
        (None, 1, "stopped", ["create", "stop"]),
        (None, None, "absent", []),
        (there(1), 1, "present", []),
        (there(1), 1, "started", []),
        (there(1), 1, "stopped", ["stop"]),
        (there(1), 1, "absent", ["delete"]),
        (there(1), 2, "present", ["update"]),
        (there(1), 2, "stopped", ["update", "stop"]),
        (there(1, stopped=True), 1, "present", []),
        (there(1, stopped=True), 1, "stopped", []),
        (there(1, stopped=True), 2, "present", ["update"]),
        (there(1, stopped=True), 2, "started", ["update", "start"]),
        (there(1, stopped=True), None, "started", ["start"]),
        (there(1), None, "started", []),
    ],
)
def test_table(actual: ActualPipeline | None, wanted: int | None, state: str, verbs: list[str]) -> None:
    key = ("default", "p")
    plan = plan_pipelines(
        [declared("p")],
        {key: actual} if actual else {},
        {} if wanted is None else {key: {"salt": wanted}},
        Target(state),
    )
    assert [action.verb for action in plan.actions] == verbs
    assert plan.changed == bool(verbs)
    assert bool(plan.diff["before"]) == bool(verbs and actual)
    assert bool(plan.diff["after"]) == bool(verbs and state != "absent")
    if state in ("started", "stopped") and verbs:
        assert plan.diff["after"]["pipeline default/p"]["stopped"] == (state == "stopped")


@pytest.mark.parametrize(
    ("spec", "state", "verbs", "warned"),
    [
        ({}, "present", ["update"], "the pipeline is updated"),
        ({}, "stopped", ["stop"], ""),
        (None, "started", [], "declare its spec, or stop and start it"),
    ],
)
def test_lost_provenance(spec: dict[str, int] | None, state: str, verbs: list[str], warned: str) -> None:
    key = ("default", "p")
    known = replace(there(1), provenance=("default/p.spec@master",), lost=("default/data@master",))
    wanted = {} if spec is None else {key: known.spec}
    plan = plan_pipelines([replace(declared("p"), spec=spec)], {key: known}, wanted, Target(state))
    assert [action.verb for action in plan.actions] == verbs
    assert [warned in warning for warning in plan.warnings] == ([True] if warned else [])
    assert plan.diff["before"] != plan.diff["after"] or not verbs


def test_state_of_what_is_not_there() -> None:
    with pytest.raises(PachydermError, match="pipeline default/p does not exist, and no spec is given"):
        plan_pipelines([declared("p")], {}, {}, Target("started"))


def test_every_order_gives_the_order_of_inputs() -> None:
    pipelines = [declared("a", "data"), declared("b", "a"), declared("c", "a", "b"), declared("d", "c", "a")]
    for order in itertools.permutations(pipelines):
        assert [pipeline.name for pipeline in ordered(order)] == ["a", "b", "c", "d"]


def test_independent_pipelines_stay_as_given() -> None:
    assert [p.name for p in ordered([declared("z"), declared("a"), declared("m")])] == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("pipelines", "circle"),
    [
        ([declared("a", "a")], "default/a reads default/a;"),
        (
            [declared("x"), declared("a", "b"), declared("b", "c"), declared("c", "a")],
            "default/a reads default/b",
        ),
    ],
)
def test_circle(pipelines: list[Pipeline], circle: str) -> None:
    with pytest.raises(PachydermError) as error:
        ordered(pipelines)
    assert circle in str(error.value)


def test_inputs_may_come_from_the_list() -> None:
    pipelines = [declared("a", "data"), declared("b", "a", "nope")]
    known = [("default", "data"), *(pipeline.key for pipeline in pipelines)]
    assert check_inputs(pipelines, known) == ["b: pipeline default/b: input repo default/nope does not exist"]


def test_delete_goes_downstream_first_and_not_without_force() -> None:
    actual = {("default", "a"): there(1, inputs=("data",)), ("default", "b"): there(1, inputs=("a",))}
    both = plan_pipelines([declared("a"), declared("b")], actual, {}, Target("absent"))
    assert [action.name for action in both.actions] == ["default/b", "default/a"]
    with pytest.raises(PachydermError, match="pipeline default/a: default/b reads its output"):
        plan_pipelines([declared("a")], actual, {}, Target("absent"))
    forced = plan_pipelines([declared("a")], actual, {}, Target("absent", force=True))
    assert [action.name for action in forced.actions] == ["default/a"]
