# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines in transactions: which go together, what a request holds, how defaults are merged."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from pachyderm_sdk.api import pps

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._pipeline_plan import (
    ActualPipeline,
    Pipeline,
    Target,
    plan_pipelines,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._pipeline_write import batches
from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_message import request_message
from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_normal import merged, normal
from pachd_embedded.pps import protojson

RICH: dict[str, Any] = {
    "pipeline": {"name": "p", "project": {"name": "default"}},
    "transform": {
        "image": "i",
        "cmd": ["a"],
        "env": {"A_B": "1", "a_b": "2"},
        "secrets": [{"name": "s", "key": "k", "envVar": "E"}],
        "acceptReturnCode": ["3", 4],
        "debug": True,
    },
    "parallelismSpec": {"constant": "2"},
    "input": {
        "cross": [
            {
                "pfs": {
                    "repo": "r",
                    "glob": "/*",
                    "trigger": {"branch": "b", "commits": "3"},
                    "emptyFiles": True,
                }
            },
            {"cron": {"name": "c", "spec": "@daily", "start": "2020-01-01T00:00:00Z"}},
        ]
    },
    "resourceRequests": {"cpu": 0.01, "memory": "1G", "gpu": {"type": "nvidia.com/gpu", "number": "1"}},
    "datumTimeout": "300.500s",
    "datumTries": "5",
    "datumSetSpec": {"number": "2", "sizeBytes": "100"},
    "schedulingSpec": {"nodeSelector": {"a_b": "1"}},
    "tolerations": [
        {"key": "k", "operator": "EXISTS", "effect": "NO_EXECUTE", "tolerationSeconds": "5"},
        {"key": "l", "operator": "EXISTS", "effect": "NO_EXECUTE", "tolerationSeconds": "0"},
    ],
    "egress": {"URL": "s3://x"},
    "autoscaling": True,
}


def test_a_request_holds_what_the_spec_says() -> None:
    message = pps.CreatePipelineRequest.FromString(bytes(request_message(RICH)))
    assert normal(json.loads(protojson.render(message)), "default") == normal(RICH, "default")


def test_what_is_given_empty_is_not_left_out() -> None:
    spec = {"pipeline": {"name": "p"}, "spout": {}, "egress": {"objectStorage": {}}}
    message = pps.CreatePipelineRequest.FromString(bytes(request_message(spec)))
    shown = json.loads(protojson.render(message))
    assert (shown["spout"], shown["egress"]) == ({}, {"objectStorage": {}})


def test_a_field_that_the_sdk_does_not_know_is_named() -> None:
    with pytest.raises(PachydermError, match=r"transform\.bogus: the installed pachyderm-sdk does not know"):
        request_message({"transform": {"bogus": 1}})


@pytest.mark.parametrize(
    ("spec", "whole"),
    [
        ({}, {"datumTries": "3", "resourceRequests": {"cpu": 1, "memory": "1G"}}),
        ({"datum_tries": 0}, {"datumTries": 0, "resourceRequests": {"cpu": 1, "memory": "1G"}}),
        ({"datumTries": None}, {"resourceRequests": {"cpu": 1, "memory": "1G"}}),
        (
            {"resource_requests": {"cpu": 2}},
            {"datumTries": "3", "resourceRequests": {"cpu": 2, "memory": "1G"}},
        ),
        ({"resourceRequests": None}, {"datumTries": "3"}),
    ],
)
def test_a_spec_over_defaults(spec: dict[str, Any], whole: dict[str, Any]) -> None:
    defaults = {"datumTries": "3", "resourceRequests": {"cpu": 1, "memory": "1G"}}
    assert merged(defaults, spec, pps.CreatePipelineRequest) == whole


def test_names_of_variables_are_no_names_of_fields() -> None:
    defaults = {"transform": {"env": {"A_B": "1"}}}
    made = merged(defaults, {"transform": {"env": {"ab": "2"}}}, pps.CreatePipelineRequest)
    assert made["transform"]["env"] == {"A_B": "1", "ab": "2"}


def pipeline(name: str, inputs: list[str]) -> Pipeline:
    return Pipeline("default", name, {}, tuple(("default", repo) for repo in inputs), name)


@pytest.mark.parametrize("seed", range(200))
def test_none_gets_its_commit_before_what_it_reads(seed: int) -> None:
    """Random graphs of pipelines, some new, some updated, some with a new input, some left as they are.

    One that gets its commit at once must not be in the same transaction as what it reads, itself or through
    others, if that gets its own at the end only. No transaction is more than is needed for that.
    """
    draw = random.Random(seed)
    names = [f"p{number}" for number in range(8)]
    reads = {
        name: draw.sample(names[:place], draw.randint(0, min(2, place))) for place, name in enumerate(names)
    }
    kind = {name: draw.choice(["create", "update", "input", "same"]) for name in names}
    actual, wanted = {}, {}
    for name in names:
        if kind[name] != "create":
            spec = {"salt": "old", "input": "old" if kind[name] == "input" else reads[name]}
            inputs = tuple(("default", repo) for repo in reads[name])
            actual["default", name] = ActualPipeline(spec, inputs, 1, False, "", "")
        salt = "old" if kind[name] in ("same", "input") else "new"
        wanted["default", name] = {"salt": salt, "input": reads[name]}
    plan = plan_pipelines([pipeline(name, reads[name]) for name in names], actual, wanted, Target())
    steps = {action.item.name: action.item.step for action in plan.actions}
    assert set(steps) == {name for name in names if kind[name] != "same"}
    assert [len({action.item.step for action in batch}) for batch in batches(plan)] == [1] * len(
        batches(plan)
    )
    order = [action.item.name for action in plan.actions]
    for name in names:
        for above in reads[name]:
            if name in steps and above in steps:
                assert order.index(above) < order.index(name)
    at_end: dict[str, set[int]] = {}
    for name in names:
        before = set().union(*(at_end[repo] for repo in reads[name]))
        if kind[name] in ("create", "input"):
            assert steps[name] not in before
            at_end[name] = set()
        else:
            moved = before | {steps[repo] for repo in reads[name] if repo in steps}
            at_end[name] = moved | ({steps[name]} if name in steps else set())
    if not any(kind[above] in ("update", "same") for name in names for above in reads[name]):
        assert set(steps.values()) <= {0}
    for earlier, later in itertools.pairwise(sorted(set(steps.values()))):
        assert later == earlier + 1
