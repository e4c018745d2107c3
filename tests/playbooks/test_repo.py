# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_project and pachyderm_repo: lists, metadata, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Lab

STEPS: list[tuple[dict[str, Any], bool]] = [
    ({"description": "text"}, True),
    ({"description": ""}, True),
    ({"metadata": {"tier": 1}}, True),
    ({"metadata": {"tier": "1"}}, False),
    ({"metadata": {}}, False),
    ({"metadata": {"none": None}}, False),
]


@pytest.mark.parametrize("module", ["project", "repo"])
def test_empty_is_not_omitted(lab: Lab, module: str) -> None:
    for options, changed in STEPS:
        predicted = lab.run(module, check=True, name="a", **options)
        result = lab.run(module, name="a", **options)
        assert result["changed"] is changed, options
        assert predicted == result


def test_diff_shows_what_changes(lab: Lab) -> None:
    lab.run("repo", name="data", description="old")
    result = lab.run("repo", name="data", description="new")
    assert result["diff"]["before"]["repo default/data"]["description"] == "old"
    assert result["diff"]["after"]["repo default/data"]["description"] == "new"
    assert result["actions"] == [{"action": "update", "kind": "repo", "name": "default/data"}]


@pytest.mark.parametrize("module", ["project", "repo"])
def test_metadata_that_is_not_declared_stays(lab: Lab, module: str) -> None:
    lab.run(module, name="a", metadata={"owner": "vision", "tier": "1"})
    result = lab.run(module, name="a", metadata={"tier": None, "since": "2026"})
    assert result[f"{module}s"][0]["metadata"] == {"owner": "vision", "since": "2026"}
    listed = {"project": lab.client.pfs.list_project, "repo": lab.client.pfs.list_repo}[module]()
    assert [dict(info.metadata) for info in listed][-1] == {"owner": "vision", "since": "2026"}


def test_many_are_a_call_for_all_and_one_for_their_metadata(lab: Lab) -> None:
    lab.run("repo", repos=[{"name": name, "metadata": {"owner": "vision"}} for name in "abc"])
    assert lab.mutations() == ["BatchTransaction", "EditMetadata"]
    result = lab.run("repo", repos=[{"name": name, "description": name} for name in "bcd"])
    assert lab.mutations()[2:] == ["BatchTransaction"]
    assert [action["action"] for action in result["actions"]] == ["update", "update", "create"]
    described = {info.repo.name: info.description for info in lab.client.pfs.list_repo(type="user")}
    assert described == {"a": "", "b": "b", "c": "c", "d": "d"}


def test_list_writes_only_what_differs(lab: Lab) -> None:
    lab.run("project", projects=[{"name": "vision"}])
    lab.run("repo", repos=[{"name": "a"}, {"name": "gone"}])
    result = lab.run(
        "repo", repos=[{"name": "a"}, {"name": "b", "project": "vision"}, {"name": "gone", "state": "absent"}]
    )
    assert [(a["action"], a["name"]) for a in result["actions"]] == [
        ("delete", "default/gone"),
        ("create", "vision/b"),
    ]
    assert [(r["project"], r["name"]) for r in result["repos"]] == [("default", "a"), ("vision", "b")]


def test_options_beside_a_list_hold_for_its_items(lab: Lab) -> None:
    lab.run("project", name="vision")
    result = lab.run("repo", project="vision", repos=[{"name": "a"}, {"name": "b", "project": "default"}])
    assert [(r["project"], r["name"]) for r in result["repos"]] == [("vision", "a"), ("default", "b")]


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("repo", {"name": "a b"}, 'name: repo name "a b": only letters, digits, - and _ are allowed'),
        ("repo", {"repos": [{"name": "a"}, {"name": "a.b"}]}, 'repos[1].name: repo name "a.b": only letters'),
        (
            "repo",
            {"repos": [{"name": "a"}, {"name": "a"}]},
            "repos[1]: repo default/a is declared in repos[0]",
        ),
        ("repo", {"repos": [{"name": "a"}, {"name": "b", "project": "nope"}]}, "project nope does not exist"),
        (
            "repo",
            {"name": "a", "metadata": {"on": True}},
            "metadata.on: must be text, or null to remove the key",
        ),
        (
            "project",
            {"projects": [{"name": "a", "metadata": {"": "x"}}]},
            "projects[0].metadata: a key must have at least one character",
        ),
        ("project", {"name": "_a"}, 'name: project name "_a": must start with a letter or a digit'),
        ("project", {"name": "a" * 52}, "1 characters longer than the 51 that are allowed"),
    ],
)
def test_bad_input_writes_nothing(lab: Lab, module: str, options: dict[str, Any], message: str) -> None:
    before = lab.mutations()
    result = lab.run(module, **options)
    assert result["failed"]
    assert message in result["msg"]
    assert lab.mutations() == before


def test_missing_project_is_a_warning_in_check_mode(lab: Lab) -> None:
    result = lab.run("repo", check=True, name="a", project="soon")
    assert result["changed"]
    assert result["warnings"] == ["repo soon/a: project soon does not exist yet"]


def test_project_with_repos_is_not_deleted(lab: Lab) -> None:
    lab.run("project", name="vision")
    lab.run("repo", name="a", project="vision")
    for check in (True, False):
        result = lab.run("project", check=check, name="vision", state="absent")
        assert "project vision still holds repo a" in result["msg"]


def pipeline(lab: Lab, name: str, repo: str) -> None:
    spec = {
        "pipeline": {"name": name},
        "input": {"pfs": {"repo": repo, "glob": "/"}},
        "transform": {"cmd": ["true"]},
    }
    result = lab.run("pipeline", pipeline=spec)
    assert result["changed"], result


def test_repo_that_a_pipeline_reads_is_deleted_only_by_force(lab: Lab) -> None:
    lab.run("repo", name="data")
    pipeline(lab, "p", "data")
    for check in (True, False):
        result = lab.run("repo", check=check, name="data", state="absent")
        assert "repo default/data: default/p takes data from it" in result["msg"]
    assert "output of pipeline p" in lab.run("repo", name="p", state="absent")["msg"]
    assert lab.run("repo", name="data", state="absent", force=True)["changed"]
    assert [info.repo.name for info in lab.client.pfs.list_repo(type="user")] == ["p"]
