# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_job."""

from __future__ import annotations

from typing import Any

from pachyderm_sdk.api import pfs, pps

from tests.contract.lab import poll

from ..pipelines import lab_with_data, spec
from .case import ACTION, MISSING, NAMED, Case, Left, Step, Table, listed

TIMEOUT = 60
COPY = "cp /pfs/[dp]*/* /pfs/out/"
ANEW = Left("each run makes new jobs")


def world(lab: Any) -> dict[str, str]:
    """Two pipelines in a row, done, and one in another project; two commits that each has seen."""
    lab_with_data(lab)
    lab.run("project", name="vision")
    reads = {"pfs": {"project": "default", "repo": "data", "glob": "/*"}}
    lab.run("pipeline", project="vision", pipeline=spec("p", input=reads), wait=True, wait_timeout=TIMEOUT)
    chain = [spec("p", script=COPY), spec("q", "p", COPY)]
    lab.run("pipeline", pipelines=chain, wait=True, wait_timeout=TIMEOUT)
    ids = []
    for name in ("/c", "/d"):
        lab.put(name, b"x")
        waited = lab.run("job", action="wait", pipeline="q", wait_timeout=TIMEOUT)
        ids.append(waited["jobs"][0]["id"])
    return {"older": ids[0], "newest": ids[1]}


def slow(lab: Any) -> None:
    """A pipeline whose job does not end, and is at work."""
    lab_with_data(lab)
    lab.run("pipeline", pipeline=spec("slow", script="echo at work; sleep 600"))
    at_work(lab)


def at_work(lab: Any) -> None:
    """The code of the slow pipeline's newest job has begun."""
    poll(lambda: any(line.message == "at work" for line in lab.client.pps.get_logs(job=job(lab).job)))


def quick(lab: Any) -> None:
    """A pipeline whose jobs end."""
    lab.run("pipeline", pipeline=spec("p"), wait=True, wait_timeout=TIMEOUT)


def ended(lab: Any) -> None:
    """Data, and that pipeline."""
    lab_with_data(lab)
    quick(lab)


def both(lab: Any) -> None:
    slow(lab)
    quick(lab)


def more(lab: Any) -> None:
    """The slow pipeline has another job."""
    lab.put("/more", b"x", append=True)
    poll(lambda: job(lab).state == pps.JobState.JOB_RUNNING)


def job(lab: Any) -> Any:
    slow = pps.Pipeline(name="slow", project=pfs.Project(name="default"))
    return next(iter(lab.client.pps.list_job(pipeline=slow, number=1, details=True)))


def reason(lab: Any) -> str:
    return str(job(lab).reason)


P, Q = {"pipeline": "p"}, {"pipeline": "q"}
WAIT = {"action": "wait", "wait_timeout": TIMEOUT}
SLOW = {"pipeline": "slow"}
STATES = "jobs[].[pipeline, state]"
CASES = [
    Case(
        "pipeline",
        Step("p", changed=False, sees=["p"]),
        Step("q", changed=False, sees=["q"]),
        NAMED,
        given=WAIT,
        look="jobs[].pipeline",
    ),
    Case(
        "project",
        Step("vision", changed=False, sees=["vision"]),
        Step("default", changed=False, sees=["default"]),
        Step(changed=False, sees=["default"]),
        given={**WAIT, **P},
        look="jobs[].project",
    ),
    Case(
        "id",
        Step("{newest}", changed=False, sees=["{newest}"]),
        Step("{older}", changed=False, sees=["{older}"]),
        Step(changed=False, sees=["{newest}"]),
        given={**WAIT, **Q},
        look="jobs[].id",
    ),
]
TABLES = [
    Table(
        "job",
        [
            Case(
                "action",
                Step("run", sees=[["p", "JOB_SUCCESS"]]),
                Step("wait", changed=False, sees=[["p", "JOB_SUCCESS"]]),
                MISSING,
                again=ANEW,
                given={**P, "wait_timeout": TIMEOUT},
                look=STATES,
            ),
            *CASES,
            Case(
                "jobs",
                Step([P], changed=False, sees=["p"]),
                Step([P, Q], changed=False, sees=["p", "q"]),
                NAMED,
                given=WAIT,
                look="jobs[].pipeline",
            ),
            *listed(
                "jobs",
                CASES,
                list(WAIT),
                pipeline={"omitted": Step(fails="jobs[0].pipeline: is required, or jobs[0].id")},
            ),
            Case(
                "reprocess",
                Step(True, sees=[2]),
                Step(False, sees=[0]),
                Step(sees=[0]),
                again=ANEW,
                given={"action": "run", **P, "wait_timeout": TIMEOUT},
                look="jobs[].datums.processed",
                world=ended,
            ),
            Case(
                "reason",
                Step("enough", sees="enough"),
                Step("more than enough", before=more, sees="more than enough"),
                Step(before=more, sees="stopped by pachyderm_job"),
                given={"action": "stop", **SLOW},
                world=slow,
                look=reason,
            ),
            Case(
                "datums",
                Step(["/a"]),
                Step(
                    ["/nope"],
                    before=at_work,
                    fails="datum matching filter [/nope] could not be found",
                    unforeseen=True,
                ),
                Step(before=at_work),
                again=Left("each restart begins the datums at work anew"),
                given={"action": "restart", **SLOW, "wait": False},
                world=slow,
            ),
            Case(
                "wait",
                Step(True, given=P, sees=[["p", "JOB_SUCCESS"]]),
                Step(False, given=SLOW, sees=[]),
                Step(given=P, sees=[["p", "JOB_SUCCESS"]]),
                again=ANEW,
                given={"action": "run", "wait_timeout": TIMEOUT},
                look="jobs[?ends_with(state, 'SUCCESS')].[pipeline, state]",
                world=both,
            ),
            Case(
                "wait_timeout",
                Step(0.2, given=SLOW, fails="at the end of wait_timeout", unforeseen=True),
                Step(0.3, given=SLOW, fails="at the end of wait_timeout", unforeseen=True),
                Step(given=P, changed=False, sees=[["p", "JOB_SUCCESS"]]),
                given={"action": "wait"},
                look=STATES,
                world=both,
            ),
        ],
        world=world,
        absent=ACTION,
        varies=("jobs",),
    )
]
