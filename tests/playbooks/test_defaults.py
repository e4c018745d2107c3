# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_defaults: set, again, change, omit, absent, each with its check-mode twin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pachyderm_sdk.api import pfs, pps

from .conftest import Lab


def request(**fields: Any) -> dict[str, Any]:
    return {"createPipelineRequest": fields}


def both(lab: Lab, **options: Any) -> dict[str, Any]:
    """The result of a run that check mode has told beforehand."""
    predicted = lab.run("defaults", check=True, **options)
    result = lab.run("defaults", **options)
    assert predicted == result
    return result


def pipeline(lab: Lab, project: str | None = "default") -> None:
    lab.run("repo", name="data")
    name = {"name": "p"} | ({"project": {"name": project}} if project else {})
    spec = {"pipeline": name, "input": {"pfs": {"repo": "data", "glob": "/"}}, "transform": {"cmd": ["true"]}}
    lab.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))


def inspect(lab: Lab) -> Any:
    return lab.client.pps.inspect_pipeline(
        pipeline=pps.Pipeline(name="p", project=pfs.Project(name="default")), details=True
    )


@pytest.mark.parametrize("project", [None, "vision"])
def test_life(lab: Lab, project: str | None) -> None:
    lab.run("project", name="vision")
    one, two = request(datumTries=1), request(datumTries=2)
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"spec": one}, True),
        ({"spec": one}, False),
        ({"spec": {"create_pipeline_request": {"datum_tries": "1"}}}, False),
        ({"spec": two}, True),
        ({"spec": request(datumTries=None)}, True),
        ({"spec": request(datumTries=None)}, False),
        ({"spec": request(autoscaling=False)}, True),
        ({"spec": request(autoscaling=False)}, False),
        ({"state": "absent"}, True),
        ({"state": "absent"}, False),
        ({"spec": {}}, False),
        ({"spec": request()}, False),
    ]
    for options, changed in steps:
        result = both(lab, **options, **({"project": project} if project else {}))
        assert result.get("changed") is changed, (options, result)


def test_what_is_written(lab: Lab) -> None:
    lab.run("project", name="vision")
    spec = request(resourceRequests={"cpu": 0.5, "memory": "64Mi"})
    declared = [{"spec": spec}, {"project": "vision", "spec": request(datumTries=1)}]
    result = both(lab, defaults=declared)
    assert [action["name"] for action in result["actions"]] == ["cluster", "project vision"]
    assert result["diff"]["after"]["defaults cluster"] == {"spec": spec}
    assert json.loads(lab.client.pps.get_cluster_defaults().cluster_defaults_json) == spec
    answer = lab.client.pps.get_project_defaults(project=pfs.Project(name="vision"))
    assert json.loads(answer.project_defaults_json) == request(datumTries=1)
    assert not both(lab, defaults=declared)["changed"]
    assert both(lab, defaults=[{}, {"project": "vision"}], state="absent")["changed"]


def test_regenerate_brings_them_into_pipelines(lab: Lab) -> None:
    pipeline(lab)
    spec = request(datumTries=7)
    both(lab, spec=spec)
    assert inspect(lab).version == 1
    result = both(lab, spec=spec, regenerate=True)
    assert result["diff"]["after"]["defaults cluster"]["updated_pipelines"] == ["default/p"]
    assert (inspect(lab).version, inspect(lab).details.datum_tries) == (2, 7)
    assert not both(lab, spec=spec, regenerate=True)["changed"]
    salt = inspect(lab).details.salt
    assert both(lab, project="default", spec=request(datumTries=8), regenerate=True, reprocess=True)[
        "changed"
    ]
    assert inspect(lab).details.salt != salt


def test_a_pipeline_that_names_no_project(lab: Lab) -> None:
    pipeline(lab, project=None)
    result = lab.run("defaults", spec=request(datumTries=7), regenerate=True)
    assert "names no project, and pachd wants it: update that first" in result["msg"]


def test_a_project_that_does_not_exist(lab: Lab) -> None:
    declared: dict[str, Any] = {"project": "soon", "spec": request(datumTries=1)}
    result = lab.run("defaults", check=True, **declared)
    assert result["changed"]
    assert result["warnings"] == ["project soon does not exist yet"]
    assert "project soon does not exist; create it first" in lab.run("defaults", **declared)["msg"]
    assert not both(lab, project="soon", state="absent")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "spec: is required"),
        ({"spec": {"datumTries": 1}}, "spec: datumTries: only createPipelineRequest is allowed here"),
        ({"spec": {"createPipelineRequest": []}}, "spec.createPipelineRequest: must be a mapping"),
        ({"spec": {}, "reprocess": True}, "reprocess: only together with regenerate"),
        ({"spec": {}, "project": "-"}, 'project: project name "-"'),
        (
            {"defaults": [{"spec": {}}, {"spec": {}}]},
            "defaults[1]: defaults of cluster is declared in defaults[0]",
        ),
        (
            {"defaults": [{"spec": request(datumTries=1)}, {"project": "default", "spec": request(bogus=1)}]},
            "defaults[1].spec: defaults of project default:",
        ),
    ],
)
def test_bad_input_writes_nothing(lab: Lab, options: dict[str, Any], message: str) -> None:
    result = lab.run("defaults", **options)
    assert result["failed"]
    assert message in result["msg"]
    assert lab.mutations() == []
