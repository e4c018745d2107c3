# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_job: run, wait, stop, restart, each with its check-mode twin; and why a job failed."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.contract.lab import poll

from .conftest import Lab
from .pipelines import gpus, lab_with_data, spec

TIMEOUT = 90
PIPELINE = pps.Pipeline(name="p", project=pfs.Project(name="default"))
COPY = "cp /pfs/[dp]*/* /pfs/out/"


@pytest.fixture
def data(lab: Lab) -> Lab:
    made = lab_with_data(lab)
    done = made.run("pipeline", pipelines=[spec("p", script=COPY), spec("q", "p", COPY)], wait=True)
    assert not done.get("failed"), done
    return made


def job(lab: Lab, **options: Any) -> dict[str, Any]:
    """A run after its check-mode twin, which must predict the same actions and diff."""
    options = {"wait_timeout": TIMEOUT, **options}
    predicted = lab.run("job", check=True, **options)
    result = lab.run("job", **options)
    for key in ("changed", "actions", *(() if result.get("failed") else ("diff",))):
        assert predicted[key] == result[key], key
    return result


def pipeline(lab: Lab, script: str, **fields: Any) -> None:
    done = lab.run("pipeline", pipeline=spec("p", script=script, **fields))
    assert not done.get("failed"), done


def states(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["pipeline"], one["state"].removeprefix("JOB_")) for one in result["jobs"]]


def newest(lab: Lab) -> pps.JobInfo:
    return next(iter(lab.client.pps.list_job(pipeline=PIPELINE, number=1)))


def test_run_of_two_is_one_commit_in_the_data(data: Lab) -> None:
    seen = data.mutations()
    ran = job(data, action="run", jobs=[{"pipeline": "q"}, {"pipeline": "p"}])
    assert ran["actions"] == [{"action": "run", "kind": "job", "name": f"default/{name}"} for name in "qp"]
    assert states(ran) == [("q", "SUCCESS"), ("p", "SUCCESS")]
    assert len({one["id"] for one in ran["jobs"]}) == 1
    assert [one["datums"]["skipped"] for one in ran["jobs"]] == [2, 2]
    assert data.mutations()[len(seen) :] == ["BatchTransaction"]


def test_run_anew(data: Lab) -> None:
    ran = job(data, action="run", pipeline="p", reprocess=True)
    assert ran["jobs"][0]["datums"]["processed"] == 2


def test_run_of_a_pipeline_with_a_clock(data: Lab) -> None:
    cron = {"cron": {"name": "tick", "spec": "@yearly"}}
    assert data.run("pipeline", pipeline=spec("c", input=cron), wait=True)["changed"]
    ran = job(data, action="run", pipeline="c")
    assert data.mutations()[-1] == "RunCron"
    assert ran["jobs"][0]["datums"]["total"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "run", "pipeline": "nope"}, "pipeline default/nope does not exist"),
        ({"action": "run", "pipeline": "q"}, "pipeline default/q is stopped; start it first"),
        ({"action": "run", "id": "x"}, "pipeline: is required with action run"),
        ({"action": "run", "pipeline": "p", "id": "x"}, "id: action run makes a new job"),
        ({"action": "wait", "jobs": [{}]}, "jobs[0].pipeline: is required, or jobs[0].id"),
        ({"action": "wait", "id": "1" * 32}, f"{'1' * 32} is the id of no job"),
        ({"action": "wait", "pipeline": "p", "id": "1" * 32}, "not found"),
        ({"action": "wait", "pipeline": "p", "wait_timeout": 0}, "wait_timeout: must be more than 0 seconds"),
    ],
)
def test_what_cannot_be(data: Lab, options: dict[str, Any], message: str) -> None:
    data.run("pipeline", name="q", state="stopped")
    seen = data.mutations()
    assert message in data.run("job", **options)["msg"]
    assert data.mutations() == seen


def test_wait_for_a_whole_set(data: Lab) -> None:
    data.put("/c", b"c")
    ident = data.client.pfs.inspect_branch(branch=pfs.Branch.from_uri("data@master")).head.id
    waited = job(data, action="wait", id=ident)
    assert states(waited) == [("p", "SUCCESS"), ("q", "SUCCESS")]
    assert {one["id"] for one in waited["jobs"]} == {ident}
    assert not waited["changed"]
    assert states(job(data, action="wait", pipeline="q", id=ident)) == [("q", "SUCCESS")]
    assert states(job(data, action="wait", jobs=[{"pipeline": "q"}])) == [("q", "SUCCESS")]


