# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_project and pachyderm_repo."""

from __future__ import annotations

from typing import Any

from .case import MISSING, NAMED, Case, Left, Step, Table, listed


def made(lab: Any) -> None:
    lab.run("project", name="vision")


def read(lab: Any) -> None:
    """A repo that another takes data from."""
    lab.run("repo", repos=[{"name": "data"}, {"name": "derived"}])
    lab.run("branch", repo="derived", name="master", provenance=["data"])


def described(shown: str) -> list[Case]:
    """What projects and repos have in common; `shown` is the list that the module returns."""
    one = {"name": "a"}
    return [
        Case("name", Step("a"), Step("b"), NAMED, look=f"{shown}[].name"),
        Case(
            "description",
            Step("text", sees=["text"]),
            Step("other", sees=["other"]),
            Step(changed=False, sees=["other"]),
            given=one,
            look=f"{shown}[].description",
        ),
        Case(
            "metadata",
            Step({"owner": "vision", "tier": 1}, sees=[{"owner": "vision", "tier": "1"}]),
            Step({"owner": None, "tier": "2"}, sees=[{"tier": "2"}]),
            Step(changed=False, sees=[{"tier": "2"}]),
            given=one,
            look=f"{shown}[].metadata",
        ),
        Case("state", Step("present"), Step("absent"), Step(), given=one),
    ]


SCOPED = Case(
    "project",
    Step("vision", sees=["vision"]),
    Step("default", sees=["default"]),
    Step(changed=False, sees=["default"]),
    given={"name": "a"},
    look="repos[].project",
)
FORCED = Case(
    "force",
    Step(True),
    Step(False, fails="default/derived takes data from it", before=read),
    Step(fails="default/derived takes data from it"),
    Left("it is an option of state absent"),
    given={"name": "data", "state": "absent"},
    world=read,
)
MANY = Step([{"name": "a"}], sees=["a"])
MORE = Step([{"name": "a"}, {"name": "b"}], sees=["a", "b"])

TABLES = [
    Table(
        "project",
        [
            *described("projects"),
            Case("projects", MANY, MORE, NAMED, look="projects[].name"),
            *listed("projects", described("projects"), name={"omitted": MISSING}),
        ],
    ),
    Table(
        "repo",
        [
            *described("repos"),
            SCOPED,
            FORCED,
            Case("repos", MANY, MORE, NAMED, look="repos[].name"),
            *listed("repos", [*described("repos"), SCOPED], name={"omitted": MISSING}),
        ],
        world=made,
    ),
]
