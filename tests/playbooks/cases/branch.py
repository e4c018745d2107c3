# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_branch."""

from __future__ import annotations

from typing import Any

from .case import MISSING, NAMED, Case, Left, Step, Table, listed


def world(lab: Any) -> dict[str, str]:
    """A repo with two commits in master, two empty ones, and one in another project."""
    lab.run("project", name="vision")
    repos = [{"name": name} for name in ("data", "other", "derived")]
    lab.run("repo", repos=[*repos, {"name": "data", "project": "vision"}])
    lab.put("/a", b"1")
    lab.put("/b", b"2")
    newest, older = lab.run("info", gather=["commits"], repo="data", query="commits[].id")["result"]
    return {"newest": newest, "older": older}


def read(lab: Any) -> None:
    """A branch that another takes data from."""
    if not lab.run("info", gather=["repos"], query="repos")["result"]:
        world(lab)
    lab.run("branch", repo="derived", name="master", provenance=["data@old"])
    lab.run("branch", repo="data", name="old")


# A branch with a trigger is not deleted without it.
FORCE = Step(given={"state": "absent", "force": True})


def trigger(option: str, first: Any, second: Any, back: Step | None = None, **beside: Any) -> Case:
    """An option of the trigger; the whole trigger is what is given, so without it the trigger is another."""
    return Case(
        f"trigger.{option}",
        Step(first, sees=[first]),
        Step(second, sees=[second]),
        back or Step(),
        given={"repo": "data", "name": "nightly", "trigger": {"branch": "master", **beside}},
        look=f"branches[].trigger.{option}",
        absent=FORCE,
    )


def staging(lab: Any) -> None:
    lab.run("branch", repo="data", name="staging")


RELEASE = {"repo": "data", "name": "release"}
CASES = [
    Case("name", Step("a"), Step("b"), NAMED, given={"repo": "data"}, look="branches[].name"),
    Case(
        "repo",
        Step("data", sees=["data"]),
        Step("other", sees=["other"]),
        Step(fails="repo: is required"),
        given={"name": "a"},
        look="branches[].repo",
    ),
    Case(
        "project",
        Step("vision", sees=["vision"]),
        Step("default", sees=["default"]),
        Step(changed=False, sees=["default"]),
        given=RELEASE,
        look="branches[].project",
    ),
    Case(
        "head",
        Step("master", sees=["{newest}"]),
        Step("master^", sees=["{older}"]),
        Step(changed=False, sees=["{older}"]),
        given=RELEASE,
        look="branches[].head",
    ),
    Case(
        "provenance",
        Step(["data", "default/other@soon"], sees=["default/data@master", "default/other@soon"]),
        Step([], sees=[]),
        Step(changed=False, sees=[]),
        given={"repo": "derived", "name": "master"},
        look="branches[].provenance[]",
    ),
    Case(
        "trigger",
        Step({"branch": "master", "commits": 2}, sees=[2]),
        Step({"branch": "master", "commits": 3}, sees=[3]),
        Step(changed=False, sees=[3]),
        given=RELEASE,
        look="branches[].trigger.commits",
        absent=FORCE,
    ),
    Case(
        "trigger.branch",
        Step("master", sees=["master"]),
        Step("staging", sees=["staging"], before=staging),
        Step(fails="missing required arguments: branch found in "),
        given={**RELEASE, "trigger": {"commits": 2}},
        look="branches[].trigger.branch",
        absent=FORCE,
    ),
    trigger("all", True, False, Step(changed=False), size="1M", commits=2),
    trigger("cron_spec", "0 3 * * *", "@daily"),
    trigger("rate_limit_spec", "@hourly", "@daily"),
    trigger("size", "1M", "2GB"),
    trigger("commits", 2, 3),
    Case("state", Step("present"), Step("absent"), Step(), given=RELEASE),
]
FORCED = Case(
    "force",
    Step(True),
    Step(False, fails="default/derived@master takes data from it", before=read),
    Step(fails="default/derived@master takes data from it"),
    Left("it is an option of state absent"),
    given={"repo": "data", "name": "old", "state": "absent"},
    world=read,
)
SOME = [{"name": "a"}, {"name": "b", "head": "master"}]

TABLES = [
    Table(
        "branch",
        [
            *CASES,
            FORCED,
            Case("branches", Step(SOME[:1]), Step(SOME), NAMED, given={"repo": "data"}),
            *listed("branches", CASES, ["force"], name={"omitted": MISSING}),
        ],
        world=world,
    )
]
