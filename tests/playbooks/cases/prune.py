# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_prune: what the lab `mine` made, and what it declares of that."""

from __future__ import annotations

from typing import Any

from ..pipelines import spec
from .case import MISSING, Case, Left, Step, Table

DELETES = Left("it deletes what is not declared: `changed` and `omitted` show it")
ALL: dict[str, list[str]] = {
    "projects": ["one", "two"],
    "repos": ["default/b", "default/c"],
    "branches": ["default/a@x", "default/a@y"],
    "pipelines": ["default/p", "default/q"],
}
MADE = {"lab": "mine", "prune": True, **ALL}


def world(lab: Any) -> None:
    """Two of each kind, made and marked by the lab, and data in its repos; and a repo that others made."""
    lab.run("repo", repos=[{"name": "a"}, {"name": "foreign"}])
    runs = [
        lab.run("project", projects=[{"name": "one"}, {"name": "two"}]),
        lab.run("repo", repos=[{"name": "b"}, {"name": "c"}]),
        lab.run("branch", repo="a", branches=[{"name": "x"}, {"name": "y"}]),
        lab.run("pipeline", pipelines=[spec("p", "a"), spec("q", "a")]),
    ]
    lab.run("prune", lab="mine", actions=[action for run in runs for action in run["actions"]], **ALL)


def filled(lab: Any) -> None:
    world(lab)
    for repo in ("b", "c"):
        lab.put("/f", b"f", repo=repo)


def kind(option: str, singular: str) -> Case:
    """One of the kinds: both declared, the first of them, none."""
    first, second = ALL[option]
    return Case(
        option,
        Step([first, second], changed=False, sees=[]),
        Step([first], sees=[["delete", f"{singular} {second}"]]),
        Step(sees=[["delete", f"{singular} {first}"]]),
        given={name: value for name, value in MADE.items() if name != option},
    )


def created(*names: str) -> list[dict[str, str]]:
    return [{"action": "create", "kind": "repo", "name": name} for name in names]


FOREIGN = ["default/a", "default/foreign"]
TABLES = [
    Table(
        "prune",
        [
            Case("lab", Step("other"), Step("third"), MISSING, given=ALL),
            kind("projects", "project"),
            kind("repos", "repo"),
            kind("branches", "branch"),
            kind("pipelines", "pipeline"),
            Case(
                "specs",
                Step([spec("p", "a"), spec("q", "a")], changed=False, sees=[]),
                Step([spec("p", "a")], sees=[["delete", "pipeline default/q"]]),
                Step(sees=[["delete", "pipeline default/p"]]),
                given={name: value for name, value in MADE.items() if name != "pipelines"},
            ),
            Case(
                "announce",
                Step(True, sees=[["announce", "repo default/new"]]),
                Step(False, sees=[["withdraw", "repo default/new"]]),
                Step(changed=False, sees=[]),
                given={**MADE, "repos": [*ALL["repos"], "default/new"]},
            ),
            Case(
                "actions",
                Step(
                    created("default/a"), sees=[["mark", "repo default/a"], ["mark", "repo default/foreign"]]
                ),
                Step(created(*FOREIGN), sees=[["mark", "repo default/foreign"]]),
                Step(changed=False, sees=[]),
                given={**MADE, "repos": [*ALL["repos"], *FOREIGN]},
            ),
            Case(
                "prune",
                Step(True, given={"repos": ["default/b"]}, sees=[["delete", "repo default/c"]]),
                Step(False, given={"repos": []}, changed=False, sees=[]),
                Step(given={"repos": []}, changed=False, sees=[]),
                given={"lab": "mine", **ALL},
            ),
            Case(
                "data",
                Step(True, given={"repos": ["default/b"]}, sees=[["delete", "repo default/c"]]),
                Step(False, given={"repos": []}, changed=False, sees=[]),
                Step(given={"repos": []}, changed=False, sees=[]),
                given=MADE,
                world=filled,
            ),
        ],
        world=world,
        absent=DELETES,
        look="actions[].[action, join(' ', [kind, name])]",
    )
]
