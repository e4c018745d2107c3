# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_info, and what every module says when it cannot work at all."""

from __future__ import annotations

import base64
import sys
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
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
    options = {} if module == "info" else {"name": "a"}
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
