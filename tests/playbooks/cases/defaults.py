# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_defaults."""

from __future__ import annotations

from typing import Any

from pachyderm_sdk.api import pfs, pps

from .case import Case, Step, Table, listed


def tries(number: int) -> dict[str, Any]:
    return {"createPipelineRequest": {"datumTries": number}}


def world(lab: Any) -> None:
    """Two projects and a pipeline."""
    lab.run("project", name="vision")
    lab.run("repo", name="data")
    spec = {
        "pipeline": {"name": "p", "project": {"name": "default"}},
        "input": {"pfs": {"repo": "data", "glob": "/"}},
        "transform": {"cmd": ["true"]},
    }
    lab.run("pipeline", pipeline=spec)
    lab.salt = pipeline(lab).details.salt


def pipeline(lab: Any) -> Any:
    named = pps.Pipeline(name="p", project=pfs.Project(name="default"))
    return lab.client.pps.inspect_pipeline(pipeline=named, details=True)


def effective(lab: Any) -> int:
    """How often the pipeline that there is tries a datum."""
    return int(pipeline(lab).details.datum_tries)


def anew(lab: Any) -> bool:
    """Whether all data is processed again: the pipeline has another salt than at the last look."""
    before, lab.salt = lab.salt, pipeline(lab).details.salt
    return bool(before != lab.salt)


CASES = [
    Case(
        "project",
        Step("vision", sees=["vision"]),
        Step("default", sees=["default"]),
        Step(sees=[None]),
        given={"spec": tries(1)},
        look="defaults[].project || [`null`]",
    ),
    Case(
        "spec",
        Step(tries(1), sees=[tries(1)]),
        Step(tries(2), sees=[tries(2)]),
        Step(fails="spec: is required"),
        look="defaults[].spec",
    ),
    Case("state", Step("present"), Step("absent"), Step(), given={"spec": tries(1)}),
]
REGENERATE = Case(
    "regenerate",
    Step(True, given={"spec": tries(5)}, sees=5),
    Step(False, given={"spec": tries(6)}, sees=5),
    Step(changed=False, given={"spec": tries(6)}, sees=5),
    given={},
    look=effective,
)
REPROCESS = Case(
    "reprocess",
    Step(True, given={"spec": tries(5)}, sees=True),
    Step(False, given={"spec": tries(6)}, sees=False),
    Step(given={"spec": tries(7)}, sees=False),
    Step(given={"state": "absent"}, sees=False),
    given={"regenerate": True},
    look=anew,
)
SOME = [{"spec": tries(1)}, {"project": "vision", "spec": tries(2)}]
TABLES = [
    Table(
        "defaults",
        [
            *CASES,
            REGENERATE,
            REPROCESS,
            Case(
                "defaults",
                Step(SOME[:1]),
                Step(SOME),
                Step(fails="spec: is required"),
                Step([{}, {"project": "vision"}], given={"state": "absent"}),
            ),
            *listed("defaults", CASES),
        ],
        world=world,
    )
]
