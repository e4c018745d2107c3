# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_branch: heads, provenance, lists in any order, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab


def both(lab: Lab, **options: Any) -> dict[str, Any]:
    """The result of a run that check mode has told beforehand."""
    predicted = lab.run("branch", check=True, **options)
    result = lab.run("branch", **options)
    assert predicted == result
    return result


def life(lab: Lab, steps: list[tuple[dict[str, Any], bool]], **common: Any) -> None:
    for options, changed in steps:
        result = both(lab, **common, **options)
        assert result.get("changed") is changed, (options, result)


def info(lab: Lab, name: str, repo: str = "data") -> Any:
    return lab.client.pfs.inspect_branch(branch=pfs.Branch.from_uri(f"{repo}@{name}"))


def heads(lab: Lab, *names: str) -> list[str]:
    return [info(lab, name).head.id for name in names]


@pytest.fixture
def data(lab: Lab) -> Lab:
    """A repo with two commits in master."""
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "derived"}])
    lab.put("/a", b"1")
    lab.put("/b", b"2")
    return lab


def test_head_is_a_branch_a_commit_or_an_ancestor(data: Lab) -> None:
    newest = info(data, "master").head.id
    steps = [
        ({"head": "master"}, True),
        ({"head": "master"}, False),
        ({"head": newest}, False),
        ({}, False),
        ({"head": "master^"}, True),
        ({"head": "master^"}, False),
        ({"head": newest}, True),
    ]
    life(data, steps, repo="data", name="release")
    assert heads(data, "release") == [newest]
    data.put("/c", b"3")
    result = both(data, repo="data", name="release", head="master")
    assert result["diff"]["before"]["branch default/data@release"]["head"] == newest
    assert result["diff"]["after"]["branch default/data@release"]["head"] == info(data, "master").head.id
    assert result["actions"] == [{"action": "update", "kind": "branch", "name": "default/data@release"}]


def test_provenance(data: Lab) -> None:
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"provenance": ["data"]}, True),
        ({"provenance": ["default/data@master"]}, False),
        ({}, False),
        ({"provenance": ["data", "other@soon"]}, True),
        ({"provenance": ["other@soon", "data"]}, False),
        ({"provenance": []}, True),
        ({"provenance": []}, False),
    ]
    life(data, steps, repo="derived", name="master")
    both(data, repo="derived", name="master", provenance=["data"])
    assert [one.repo.name for one in info(data, "master", "derived").direct_provenance] == ["data"]


def test_a_list_in_any_order(data: Lab) -> None:
    result = both(
        data,
        repo="data",
        branches=[
            {"name": "late", "trigger": {"branch": "early"}},
            {"name": "copy", "head": "early"},
            {"name": "early", "head": "master"},
            {"name": "master", "repo": "derived", "provenance": ["data@copy"]},
        ],
    )
    assert result["actions"][0]["name"] == "default/data@early"
    assert len(set(heads(data, "early", "copy", "master"))) == 1
    assert not both(data, repo="data", branches=[{"name": "copy", "head": "early"}])["changed"]


def test_a_head_that_moves_in_the_same_run(data: Lab) -> None:
    both(data, repo="data", branches=[{"name": "a", "head": "master^"}, {"name": "b", "head": "a"}])
    both(data, repo="data", branches=[{"name": "b", "head": "a"}, {"name": "a", "head": "master"}])
    assert len(set(heads(data, "a", "b", "master"))) == 1


def test_a_branch_begins_with_the_empty_commit_of_another(data: Lab) -> None:
    result = both(data, repo="data", branches=[{"name": "b", "head": "a"}, {"name": "a"}])
    assert [one["head"] for one in result["branches"]] == [None, None]
    assert len(set(heads(data, "a", "b"))) == 1


def test_reads_do_not_grow_with_the_list(data: Lab) -> None:
    names = [f"b{number}" for number in range(20)]
    declared: dict[str, Any] = {
        "repo": "data",
        "branches": [{"name": name, "head": "master"} for name in names],
    }
    data.run("branch", **declared)
    before = len(data.journal.read_text().splitlines())
    data.run("branch", **declared)
    assert len(data.journal.read_text().splitlines()) - before <= 3  # version, repos, branches


def test_deleting_what_others_need(data: Lab) -> None:
    data.run("branch", repo="derived", name="master", provenance=["data"])
    data.run("branch", repo="data", name="nightly", trigger={"branch": "master"})
    for check in (True, False):
        refused = data.run("branch", check=check, repo="data", name="master", state="absent")
        assert "default/derived@master takes data from it; it triggers default/data@nightly" in refused["msg"]
        refused = data.run("branch", check=check, repo="data", name="nightly", state="absent")
        assert "it has a trigger on master; force deletes it all the same" in refused["msg"]
    assert both(data, repo="data", name="nightly", state="absent", force=True)["changed"]
    gone = [{"name": "master", "repo": "data"}, {"name": "master", "repo": "derived"}]
    result = both(data, branches=gone, state="absent")
    assert [action["name"] for action in result["actions"]] == [
        "default/derived@master",
        "default/data@master",
    ]
    assert data.client.pfs.inspect_repo(repo=pfs.Repo.from_uri("data")).branches == []


