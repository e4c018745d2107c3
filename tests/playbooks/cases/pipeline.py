# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_pipeline."""

from __future__ import annotations

import json
from typing import Any

from ..pipelines import lab_with_data, spec
from .case import NAMED, Case, Left, Step, Table

TIMEOUT = 60
HAND = Step(fails="parameters are required: ")


def world(lab: Any) -> None:
    """A repo with two files, another project, and specs as files."""
    lab_with_data(lab)
    lab.run("project", name="vision")
    for name in ("one", "two"):
        (lab.directory / f"{name}.json").write_text(json.dumps(spec(description=name)))


def run_by(lab: Any) -> None:
    """Two pipelines in a row."""
    world(lab)
    again(lab)


def again(lab: Any) -> None:
    chain = [spec("p", script="cp /pfs/data/* /pfs/out/"), spec("q", "p")]
    lab.run("pipeline", pipelines=chain, wait=True, wait_timeout=TIMEOUT)


def again_alone(lab: Any) -> None:
    if any(info.repo.name == "p" for info in lab.client.pfs.list_repo(type="user")):
        lab.run("repo", name="p", state="absent")
    lab.run("pipeline", pipeline=spec("p"))


def alone(lab: Any) -> None:
    world(lab)
    again_alone(lab)


def repos(lab: Any) -> list[str]:
    return sorted(info.repo.name for info in lab.client.pfs.list_repo(type="user"))


def versions(lab: Any) -> list[tuple[str, str]]:
    """Each pipeline with its description."""
    infos = lab.client.pps.list_pipeline(details=True)
    return sorted((info.pipeline.name, info.details.description) for info in infos)


def done(lab: Any) -> None:
    """A pipeline that has processed its data."""
    world(lab)
    lab.run("pipeline", pipeline=spec(), wait=True, wait_timeout=TIMEOUT)


def late(lab: Any) -> None:
    """A pipeline whose job does not end."""
    world(lab)
    lab.run("pipeline", pipeline=LATE)


LATE = spec("late", script="sleep 600")
OF_ABSENT = Left("it is an option of state absent")


def scripted(text: str) -> dict[str, Any]:
    return {"pipeline": spec(script=text)}


GONE = {"name": "p", "state": "absent"}
TABLES = [
    Table(
        "pipeline",
        [
            Case(
                "pipeline",
                Step(spec(description="one"), sees=[("p", "one")]),
                Step(spec(description="two"), sees=[("p", "two")]),
                NAMED,
                look=versions,
            ),
            Case(
                "src",
                Step("{directory}/one.json", sees=[("p", "one")]),
                Step("{directory}/two.json", sees=[("p", "two")]),
                NAMED,
                look=versions,
            ),
            Case(
                "pipelines",
                Step([spec("a")], sees=[("a", "")]),
                Step(
                    [spec("b", "a"), {"src": "{directory}/one.json"}],
                    sees=[("a", ""), ("b", ""), ("p", "one")],
                ),
                NAMED,
                Step([{"name": "b"}, {"name": "p"}], given={"state": "absent"}),
                look=versions,
            ),
            Case(
                "name",
                Step("p"),
                Step("q"),
                NAMED,
                Step("q", given={"state": "absent"}),
                given={"state": "stopped"},
                world=run_by,
            ),
            Case(
                "project",
                Step("vision", sees=["vision"]),
                Step("default", sees=["default"]),
                Step(changed=False, sees=["default"]),
                given={"pipeline": spec(input={"pfs": {"project": "default", "repo": "data", "glob": "/"}})},
                look="pipelines[].project",
            ),
            Case("state", Step("started"), Step("stopped"), Step(changed=False), given={"pipeline": spec()}),
            Case(
                "reprocess",
                Step(True, given=scripted("true # 1"), sees=[2]),
                Step(False, given=scripted("true # 2"), sees=[0]),
                Step(given=scripted("true # 3"), sees=[0]),
                Step(given=GONE | {"wait": False}),
                given={"wait": True, "wait_timeout": TIMEOUT},
                world=done,
                look="jobs[].datums.processed",
            ),
            Case(
                "force",
                Step(True, sees=[("q", "")]),
                Step(False, fails="default/q reads its output", before=again),
                Step(fails="default/q reads its output"),
                OF_ABSENT,
                given=GONE,
                world=run_by,
                look=versions,
            ),
            Case(
                "keep_repo",
                Step(True, sees=["data", "p", "taken"]),
                Step(False, sees=["data", "taken"], before=again_alone),
                Step(sees=["data", "taken"], before=again_alone),
                OF_ABSENT,
                given=GONE,
                world=alone,
                look=repos,
            ),
            Case(
                "create_repos",
                Step(True, given={"pipeline": spec("a", "one")}, sees=["a", "data", "one", "taken"]),
                Step(
                    False,
                    given={"pipeline": spec("b", "two")},
                    fails="input repo default/two does not",
                    unforeseen=True,
                ),
                Step(
                    given={"pipeline": spec("b", "two")},
                    fails="input repo default/two does not",
                    unforeseen=True,
                ),
                Step(given={"pipeline": spec("a", "one"), "state": "absent"}),
                given={},
                look=repos,
            ),
            Case(
                "wait",
                Step(True, sees=["JOB_SUCCESS"]),
                Step(False, changed=False, sees=None),
                Step(changed=False),
                given={"pipeline": spec(), "wait_timeout": TIMEOUT},
                look="jobs[].state",
            ),
            Case(
                "wait_timeout",
                Step(60.0, sees=["JOB_SUCCESS"]),
                Step(0.2, given={"pipeline": LATE}, fails="at the end of wait_timeout", unforeseen=True),
                Left("it is 600 seconds then"),
                given={"pipeline": spec(), "wait": True},
                world=late,
                look="jobs[].state",
            ),
        ],
        world=world,
        varies=("pipelines", "jobs"),
    )
]