def test_a_failure_is_told_with_its_datums_and_what_is_downstream(data: Lab) -> None:
    pipeline(data, "echo on fire; exit 3", datum_tries=1)
    failed = data.run("job", action="run", pipeline="p", reprocess=True, wait_timeout=TIMEOUT)
    assert failed["failed"]
    assert failed["changed"]
    found = failed["jobs"][0]
    assert sorted(one["inputs"][0] for one in found["failed_datums"]) == ["data:/a", "data:/b"]
    assert {(one["exit_code"], one["error"]) for one in found["failed_datums"]} == {(3, "exit status 3")}
    assert "on fire" in found["logs"]
    whole = data.run("job", action="wait", id=found["id"], wait_timeout=TIMEOUT)
    assert f"; also default/q@{found['id']} (JOB_UNRUNNABLE)" in whole["msg"]
    assert states(whole) == [("p", "FAILURE"), ("q", "UNRUNNABLE")]
    alone = data.run("job", action="wait", pipeline="q", wait_timeout=TIMEOUT)
    assert "; upstream: default/p (JOB_FAILURE)" in alone["msg"]
    assert [one["pipeline"] for one in alone["jobs"][0]["upstream"]] == ["p"]


def test_restart_does_again_what_failed_and_nothing_after_a_success(data: Lab) -> None:
    assert not job(data, action="restart", pipeline="p")["changed"]
    pipeline(data, f"test -e /pfs/data/bad && exit 1; {COPY}", datum_tries=1)
    data.put("/bad", b"")
    failed = data.run("job", action="wait", pipeline="p", wait_timeout=TIMEOUT)
    assert "JOB_FAILURE" in failed["msg"]
    assert "restart what failed upstream" in data.run("job", action="restart", pipeline="q")["msg"]
    pipeline(data, COPY)
    data.run("job", action="wait", pipeline="p", wait_timeout=TIMEOUT)
    again = data.run("job", action="restart", pipeline="p", id=failed["jobs"][0]["id"])
    assert again["actions"] == [{"action": "run", "kind": "job", "name": "default/p"}]
    assert states(again) == [("p", "SUCCESS")]


def test_stop(data: Lab) -> None:
    pipeline(data, "sleep 600")
    data.put("/c", b"c")
    # Else it may begin between the two runs, and the diff names its state.
    poll(lambda: newest(data).state == pps.JobState.JOB_RUNNING)
    stopped = job(data, action="stop", pipeline="p", reason="enough")
    assert [action["action"] for action in stopped["actions"]] == ["stop"]
    info = newest(data)
    assert (info.state, info.reason) == (pps.JobState.JOB_KILLED, "enough")
    assert not job(data, action="stop", pipeline="p")["changed"]


def test_restart_of_a_job_that_runs_and_what_a_wait_that_is_over_says(data: Lab) -> None:
    pipeline(data, "sleep 600")
    data.put("/c", b"c")
    over = data.run("job", action="wait", pipeline="q", wait_timeout=1)
    assert "; it waits for pipelines upstream" in over["msg"]
    assert over["jobs"][0]["waits_for"] == "upstream"
    refused = data.run("job", action="restart", pipeline="p", datums=["/nope"])
    assert "cannot restart it: datum matching filter [/nope] could not be found" in refused["msg"]
    data.run("job", action="stop", pipeline="p")


def test_a_wait_for_gpus_is_told(data: Lab) -> None:
    data.client.pps.create_pipeline(
        pipeline=pps.Pipeline(name="big", project=pfs.Project(name="default")),
        input=pps.Input(pfs=pps.PfsInput(repo="data", glob="/*")),
        transform=pps.Transform(cmd=["true"]),
        resource_limits=pps.ResourceSpec(gpu=pps.GpuSpec(**gpus(3)["gpu"])),
    )
    over = data.run("job", action="wait", pipeline="big", wait_timeout=2)
    assert "is still JOB_CREATED at the end of wait_timeout; it waits for a GPU;" in over["msg"]
    assert over["jobs"][0]["waits_for"] == "gpu"
