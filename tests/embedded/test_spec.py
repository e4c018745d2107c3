# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective specs: layers of defaults, the texts that are stored and answered, names filled in."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pps

from pachd_embedded.errors import PachError
from pachd_embedded.pps.inputs import walk_inputs, with_default_names
from pachd_embedded.pps.spec import (
    INITIAL_CLUSTER_DEFAULTS,
    EffectiveSpec,
    make_effective,
    parse_defaults,
    parse_spec,
)
from pachd_embedded.pps.spec_check import check_spec

GPU_SPEC = """{
  "pipeline": {"name": "gpu"},
  "transform": {"image": "novella/tensorflow-pachyderm:gputest", "cmd": ["/bin/bash"],
                "stdin": ["python /code/gpu.py > /pfs/out/output-logs.txt"]},
  "input": {"pfs": {"repo": "data", "glob": "/"}},
  "resource_limits": {"memory": "1G", "cpu": 1, "gpu": {"type": "nvidia.com/gpu", "number": 1}}
}"""


def spec(**changes: Any) -> str:
    """The text of a small valid spec with top-level keys replaced; None leaves a key out."""
    whole = {
        "pipeline": {"name": "p"},
        "transform": {"cmd": ["true"]},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
    }
    return json.dumps({key: value for key, value in (whole | changes).items() if value is not None})


def pfs_input(**changes: Any) -> dict[str, Any]:
    return {"pfs": {"repo": "data", "glob": "/*"} | changes}


def refusal(text: str, **defaults: str) -> PachError:
    with pytest.raises(PachError) as caught:
        make_effective(text, **defaults)
    return caught.value


def test_a_null_list_is_refused_by_the_merging() -> None:
    error = refusal(spec(transform={"cmd": None}))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert error.text == "could not make effective spec: expected []any; got <nil> in transform.cmd"


def test_a_gpu_pipeline_gets_the_cluster_defaults() -> None:
    made = make_effective(GPU_SPEC, INITIAL_CLUSTER_DEFAULTS)
    assert made.user_json == GPU_SPEC
    assert made.effective_json == (
        '{"datumTries":"3","input":{"pfs":{"glob":"/","repo":"data"}},"outputBranch":"master",'
        '"pipeline":{"name":"gpu"},"reprocessSpec":"until_success",'
        '"resourceLimits":{"cpu":1,"gpu":{"number":1,"type":"nvidia.com/gpu"},"memory":"1G"},'
        '"resourceRequests":{"cpu":1,"disk":"1Gi","memory":"256Mi"},'
        '"sidecarResourceRequests":{"cpu":1,"disk":"1Gi","memory":"256Mi"},'
        '"transform":{"cmd":["/bin/bash"],"image":"novella/tensorflow-pachyderm:gputest",'
        '"stdin":["python /code/gpu.py \\u003e /pfs/out/output-logs.txt"]}}'
    )
    answer = json.loads(made.response_json(update=False, reprocess=False))
    assert answer["pipeline"] == {"project": {"name": "default"}, "name": "gpu"}
    assert answer["datumTries"] == "3"
    assert answer["resourceLimits"]["gpu"]["number"] == "1"
    assert "update" not in answer
    assert made.request.pipeline.project.name == "default"
    assert made.request.resource_requests.disk == "1Gi"
    assert made.request.resource_limits.gpu.number == 1
    check_spec(made.request)


def test_the_answer_carries_the_flags_of_the_call_and_not_those_of_the_spec() -> None:
    made = make_effective(spec(update=True, reprocess=True))
    plain = json.loads(made.response_json(update=False, reprocess=False))
    flagged = json.loads(made.response_json(update=True, reprocess=True))
    assert "update" not in plain
    assert "reprocess" not in plain
    assert (flagged["update"], flagged["reprocess"]) == (True, True)


def test_the_answer_does_not_show_what_is_filled_into_the_request_later() -> None:
    made = make_effective(spec())
    before = made.response_json(update=False, reprocess=False)
    with_default_names(made.request)
    made.request.salt = "s"
    assert made.response_json(update=False, reprocess=False) == before
    assert json.loads(before)["input"] == {"pfs": {"repo": "data", "glob": "/*"}}


@pytest.mark.parametrize(
    ("written", "kept"),
    [("5", "5"), ('"5"', '"5"'), ("5.0", "5"), ("1e2", "100")],
)
def test_numbers_stay_as_the_user_wrote_them(written: str, kept: str) -> None:
    made = make_effective('{"pipeline":{"name":"p"},"datumTries":' + written + "}")
    assert f'"datumTries":{kept},' in made.effective_json
    assert made.request.datum_tries == int(float(kept.strip('"')))


