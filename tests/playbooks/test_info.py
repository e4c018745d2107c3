# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_info, and what every module says when it cannot work at all."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
from pachyderm_sdk.api import auth, pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _sdk

from .conftest import Lab, run_module

ALL = ["projects", "repos", "branches", "pipelines", "jobs", "files"]
NOWHERE = "grpc://127.0.0.1:1"


@pytest.fixture
def filled(lab: Lab) -> Lab:
    lab.run("project", name="vision", description="Images")
    lab.run("repo", repos=[{"name": "data", "description": "d"}, {"name": "images", "project": "vision"}])
    lab.put("/t.txt", b"text\n")
    lab.put("/d/b.bin", b"\xff\x00")
    spec = {
        "pipeline": {"name": "p"},
        "input": {"pfs": {"repo": "data", "glob": "/"}},
        "transform": {"cmd": ["sh"], "stdin": ["cp /pfs/data/t.txt /pfs/out"]},
    }
    assert lab.run("pipeline", pipeline=spec, wait=True, wait_timeout=60)["changed"]
    return lab


def test_all_at_once(filled: Lab) -> None:
    seen = filled.mutations()
    result = filled.run("info", gather=ALL, repo="data", content=True)
    assert filled.mutations() == seen
    assert not result["changed"]
    assert [(p["name"], p["description"]) for p in result["projects"]] == [
        ("default", ""),
        ("vision", "Images"),
    ]
    (repo,) = result["repos"]
    assert (repo["project"], repo["name"], repo["description"]) == ("default", "data", "d")
    assert (repo["size_bytes"], repo["branches"]) == (7, ["master"])
    (pipeline,) = result["pipelines"]
    assert (pipeline["name"], pipeline["version"], pipeline["last_job_state"]) == ("p", 1, "JOB_SUCCESS")
    assert pipeline["spec"]["transform"]["stdin"] == ["cp /pfs/data/t.txt /pfs/out"]
    (job,) = result["jobs"]
    assert (job["state"], job["datums"]["processed"], job["finished"] > job["created"]) == (
        "JOB_SUCCESS",
        1,
        True,
    )
    files = {file["path"]: file for file in result["files"]}
    assert list(files) == ["/d/", "/d/b.bin", "/t.txt"]
    assert files["/t.txt"]["content"] == "text\n"
    assert base64.b64decode(files["/d/b.bin"]["content"]) == b"\xff\x00"
    assert "content" not in files["/d/"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"gather": ["repos"]}, ["data", "images", "p"]),
        ({"gather": ["repos"], "project": "vision"}, ["images"]),
        ({"gather": ["projects"], "project": "vision"}, ["vision"]),
        ({"gather": ["branches"]}, ["master", "master"]),
        ({"gather": ["pipelines"], "pipeline": "q"}, []),
        ({"gather": ["pipelines"], "project": "vision"}, []),
    ],
)
def test_filters(filled: Lab, options: dict[str, Any], names: list[str]) -> None:
    result = filled.run("info", **options)
    assert sorted(item["name"] for item in result[options["gather"][0]]) == names


def test_provenance_of_an_output(filled: Lab) -> None:
    (branch,) = filled.run("info", gather=["branches"], repo="p")["branches"]
    assert branch["provenance"] == [{"project": "default", "repo": "data", "branch": "master"}]


def test_long_files_come_without_content(filled: Lab) -> None:
    result = filled.run(
        "info", gather=["files"], repo="data", glob="/*.txt", content=True, max_content_bytes=4
    )
    assert [(file["path"], "content" in file) for file in result["files"]] == [("/t.txt", False)]


def test_commits_of_a_branch_and_of_an_older_commit(filled: Lab) -> None:
    newest, oldest = filled.run("info", gather=["commits"], repo="data")["commits"]
    assert (newest["parent"], oldest["parent"], newest["origin"]) == (oldest["id"], None, "USER")
    assert (newest["size_bytes"], newest["finished"] >= newest["started"]) == (7, True)
    assert filled.run("info", gather=["commits"], repo="data", max_commits=1)["commits"] == [newest]
    older = filled.run("info", gather=["commits", "files"], repo="data", commit=oldest["id"])
    assert [commit["id"] for commit in older["commits"]] == [oldest["id"]]
    assert [file["path"] for file in older["files"]] == ["/t.txt"]


def test_the_newest_commits_of_all_repos_and_what_they_were_made_from(filled: Lab) -> None:
    commits = filled.run("info", gather=["commits"])["commits"]
    assert [commit["repo"] for commit in commits] == ["p", "data", "data"]
    assert commits[0]["provenance"] == [{"project": "default", "repo": "data", "id": commits[1]["id"]}]
    assert filled.run("info", gather=["commits"], max_commits=2)["commits"] == commits[:2]


