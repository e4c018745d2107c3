# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_prune: marks, what goes and what stays, each run after its check-mode twin."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab
from .pipelines import spec


def prune(lab: Lab, **options: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """What was done, (action, "kind name"), and the warnings."""
    given = {"lab": "mine", **options}
    predicted = lab.run("prune", check=True, **given)
    result = lab.run("prune", **given)
    assert predicted == result
    assert result["changed"] == bool(result["actions"])
    return [(a["action"], f"{a['kind']} {a['name']}") for a in result["actions"]], result["warnings"]


def made(lab: Lab, *names: str) -> list[str]:
    """Repos that the lab `mine` made, and nobody else."""
    repos = [{"project": name.split("/")[0], "name": name.split("/")[1]} for name in names]
    actions = lab.run("repo", repos=repos)["actions"]
    prune(lab, repos=list(names), actions=actions)
    return list(names)


def left(lab: Lab) -> set[str]:
    return {f"{i.repo.project.name}/{i.repo.name}" for i in lab.client.pfs.list_repo(type="user")}


def test_what_was_made_and_is_dropped_goes_what_was_there_before_stays(lab: Lab) -> None:
    lab.run("repo", name="before")
    actions = lab.run("repo", repos=[{"name": "before"}, {"name": "a"}, {"name": "b"}])["actions"]
    names = ["default/before", "default/a", "default/b"]
    marked = [("mark", f"repo {name}") for name in sorted(names)]
    assert prune(lab, repos=names, actions=actions) == (marked, [])
    assert prune(lab, repos=names, prune=True) == ([], [])
    assert prune(lab, repos=["default/a"]) == ([], [])
    lab.run("repo", name="foreign")
    done, warnings = prune(lab, repos=["default/a"], prune=True)
    assert (done, warnings) == ([("release", "repo default/before"), ("delete", "repo default/b")], [])
    assert prune(lab, repos=["default/a"], prune=True) == ([], [])
    assert left(lab) == {"default/before", "default/a", "default/foreign"}


def test_another_labs_things_stay(lab: Lab) -> None:
    made(lab, "default/a", "default/b")
    lab.run("prune", lab="other", repos=["default/a"])
    assert prune(lab, prune=True)[0] == [("release", "repo default/a"), ("delete", "repo default/b")]
    assert lab.run("prune", lab="other", prune=True)["actions"] == [
        {"action": "release", "kind": "repo", "name": "default/a"}
    ]
    assert left(lab) == {"default/a"}


def test_data_stays_unless_it_is_said(lab: Lab) -> None:
    made(lab, "default/data", "default/empty")
    lab.put("/a", b"a")
    done, warnings = prune(lab, prune=True)
    assert done == [("delete", "repo default/empty")]
    assert warnings == ["repo default/data is no longer declared, but it holds data; it stays"]
    assert prune(lab, prune=True, data=True)[0] == [("delete", "repo default/data")]


def test_a_whole_lab_goes_readers_first(lab: Lab) -> None:
    actions = lab.run("project", name="vision")["actions"]
    actions += lab.run("repo", project="vision", name="data")["actions"]
    chain = [spec(name, repo, pipeline={"name": name}) for name, repo in (("p", "data"), ("q", "p"))]
    actions += lab.run("pipeline", pipelines=chain, project="vision")["actions"]
    everything: dict[str, Any] = {
        "projects": ["vision"],
        "repos": ["vision/data"],
        "pipelines": ["vision/p", "vision/q"],
    }
    prune(lab, **everything, actions=actions)
    assert prune(lab, **everything, prune=True) == ([], [])
    # A pipeline that somebody else made needs q.
    lab.run("pipeline", pipeline=spec("foreign", "q"), project="vision")
    done, warnings = prune(lab, prune=True)
    assert done == []
    assert (
        "pipeline vision/q is no longer declared, but pipeline vision/foreign needs it; it stays" in warnings
    )
    lab.run("pipeline", name="foreign", project="vision", state="absent")
    deleted = ["pipeline vision/q", "pipeline vision/p", "repo vision/data", "project vision"]
    assert prune(lab, prune=True) == ([("delete", name) for name in deleted], [])
    assert left(lab) == set()


def test_what_a_killed_run_made_is_its_labs(lab: Lab) -> None:
    lab.run("repo", name="before")
    spec_p = spec("p", "data")
    everything: dict[str, Any] = {
        "projects": ["vision"],
        "repos": ["default/before", "default/data", "default/later"],
        "branches": ["default/data@x"],
        "specs": [spec_p],
    }
    new = ["branch default/data@x", "pipeline default/p", "project vision", "repo default/data"]
    noted = [("announce", name) for name in [*new, "repo default/later"]]
    assert prune(lab, **everything, announce=True) == (noted, [])
    assert prune(lab, **everything, announce=True) == ([], [])
    lab.run("project", name="vision")
    lab.run("repo", name="data")
    lab.run("branch", repo="data", name="x")
    lab.run("pipeline", pipeline=spec_p)
    # Killed. By the next run, one thing is declared no more.
    less = everything | {"repos": ["default/before", "default/data"]}
    marked = [("mark", name) for name in new]
    assert prune(lab, **less, announce=True) == ([*marked, ("withdraw", "repo default/later")], [])
    assert prune(lab, **less, prune=True) == ([("mark", "repo default/before")], [])
    gone = ["pipeline default/p", "project vision", "repo default/data"]
    released = ("release", "repo default/before")
    assert prune(lab, prune=True) == ([released, *(("delete", name) for name in gone)], [])
    assert left(lab) == {"default/before"}
    assert not lab.client.pfs.inspect_project(project=pfs.Project(name="default")).metadata


def test_branches(lab: Lab) -> None:
    lab.run("repo", name="data")
    data = pfs.Repo(name="data", type="user", project=pfs.Project(name="default"))
    for name in ("a", "b"):
        lab.client.pfs.create_branch(branch=pfs.Branch(repo=data, name=name))
    actions = [{"action": "create", "kind": "branch", "name": f"default/data@{name}"} for name in ("a", "b")]
    names = [action["name"] for action in actions]
    assert prune(lab, branches=names, actions=actions)[0] == [("mark", f"branch {name}") for name in names]
    assert prune(lab, branches=names[:1], prune=True)[0] == [("delete", "branch default/data@b")]
    assert [info.branch.name for info in lab.client.pfs.list_branch(repo=data)] == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lab": "a b"}, 'lab: "a b": only letters, digits'),
        ({"repos": ["data"]}, "repos[0]: data: is not of the form of repos"),
        ({"branches": ["default/data"]}, "branches[0]: default/data: is not of the form of branches"),
    ],
)
def test_bad_input(lab: Lab, options: dict[str, Any], message: str) -> None:
    assert message in lab.run("prune", **{"lab": "mine", **options})["msg"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_branch_with_a_trigger_goes(lab: Lab, kept: bool) -> None:
    """pachd refuses to delete it, the branch that triggers it, and their repo, but with force."""
    repos = ["default/data"] if kept else []
    actions = lab.run("repo", name="data")["actions"]
    lab.put("/a", b"a")
    trigger = {"branch": "master", "commits": 5}
    actions += lab.run("branch", repo="data", name="nightly", trigger=trigger)["actions"]
    prune(lab, repos=["default/data"], branches=["default/data@nightly"], actions=actions)
    done = prune(lab, repos=repos, prune=True, data=True)[0]
    assert done == [("delete", "branch default/data@nightly" if kept else "repo default/data")]
    assert left(lab) == set(repos)
    if kept:
        branches = lab.client.pfs.list_branch(repo=pfs.Repo.from_uri("data"))
        assert [info.branch.name for info in branches] == ["master"]


def test_a_branch_with_a_trigger_that_somebody_reads_stays(lab: Lab) -> None:
    actions = lab.run("repo", name="data")["actions"]
    lab.put("/a", b"a")
    trigger = {"branch": "master", "commits": 5}
    actions += lab.run("branch", repo="data", name="nightly", trigger=trigger)["actions"]
    prune(lab, repos=["default/data"], branches=["default/data@nightly"], actions=actions)
    reading = {"pfs": {"repo": "data", "branch": "nightly", "glob": "/"}}
    assert lab.run("pipeline", pipeline=spec("p", input=reading))["changed"]
    done, warnings = prune(lab, prune=True, data=True)
    assert done == []
    assert "default/p" in " ".join(warnings)
    assert left(lab) == {"default/data", "default/p"}