def test_the_output_of_a_pipeline(data: Lab) -> None:
    spec = {
        "pipeline": {"name": "p"},
        "input": {"pfs": {"repo": "data", "glob": "/"}},
        "transform": {"cmd": ["true"]},
    }
    data.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    assert not both(data, repo="p", name="master")["changed"]
    refused = data.run("branch", repo="p", name="master", provenance=[])
    assert "default/p@master is the output of pipeline p" in refused["msg"]
    assert "output of pipeline p" in data.run("branch", repo="p", name="master", state="absent")["msg"]
    assert both(data, repo="p", name="good", head="master")["changed"]


def test_what_is_missing_is_a_warning_in_check_mode(lab: Lab) -> None:
    declared: dict[str, Any] = {"repo": "soon", "name": "a", "head": "master", "project": "p"}
    result = lab.run("branch", check=True, **declared)
    assert result["changed"]
    assert result["warnings"] == [
        "branch p/soon@a: repo p/soon does not exist yet",
        "branch p/soon@a: head: no branch or commit master exists in its repo yet",
    ]
    assert "repo p/soon does not exist; branch p/soon@a: head" in lab.run("branch", **declared)["msg"]
    assert not lab.run("branch", **{**declared, "state": "absent"})["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a"}, "repo: is required"),
        ({"name": "a.b", "repo": "data"}, 'name: branch name "a.b": only letters'),
        ({"name": "a", "repo": "data", "head": "a"}, "head: is the branch itself"),
        ({"name": "a", "repo": "data", "head": ""}, "head: is empty"),
        ({"name": "a", "repo": "data", "head": "deadbeef"}, "no branch or commit deadbeef exists"),
        ({"name": "a", "repo": "data", "head": "master^9"}, "no branch or commit master^9 exists"),
        (
            {"name": "a", "repo": "data", "head": "0b5cbae1bd5a4bd5a1b2c4d27cb0ff7a"},
            "no branch or commit 0b5c",
        ),
        ({"name": "a", "repo": "data", "provenance": ["data@b"]}, "from its own repo default/data"),
        ({"name": "a", "repo": "data", "provenance": ["other", "x/y z"]}, 'provenance[1]: repo name "y z"'),
        ({"name": "a", "repo": "data", "provenance": ["nope"]}, "repo default/nope does not exist"),
        (
            {"name": "a", "repo": "data", "trigger": {"branch": "nope"}},
            "trigger.branch: branch default/data@nope",
        ),
        ({"name": "a", "repo": "data", "trigger": {"branch": "a"}}, "trigger.branch: is the branch itself"),
        (
            {"name": "a", "repo": "data", "trigger": {"branch": "master", "size": "many"}},
            "trigger.size: many: is no size",
        ),
        (
            {"name": "a", "repo": "data", "trigger": {"branch": "master", "cron_spec": "daily"}},
            "trigger.cron_spec: daily: must be five fields",
        ),
        (
            {"name": "a", "repo": "data", "trigger": {"branch": "master", "commits": -1}},
            "trigger.commits: must not be negative",
        ),
        (
            {"name": "a", "repo": "data", "trigger": {"branch": "master"}, "provenance": ["other"]},
            "a branch has either provenance or a trigger",
        ),
        (
            {"name": "a", "repo": "data", "head": "master", "provenance": ["other"]},
            "head: its provenance moves its head",
        ),
        (
            {"name": "a", "repo": "data", "head": "master", "trigger": {"branch": "master"}},
            "head: its trigger moves its head",
        ),
        (
            {"repo": "data", "branches": [{"name": "a", "head": "b"}, {"name": "b", "head": "a"}]},
            "these need each other",
        ),
        ({"repo": "data", "branches": [{"name": "a"}, {"name": "a"}]}, "branches[1]: branch default/data@a"),
        (
            {"repo": "data", "branches": [{"name": "ok"}, {"name": "a", "head": "nope"}]},
            "branches[1].branch default/data@a: head: no branch or commit nope",
        ),
    ],
)
def test_bad_input_writes_nothing(data: Lab, options: dict[str, Any], message: str) -> None:
    before = data.mutations()
    result = data.run("branch", **options)
    assert result["failed"]
    assert message in result["msg"]
    assert data.mutations() == before


def test_a_circle_with_what_is_there(data: Lab) -> None:
    data.run("branch", repo="derived", name="master", provenance=["data"])
    refused = data.run("branch", repo="data", name="master", provenance=["derived"])
    assert "provenance: default/derived@master takes data from it already" in refused["msg"]
    refused = data.run("branch", repo="derived", name="master", trigger={"branch": "x"})
    assert refused["failed"]