def test_provenance_of_a_commit_in_both_directions(filled: Lab) -> None:
    result = filled.run("info", gather=["provenance"], repo="data")["provenance"]
    assert ([c["repo"] for c in result["upstream"]], [c["repo"] for c in result["downstream"]]) == ([], ["p"])
    result = filled.run("info", gather=["provenance"], repo="p")["provenance"]
    assert ([c["repo"] for c in result["upstream"]], result["downstream"]) == (["data"], [])


def test_datums_and_logs_of_the_newest_job_and_of_one_that_is_named(filled: Lab) -> None:
    spec = {
        "pipeline": {"name": "each"},
        "input": {"pfs": {"repo": "data", "glob": "/**"}},
        "transform": {
            "cmd": ["sh"],
            "stdin": ["ls /pfs/data", "test ! -d /pfs/data/d"],
            "env": {"KEY": "hush"},
        },
        "datum_tries": 1,
    }
    failed = filled.run("pipeline", pipeline=spec, wait=True, wait_timeout=60)
    assert "JOB_FAILURE" in failed["msg"]
    asked: dict[str, Any] = {"gather": ["datums", "logs"], "pipeline": "each"}
    result = filled.run("info", **asked)
    states = {tuple(datum["files"]): datum["state"] for datum in result["datums"]}
    assert states == {
        ("default/data:/d/",): "FAILED",
        ("default/data:/d/b.bin",): "FAILED",
        ("default/data:/t.txt",): "SUCCESS",
    }
    good = filled.run("info", **asked, datum_states=["success"])["datums"]
    assert [datum["files"] for datum in good] == [["default/data:/t.txt"]]
    assert len(filled.run("info", **asked, max_datums=2)["datums"]) == 2
    of_one = filled.run("info", **asked, job=good[0]["job"], datum=good[0]["id"])["logs"]
    assert [line["message"] for line in of_one if line["user"]] == ["t.txt"]
    assert len(filled.run("info", **asked, max_log_lines=1)["logs"]) == 1
    jobs = filled.run("info", gather=["jobs"], job=good[0]["job"])["jobs"]
    assert [(job["id"], job["pipeline"]) for job in jobs] == [(good[0]["job"], "each")]
    assert filled.calls()[-1] == "InspectJobSet"


def test_jobs_with_an_id(filled: Lab) -> None:
    """They are asked for by it; all jobs of a lab may be many."""
    transform = {"cmd": ["true"]}
    spec = {"pipeline": {"name": "q"}, "input": {"pfs": {"repo": "p", "glob": "/"}}, "transform": transform}
    filled.run("pipeline", pipeline=spec, wait=True, wait_timeout=60)
    filled.put("/more.txt", b"more\n")
    ident = filled.run("info", gather=["jobs"])["jobs"][0]["id"]
    asked = {"gather": ["jobs"], "job": ident}
    assert sorted(job["pipeline"] for job in filled.run("info", **asked)["jobs"]) == ["p", "q"]
    assert [job["pipeline"] for job in filled.run("info", **asked, pipeline="q")["jobs"]] == ["q"]
    assert len(filled.run("info", **asked, max_jobs=1)["jobs"]) == 1
    assert filled.run("info", **asked, project="vision")["jobs"] == []
    assert filled.run("info", gather=["jobs"], job="0" * 32)["jobs"] == []


def test_values_of_env_only_when_they_are_asked_for(filled: Lab) -> None:
    spec = {
        "pipeline": {"name": "q"},
        "input": {"pfs": {"repo": "data", "glob": "/"}},
        "transform": {"cmd": ["true"], "env": {"KEY": "hush"}},
    }
    filled.run("pipeline", pipeline=spec)
    defaults = {"createPipelineRequest": {"transform": {"env": {"OTHER": "hush-too"}}}}
    filled.client.pps.set_cluster_defaults(cluster_defaults_json=json.dumps(defaults))
    asked: dict[str, Any] = {"gather": ["pipelines", "defaults"], "pipeline": "q"}
    assert "hush" not in str(filled.run("info", **asked))
    result = filled.run("info", **asked, env=True)
    assert result["defaults"] == [{"project": None, "spec": defaults}]
    (pipeline,) = result["pipelines"]
    assert pipeline["user_spec"]["transform"] == {"cmd": ["true"], "env": {"KEY": "hush"}}
    assert "datumTries" in pipeline["spec"]
    assert "datumTries" not in pipeline["user_spec"]


def test_defaults_of_a_project(filled: Lab) -> None:
    vision = pfs.Project(name="vision")
    text = '{"createPipelineRequest": {"datumTries": 5}}'
    filled.client.pps.set_project_defaults(project=vision, project_defaults_json=text)
    cases: list[tuple[dict[str, Any], list[str | None]]] = [
        ({}, [None, "vision"]),
        ({"project": "vision"}, ["vision"]),
    ]
    for options, projects in cases:
        found = filled.run("info", gather=["defaults"], **options)["defaults"]
        assert [one["project"] for one in found] == [p for p in projects if p or found[0]["project"] is None]
        assert found[-1]["spec"] == {"createPipelineRequest": {"datumTries": 5}}


