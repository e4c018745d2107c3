# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_pipeline: specs compared, files read, and bad ones told as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab
from .pipelines import gpus, lab_with_data, run, spec, verbs

TIMEOUT = 60


@pytest.fixture
def data(lab: Lab) -> Lab:
    return lab_with_data(lab)


def test_create_then_nothing(data: Lab) -> None:
    first = run(data, pipeline=spec())
    assert verbs(first) == [("create", "default/p")]
    assert first["pipelines"][0]["version"] == 1
    seen = data.mutations()
    again = run(data, pipeline=spec(), reprocess=True, wait=True, wait_timeout=TIMEOUT)
    assert not again["changed"]
    assert again["jobs"][0]["state"] == "JOB_SUCCESS"
    assert data.mutations() == seen


@pytest.mark.parametrize(
    "same",
    [
        {"datumTries": 3},
        {"datum_tries": "3"},
        {"resource_requests": {"cpu": 1.0, "memory": "256Mi"}},
        {"autoscaling": False, "description": ""},
        {"pipeline": {"name": "p", "project": {"name": "default"}}},
        {
            "input": {
                "pfs": {
                    "project": "default",
                    "name": "data",
                    "repo": "data",
                    "branch": "master",
                    "glob": "/*",
                }
            }
        },
    ],
)
def test_same_meaning_in_other_words_changes_nothing(data: Lab, same: dict[str, Any]) -> None:
    data.run("pipeline", pipeline=spec())
    assert not run(data, pipeline={**spec(), **same})["changed"]


@pytest.mark.parametrize(
    "fields",
    [
        {"resource_limits": {"cpu": 0.01, "gpu": {"type": "nvidia.com/gpu", "number": "1"}}},
        {"datum_timeout": "300.5s", "job_timeout": "10s"},
        {"metadata": {"labels": {"some_key": "x"}}, "scheduling_spec": {"node_selector": {"some_key": "1"}}},
        {
            "tolerations": [
                {"key": "k", "operator": "EXISTS", "effect": "NO_EXECUTE", "toleration_seconds": "5"}
            ]
        },
        {"datum_set_spec": {"number": 2}, "parallelism_spec": {"constant": "2"}},
        {"resource_requests": None, "salt": "s"},
        {"pod_patch": "[]", "output_branch": "dev"},
    ],
)
def test_every_field_settles(data: Lab, fields: dict[str, Any]) -> None:
    """Whatever a spec says, the second run changes nothing."""
    assert run(data, pipeline=spec(**fields))["changed"]
    again = run(data, pipeline=spec(**fields))
    assert not again["changed"], again["diff"]


def test_update_keeps_results_unless_reprocess(data: Lab) -> None:
    waiting = {"wait": True, "wait_timeout": TIMEOUT}
    run(data, pipeline=spec(script="cp /pfs/data/* /pfs/out/"), **waiting)
    updated = run(data, pipeline=spec(script="cp  /pfs/data/* /pfs/out/"), **waiting)
    assert verbs(updated) == [("update", "default/p")]
    assert updated["jobs"][0]["datums"] | {"recovered": 0} == datums(skipped=2)
    again = run(data, pipeline=spec(script="cp   /pfs/data/* /pfs/out/"), reprocess=True, **waiting)
    assert again["jobs"][0]["datums"] == datums(processed=2)
    assert again["pipelines"][0]["version"] == 3


def datums(processed: int = 0, skipped: int = 0, failed: int = 0) -> dict[str, int]:
    total = processed + skipped + failed
    return {"processed": processed, "skipped": skipped, "failed": failed, "recovered": 0, "total": total}


