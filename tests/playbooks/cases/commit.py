# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_commit."""

from __future__ import annotations

from typing import Any

from .case import ACTION, MISSING, NAMED, Case, Step, Table, listed


def world(lab: Any) -> dict[str, str]:
    """A repo with two commits, an empty one, and one in another project."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "data", "project": "vision"}])
    lab.put("/a", b"a")
    lab.put("/b", b"b")
    newest, older = lab.run("info", gather=["commits"], repo="data", query="commits[].id")["result"]
    return {"newest": newest, "older": older}


def begun(lab: Any) -> None:
    world(lab)
    lab.run("commit", action="start", repo="data")


def finished(lab: Any) -> None:
    lab.run("commit", action="finish", repo="data")


def open_ones(lab: Any) -> list[str]:
    """Branches with an open commit."""
    found = []
    for info in lab.client.pfs.list_repo(type="user"):
        for branch in lab.client.pfs.list_branch(repo=info.repo):
            if not lab.client.pfs.inspect_commit(commit=branch.head).finished.timestamp():
                found.append(f"{info.repo.project.name}/{info.repo.name}@{branch.branch.name}")
    return sorted(found)


START = {"action": "start", "repo": "data"}
MASTER = "default/data@master"
CASES = [
    Case(
        "repo",
        Step("data", sees=[MASTER]),
        Step("other", sees=[MASTER, "default/other@master"]),
        NAMED,
        given={"action": "start"},
    ),
    Case(
        "project",
        Step("vision", sees=["vision/data@master"]),
        Step("default", sees=[MASTER, "vision/data@master"]),
        Step(changed=False),
        given=START,
    ),
    Case(
        "branch",
        Step("dev", sees=["default/data@dev"]),
        Step("master", sees=["default/data@dev", MASTER]),
        Step(changed=False),
        given=START,
    ),
    Case("id", Step("{newest}"), Step("{older}"), NAMED, given={"action": "drop"}),
]
LATE = "is not finished at the end of wait_timeout"
TABLES = [
    Table(
        "commit",
        [
            Case(
                "action",
                Step("start", sees=[MASTER]),
                Step("finish", sees=[]),
                MISSING,
                given={"repo": "data"},
            ),
            *CASES,
            Case(
                "commits",
                Step([{"repo": "data"}], sees=[MASTER]),
                Step([{"repo": "data"}, {"repo": "other"}], sees=[MASTER, "default/other@master"]),
                NAMED,
                given={"action": "start"},
            ),
            *listed(
                "commits",
                CASES,
                ["action"],
                repo={"omitted": Step(fails="commits[0].repo: is required with action start")},
                id={"omitted": Step(fails="commits[0].id: action drop takes the id")},
            ),
            Case(
                "description",
                Step("week 1", given={"action": "start"}, sees=["week 1"]),
                Step("week 2", given={"action": "finish"}, sees=["week 2"]),
                Step(given={"action": "start"}, sees=[""]),
                given={"repo": "data"},
                look="commits[].description",
            ),
            Case(
                "wait_timeout",
                Step(0.2, fails=f"{LATE}, 0.2 s", unforeseen=True),
                Step(0.3, fails=f"{LATE}, 0.3 s", unforeseen=True),
                Step(before=finished, changed=False),
                given={"action": "wait", "repo": "data"},
                world=begun,
            ),
        ],
        world=world,
        absent=ACTION,
        look=open_ones,
        varies=("commits",),
    )
]