def test_metadata_and_triggers(filled: Lab) -> None:
    filled.run("repo", name="data", metadata={"owner": "ops"})
    data = pfs.Repo(name="data", type="user", project=pfs.Project(name="default"))
    filled.client.pfs.create_branch(
        branch=pfs.Branch(repo=data, name="big"), trigger=pfs.Trigger(branch="master", size="1M")
    )
    result = filled.run("info", gather=["repos", "branches"], repo="data")
    assert result["repos"][0]["metadata"] == {"owner": "ops"}
    triggers = {branch["name"]: branch["trigger"] for branch in result["branches"]}
    assert triggers == {"master": None, "big": {"branch": "master", "size": "1M"}}


def test_roles_are_none_while_authentication_is_off_and_listed_while_it_is_on(lab: Lab) -> None:
    assert lab.run("info", gather=["role_bindings"])["role_bindings"] == []
    lab.client.auth.activate(root_token="root-token")
    lab.client.auth_token = "root-token"
    lab.client.pfs.activate_auth()
    token = lab.client.auth.get_robot_token(robot="owner").token
    made = lab.run("repo", repos=[{"name": "data"}, {"name": "other"}], auth_token=token)
    assert made.get("changed"), made
    data = auth.Resource(type=auth.ResourceType.REPO, name="default/data")
    lab.client.auth.modify_role_binding(resource=data, principal="robot:ci", roles=["repoReader"])
    asked: dict[str, Any] = {"gather": ["role_bindings"], "auth_token": "root-token"}
    (repo,) = lab.run("info", **asked, repo="data")["role_bindings"]
    assert (repo["type"], repo["project"], repo["name"]) == ("repo", "default", "data")
    assert repo["roles"]["robot:ci"] == ["repoReader"]
    kinds = [one["type"] for one in lab.run("info", **asked)["role_bindings"]]
    assert kinds[0] == "cluster"
    assert {"project", "repo"} < set(kinds)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("repos[].name", ["data", "images", "p"]),
        ("repos[?project=='vision'].name | [0]", "images"),
        ("{n: length(pipelines), jobs: jobs[].state}", {"n": 1, "jobs": ["JOB_SUCCESS"]}),
        ("nothing", None),
    ],
)
def test_a_query_returns_its_answer_and_nothing_else(filled: Lab, expression: str, answer: Any) -> None:
    result = filled.run("info", query=expression)
    assert result["result"] == answer
    assert not {"repos", "pipelines", "jobs"} & set(result)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("repos[", "query: is no JMESPath expression: "),
        ("nope(repos)", "query: nope(repos): Unknown function: nope()"),
        ("length(`1`)", "query: length(`1`): "),
    ],
)
def test_a_query_that_is_wrong(lab: Lab, expression: str, message: str) -> None:
    assert lab.run("info", query=expression)["msg"].startswith(message)


def test_jmespath_is_needed_for_a_query_only(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    assert "repos" in lab.run("info")
    assert "(jmespath)" in lab.run("info", query="repos")["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gather": ["provenance"]}, "repo: is required to gather provenance"),
        ({"gather": ["datums"]}, "pipeline: is required to gather datums"),
        ({"gather": ["logs"]}, "pipeline: is required to gather logs"),
        ({"gather": ["logs"], "pipeline": "p", "datum": "x"}, "job: is required to choose a datum"),
        (
            {"gather": ["files"], "repo": "data", "commit": "0" * 32},
            f"default/data@{'0' * 32} does not exist",
        ),
        ({"gather": ["files"]}, "repo: is required to gather files"),
        ({"gather": ["files"], "repo": "nope"}, "default/nope@master does not exist"),
        ({"gather": ["files"], "repo": "data", "branch": "dev"}, "default/data@dev does not exist"),
        ({"gather": ["files"], "repo": "data", "glob": "/a["}, "default/data@master: /a[: "),
        ({"repo": "a b"}, 'repo: repo name "a b": only letters'),
        ({"max_jobs": 0}, "max_jobs: must be at least 1, not 0"),
    ],
)
def test_bad_input(filled: Lab, options: dict[str, Any], message: str) -> None:
    assert message in filled.run("info", **options)["msg"]


@pytest.mark.parametrize("module", ["info", "project", "repo"])
def test_pachd_that_cannot_be_reached(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {} if module == "info" else {"name": "a"}
    result = run_module(capsys, module, pachd_address=NOWHERE, timeout=0.5, **options)
    assert result["msg"].startswith(f"cannot reach pachd at {NOWHERE} within 0.5 s: ")


def test_sdk_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "pachyderm_sdk.api", None)
    _sdk.sdk.cache_clear()
    result = run_module(capsys, "repo", pachd_address=NOWHERE, name="a")
    _sdk.sdk.cache_clear()
    assert result["failed"]
    assert "(pachyderm-sdk)" in result["msg"]
    # Errors in options are told first: they need no SDK.
    assert 'name: repo name "a b"' in run_module(capsys, "repo", name="a b")["msg"]