def test_started_stopped_absent(data: Lab) -> None:
    assert verbs(run(data, pipeline=spec(), state="stopped")) == [
        ("create", "default/p"),
        ("stop", "default/p"),
    ]
    assert not run(data, pipeline=spec(), state="stopped")["changed"]
    assert not run(data, name="p", state="stopped")["changed"]
    kept = run(data, pipeline=spec(description="d"))
    assert verbs(kept) == [("update", "default/p")]
    assert kept["pipelines"][0]["stopped"]
    started = run(data, name="p", state="started", wait=True, wait_timeout=TIMEOUT)
    assert verbs(started) == [("start", "default/p")]
    assert started["jobs"][0]["state"] == "JOB_SUCCESS"
    assert not run(data, name="p", state="started")["changed"]
    assert verbs(run(data, name="p", state="absent")) == [("delete", "default/p")]
    assert not run(data, name="p", state="absent")["changed"]
    assert "default/p does not exist" in run(data, name="p", state="started")["msg"]


def test_stopped_pipeline_is_not_waited_for(data: Lab) -> None:
    data.run("pipeline", pipeline=spec(), state="stopped")
    result = data.run("pipeline", pipeline=spec(), wait=True, wait_timeout=TIMEOUT)
    assert result["jobs"] == []
    assert result["warnings"] == ["pipeline default/p is stopped; its jobs are not waited for"]


def test_list_is_put_in_the_order_of_inputs(data: Lab) -> None:
    specs = [
        spec("c", "b"),
        spec("a", "data", "cp /pfs/data/* /pfs/out"),
        spec("b", "a", "cp /pfs/a/* /pfs/out"),
    ]
    made = run(data, pipelines=specs, wait=True, wait_timeout=TIMEOUT)
    assert verbs(made) == [("create", "default/a"), ("create", "default/b"), ("create", "default/c")]
    assert [(job["pipeline"], job["state"]) for job in made["jobs"]] == [
        ("a", "JOB_SUCCESS"),
        ("b", "JOB_SUCCESS"),
        ("c", "JOB_SUCCESS"),
    ]
    assert "default/b reads its output" in run(data, name="a", state="absent")["msg"]
    gone = run(data, pipelines=[{"name": name} for name in "abc"], state="absent")
    assert verbs(gone) == [("delete", "default/c"), ("delete", "default/b"), ("delete", "default/a")]


def test_circle_is_named(data: Lab) -> None:
    result = run(data, pipelines=[spec("a", "b"), spec("b", "a")])
    assert "in a circle: default/a reads default/b reads default/a" in result["msg"]


def test_missing_input_repo(lab: Lab) -> None:
    predicted = lab.run("pipeline", check=True, pipeline=spec(repo="nope"))
    text = "pipeline: pipeline default/p: input repo default/nope does not exist"
    assert predicted["changed"]
    assert predicted["warnings"] == [f"{text} yet"]
    assert lab.run("pipeline", pipeline=spec(repo="nope"))["msg"] == f"{text}; create it first"
    assert lab.mutations() == []