def test_layers_merge_key_by_key_and_null_removes() -> None:
    cluster = '{"create_pipeline_request":{"resource_requests":{"cpu":1,"memory":"1Gi"},"autoscaling":true}}'
    project = '{"createPipelineRequest":{"resourceRequests":{"cpu":2},"datumTries":7}}'
    user = spec(resource_requests={"memory": None, "disk": "9Gi"}, datum_tries=None, autoscaling=False)
    request = make_effective(user, cluster, project).request
    assert (request.resource_requests.cpu, request.resource_requests.memory) == (2, "")
    assert request.resource_requests.disk == "9Gi"
    assert request.datum_tries == 7
    assert request.autoscaling is False


def test_null_removes_a_built_in_default_too() -> None:
    made = make_effective('{"pipeline":{"name":"p"},"datumTries":null,"transform":null}')
    assert json.loads(made.effective_json) == {
        "outputBranch": "master",
        "pipeline": {"name": "p"},
        "reprocessSpec": "until_success",
    }


def test_enums_merge_by_name() -> None:
    made = make_effective(spec(tolerations=[{"operator": 1, "toleration_seconds": 5}]))
    assert json.loads(made.effective_json)["tolerations"] == [{"operator": "EXISTS", "tolerationSeconds": 5}]


def test_a_oneof_set_by_two_layers_is_refused() -> None:
    cluster = '{"createPipelineRequest":{"egress":{"objectStorage":{"url":"s3://b"}}}}'
    error = refusal(spec(egress={"sqlDatabase": {}}), cluster_defaults_json=cluster)
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "oneof pps_v2.Egress.target is already set" in error.text


def test_parse_spec_gives_lower_camel_case_keys() -> None:
    assert parse_spec('{"datum_set_spec":{"per_worker":2},"metadata":{"labels":{"a_b":"c"}}}') == {
        "datumSetSpec": {"perWorker": "2"},
        "metadata": {"labels": {"a_b": "c"}},
    }


@pytest.mark.parametrize("text", ["", "nope", "[]", '{"bogus":1}', '{"createPipelineRequest":{"gpu":1}}'])
@pytest.mark.parametrize("kind", ["cluster", "project"])
def test_bad_defaults_are_refused(text: str, kind: Any) -> None:
    with pytest.raises(PachError) as caught:
        parse_defaults(text, kind)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.text.startswith(f"invalid {kind} defaults JSON: proto: ")
    assert "\n" not in caught.value.text


def test_defaults_that_no_pipeline_could_have_are_refused() -> None:
    with pytest.raises(PachError, match="ReprocessSpec must be one of"):
        parse_defaults('{"createPipelineRequest":{"reprocessSpec":"never"}}', "cluster")


@pytest.mark.parametrize("text", ["{}", INITIAL_CLUSTER_DEFAULTS, '{"createPipelineRequest":{}}'])
def test_good_defaults_are_taken(text: str) -> None:
    parse_defaults(text, "cluster")
    assert make_effective(spec(), text).request.output_branch == "master"


def filled(changes: dict[str, Any], project: str = "pj") -> pps.CreatePipelineRequest:
    made: EffectiveSpec = make_effective(
        spec(pipeline={"name": "p", "project": {"name": project}}, input=changes)
    )
    return with_default_names(made.request)


def test_pfs_inputs_get_the_names_that_pachd_gives_them() -> None:
    found = next(iter(walk_inputs(filled({"pfs": {"repo": "data", "glob": "a/./b/"}}).input)))
    assert (found.name, found.branch, found.project, found.repo_type) == ("data", "master", "pj", "user")
    assert found.glob == "/a/b"


def test_names_that_the_user_gave_stay() -> None:
    given = pfs_input(name="n", branch="b", project="other", repoType="meta", glob="/")
    found = next(iter(walk_inputs(filled(given).input)))
    assert (found.name, found.branch, found.project, found.repo_type) == ("n", "b", "other", "meta")
    assert found.glob == "/"


def test_inputs_of_a_cross_are_sorted_by_the_names_given() -> None:
    inner = {"union": [pfs_input(name="c"), pfs_input(name="b")]}
    request = filled({"cross": [pfs_input(name="z"), inner, pfs_input(name="a")]})
    assert [found.name for found in walk_inputs(request.input)] == ["a", "b", "c", "z"]


def test_triggers_and_crons_get_their_own_branch_and_repo() -> None:
    request = filled(
        {
            "cross": [
                pfs_input(name="a", trigger={"commits": 2}),
                pfs_input(name="b", trigger={"commits": 2, "branch": "dev"}),
                {"cron": {"name": "tick", "spec": "@daily"}},
            ]
        }
    )
    cron, first, second = walk_inputs(request.input)
    assert (first.branch, first.trigger.branch) == ("p-trigger-1", "master")
    assert (second.branch, second.trigger.branch) == ("p-trigger-2", "dev")
    assert (cron.repo, cron.project) == ("p_tick", "pj")
