# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_pipeline and what others do at the same time or did before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _pipeline_write

from .conftest import Lab
from .pipelines import lab_with_data, run, spec, verbs

TIMEOUT = 60
COPY = "cp /pfs/data/* /pfs/out/"


@pytest.fixture
def data(lab: Lab) -> Lab:
    return lab_with_data(lab)


def make_again(lab: Lab) -> None:
    """Somebody deletes the input repo with force and makes it again, with another file."""
    lab.client.pfs.delete_repo(repo=pfs.Repo.from_uri("data"), force=True)
    lab.client.pfs.create_repo(repo=pfs.Repo.from_uri("data"))
    lab.put("/c", b"c")


def test_input_repo_made_again_is_connected_again(data: Lab) -> None:
    waiting = {"wait": True, "wait_timeout": TIMEOUT}
    run(data, pipeline=spec(script=COPY), **waiting)
    make_again(data)
    mended = run(data, pipeline=spec(script=COPY), **waiting)
    assert verbs(mended) == [("update", "default/p")]
    assert mended["warnings"] == [
        "pipeline default/p: provenance of default/p@master lost default/data@master; the pipeline is updated"
    ]
    before, after = (mended["diff"][side]["pipeline default/p"] for side in ("before", "after"))
    assert "default/data@master" not in before["provenance"]
    assert after["provenance"] == ["default/data@master", "default/p.spec@master"]
    assert before["spec"] == after["spec"]
    assert data.files("p") == {"/c": b"c"}
    data.put("/d", b"d")
    again = run(data, pipeline=spec(script=COPY), **waiting)
    assert not again["changed"]
    assert again["warnings"] == []
    assert data.files("p") == {"/c": b"c", "/d": b"d"}


def test_lost_provenance_of_a_pipeline_without_its_spec_is_a_warning(data: Lab) -> None:
    run(data, pipeline=spec())
    make_again(data)
    started = run(data, name="p", state="started")
    assert not started["changed"]
    assert "lost default/data@master; declare its spec, or stop and start it" in started["warnings"][0]
    assert verbs(run(data, name="p", state="stopped")) == [("stop", "default/p")]
    assert verbs(run(data, name="p", state="started")) == [("start", "default/p")]
    assert run(data, name="p", state="started")["warnings"] == []


def test_stopped_pipeline_has_lost_nothing(data: Lab) -> None:
    run(data, pipeline=spec(), state="stopped")
    assert not run(data, pipeline=spec())["changed"]


@pytest.mark.parametrize(("theirs", "actions"), [("true", []), ("false", [("update", "default/b")])])
def test_pipeline_made_by_somebody_else_meanwhile(
    data: Lab, monkeypatch: pytest.MonkeyPatch, theirs: str, actions: list[tuple[str, str]]
) -> None:
    write = _pipeline_write._write

    def too_late(pachd: Any, actions: Any, *others: Any) -> None:
        if "b" not in [info.pipeline.name for info in data.client.pps.list_pipeline()]:
            text = json.dumps(spec("b", script=theirs))
            data.client.pps.create_pipeline_v2(create_pipeline_request_json=text)
        write(pachd, actions, *others)

    monkeypatch.setattr(_pipeline_write, "_write", too_late)
    result = data.run("pipeline", pipelines=[spec("a"), spec("b"), spec("c")])
    assert verbs(result) == [("create", "default/a"), *actions, ("create", "default/c")]
    assert [pipeline["version"] for pipeline in result["pipelines"]] == [1, 1 + len(actions), 1]


def with_env(word: str, **fields: Any) -> dict[str, Any]:
    env = {"DB_PASSWORD": word, "WORD": word, "SAME": "hush-same"}
    return spec(transform={"cmd": ["true"], "env": env}, **fields)


def test_no_value_of_a_variable_is_shown(data: Lab) -> None:
    results = [
        run(data, pipeline=with_env("hush-1")),
        run(data, pipelines=[with_env("hush-2", description="d")], state="stopped"),
        run(data, pipeline=with_env("hush-3", bogus=1)),
        run(data, pipeline=with_env("hush-4", datum_tries=[])),
        run(data, pipeline=with_env("hush-5", input={})),
        data.run("info", gather=["pipelines"]),
        run(data, name="p", state="absent"),
    ]
    assert [bool(result.get("failed")) for result in results] == [False] * 2 + [True] * 3 + [False] * 2
    for result in results:
        assert "hush" not in json.dumps(result)
    sides = [results[1]["diff"][side]["pipeline default/p"] for side in ("before", "after")]
    before, after = (side["spec"]["transform"]["env"] for side in sides)
    assert before == {"DB_PASSWORD": "(hidden)", "WORD": "(hidden)", "SAME": "(hidden)"}
    assert after == {**before, "DB_PASSWORD": "(hidden, changed)", "WORD": "(hidden, changed)"}
    assert results[5]["pipelines"][0]["spec"]["transform"]["env"] == before
    assert data.mutations().count("CreatePipelineV2") == 2


def test_variable_of_another_type_is_named_and_not_shown(data: Lab) -> None:
    result = run(data, pipeline=spec(transform={"cmd": ["true"], "env": {"PIN": 481516}}))
    assert result["msg"] == (
        "pipeline: pipeline default/p: transform.env.PIN: must be a text in quotes, not a number"
    )
    assert "481516" not in json.dumps(result)