def test_missing_project(data: Lab) -> None:
    options: dict[str, Any] = {"pipeline": spec(), "project": "soon"}
    options["pipeline"]["input"]["pfs"]["project"] = "default"
    predicted = data.run("pipeline", check=True, **options)
    assert predicted["warnings"] == ["pipeline: pipeline soon/p: project soon does not exist yet"]
    assert "project soon does not exist; create it first" in data.run("pipeline", **options)["msg"]
    data.run("project", name="soon")
    assert verbs(run(data, **options)) == [("create", "soon/p")]
    assert not run(data, **options)["changed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bogus": 1}, 'pipeline: pipeline default/p: unknown field "bogus" (bogus)'),
        ({"input": {"pfs": {"repo": "data", "globb": "/"}}}, 'unknown field "globb" (input.pfs.globb)'),
        ({"input": {"pfs": {"repo": "data"}}}, "input must specify a glob"),
        ({"datum_tries": "many"}, "datum_tries: must be a whole number, not 'many'"),
        ({"transform": {"cmd": "true"}}, "pipeline: pipeline default/p: transform.cmd: must be a list"),
        ({"datum_timeout": 30}, 'datum_timeout: must be a text of seconds such as "30s", not 30'),
        ({"resource_limits": gpus(0)}, "resource_limits.gpu.number: must be at least 1, not 0; leave gpu"),
        ({"resource_limits": gpus(-1)}, "resource_limits.gpu.number: must be at least 1, not -1"),
        ({"resource_requests": gpus("0")}, "resource_requests.gpu.number: must be at least 1, not 0"),
        (
            {"resourceLimits": gpus("3")},
            "pipeline: pipeline default/p: resource_limits.gpu.number: asks for 3 GPUs for each worker,"
            " and there are 2 in all; ask for fewer",
        ),
        ({"pipeline": {"name": "p-"}}, 'pipeline name "p-": must end with a letter or a digit'),
        ({"pipeline": {"name": "p" * 52}}, "1 characters longer than the 51 that are allowed"),
        ({"pipeline": {}}, "pipeline: pipeline.name: is required"),
        ({"pipeline": {"name": "taken"}}, "a repo of this name is in the way"),
        ({"pipeline": {"name": "data"}}, "in a circle: default/data reads default/data"),
        ({"input": {"git": {"URL": "x"}}}, "pipeline: input.git: 2.x has no git input"),
    ],
)
def test_bad_spec_is_told_in_one_line(data: Lab, change: dict[str, Any], message: str) -> None:
    seen = data.mutations()
    for check in (True, False):
        result = data.run("pipeline", check=check, pipeline={**spec(), **change})
        assert message in result["msg"]
        assert len(result["msg"]) < 250
    assert data.mutations() == seen


def test_files_in_each_form(data: Lab, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("\n".join(json.dumps(spec(name)) for name in ("a", "b")))
    (tmp_path / "list.json").write_text(json.dumps([spec("c")]))
    (tmp_path / "docs.yaml").write_text(
        "---\n" + "\n---\n".join(json.dumps(spec(name)) for name in ("d", "e"))
    )
    sources = [{"src": str(tmp_path / name)} for name in ("rows.json", "list.json", "docs.yaml")]
    result = run(data, pipelines=[*sources, spec("f")])
    assert [name for _, name in verbs(result)] == [f"default/{name}" for name in "abcdef"]
    assert not run(data, src=sources[0]["src"])["changed"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", '{\n  "pipeline": {"name": "p"},,\n}', "p.json:2:29: not JSON: "),
        ("p.json", '{"a": 1, "a": 2}', 'p.json: "a" is there twice in one mapping'),
        ("p.yaml", "pipeline:\n  name: p\n bad: 1\n", "p.yaml:3:2: not YAML: "),
        ("p.yaml", "a: 1\nb: 2\na: 3\n", 'p.yaml:3:1: not YAML: "a" is there twice in one mapping'),
        ("p.yaml", "- just text\n", "p.yaml: spec 1 is a str"),
        ("p.yaml", "# nothing\n", "p.yaml: holds no pipeline spec"),
    ],
)
def test_bad_file_is_told_with_its_line(
    data: Lab, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    assert f"{tmp_path}/{message}" in run(data, src=str(tmp_path / name))["msg"]


def test_missing_file(data: Lab) -> None:
    assert run(data, src="/nowhere/p.json")["msg"] == "src: /nowhere/p.json: No such file or directory"


def test_tutorial_of_1x_runs(data: Lab) -> None:
    old = {
        "pipeline": {"name": "gpu"},
        "transform": {"cmd": ["sh"], "stdin": ["echo $NVIDIA_VISIBLE_DEVICES > /pfs/out/logs.txt"]},
        "resource_limits": {"memory": "1G", "gpu": 1},
        "input": {"atom": {"repo": "data", "glob": "/"}},
    }
    result = run(data, pipeline=old, wait=True, wait_timeout=TIMEOUT)
    assert result["warnings"] == [
        "pipeline: resource_limits.gpu 1 is now type nvidia.com/gpu, number 1",
        "pipeline: input.atom is now input.pfs",
    ]
    assert data.files("gpu")["/logs.txt"].strip()
    assert not run(data, pipeline=old)["changed"]
