# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_pipeline waits for jobs, and tells why one failed or did not end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pachyderm_sdk.api import pfs, pps

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _job_wait

from .conftest import Lab
from .pipelines import lab_with_data, spec

TIMEOUT = 60
PIPELINE = pps.Pipeline(name="p", project=pfs.Project(name="default"))


@pytest.fixture
def data(lab: Lab) -> Lab:
    return lab_with_data(lab)


def test_failed_job_is_told_with_its_log(data: Lab) -> None:
    script = "echo to stdout; echo the disk is on fire >&2; exit 3"
    options: dict[str, Any] = {
        "pipeline": spec(script=script, datum_tries=1),
        "wait": True,
        "wait_timeout": TIMEOUT,
    }
    failed = data.run("pipeline", **options)
    assert failed["failed"]
    assert failed["changed"]
    assert "JOB_FAILURE: datum " in failed["msg"]
    assert "the disk is on fire" in failed["msg"]
    assert "exit status 3" in failed["msg"]
    assert failed["jobs"][-1]["datums"]["failed"] == 2
    assert "the disk is on fire" in failed["jobs"][-1]["logs"]
    # Nothing to change, and yet nothing to rely on.
    again = data.run("pipeline", **options)
    assert again["failed"]
    assert not again["changed"]
    assert not data.run("pipeline", pipeline=options["pipeline"]).get("failed")


def test_upstream_failure_is_reported_first(data: Lab) -> None:
    specs = [spec("b", "a"), spec("a", script="exit 1", datum_tries=1)]
    failed = data.run("pipeline", pipelines=specs, wait=True, wait_timeout=TIMEOUT)
    assert "pipeline default/a: job " in failed["msg"]
    unrunnable = data.run("pipeline", name="b", state="started", wait=True, wait_timeout=TIMEOUT)
    assert "ended in JOB_UNRUNNABLE: unrunnable because" in unrunnable["msg"]


def test_only_the_last_try_is_told_and_the_datum_by_its_files(data: Lab) -> None:
    script = "test -e /pfs/data/a || exit 0; for n in 1 2 3; do echo line $n of a try; done; exit 3"
    options: dict[str, Any] = {
        "pipeline": spec(script=script, datum_tries=3),
        "wait": True,
        "wait_timeout": TIMEOUT,
    }
    failed = data.run("pipeline", **options)
    job = failed["jobs"][-1]
    whole = job["reason"].split()[1]
    assert (
        f"JOB_FAILURE: datum {whole[:12]} (data:/a) failed; its last lines: line 1 of a try" in failed["msg"]
    )
    assert whole not in failed["msg"]
    assert [line for line in job["logs"] if line.startswith("line")] == [
        f"line {n} of a try" for n in (1, 2, 3)
    ]
    assert len(job["logs"]) == 4
    assert "exit status 3" in job["logs"][-1]


def test_only_the_tail_of_a_long_log_is_asked_for(data: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, numbers = pps.ApiStub.get_logs, []

    def counted(stub: Any, **request: Any) -> Any:
        lines = list(ask(stub, **request))
        numbers.append(len(lines))
        return iter(lines)

    monkeypatch.setattr(pps.ApiStub, "get_logs", counted)
    options: dict[str, Any] = {"pipeline": spec(script="seq 5000; exit 3", datum_tries=1)}
    failed = data.run("pipeline", **options, wait=True, wait_timeout=TIMEOUT)
    assert failed["jobs"][-1]["logs"][-2] == "5000"
    assert max(numbers) == 1000


def test_pachd_that_goes_away_ends_the_wait(data: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = _job_wait._pause

    def stopped_meanwhile(pachd: Any, job: Any, seconds: float) -> None:
        if job is not None:
            data.server.stop(grace=0)
        pause(pachd, job, seconds)

    monkeypatch.setattr(_job_wait, "_pause", stopped_meanwhile)
    start = time.monotonic()
    waiting: dict[str, Any] = {"timeout": 2, "wait": True, "wait_timeout": TIMEOUT}
    result = data.run("pipeline", pipeline=spec(script="sleep 600"), **waiting)
    assert time.monotonic() - start < TIMEOUT / 2
    assert "pipeline default/p: waiting for job" in result["msg"]
    assert f"no answer within timeout, 2 s: pachd at {data.address} went away" in result["msg"]
    assert len(result["jobs"]) == 1
    assert result["changed"]


def test_pipeline_that_cannot_start_is_told_at_the_end(data: Lab) -> None:
    data.client.pps.create_pipeline(
        pipeline=PIPELINE,
        input=pps.Input(pfs=pps.PfsInput(repo="data", glob="/*")),
        transform=pps.Transform(cmd=["true"]),
        resource_limits=pps.ResourceSpec(gpu=pps.GpuSpec(type="nvidia.com/gpu", number=3)),
    )
    result = data.run("pipeline", name="p", state="started", wait=True, wait_timeout=2)
    assert "is still JOB_CREATED at the end of wait_timeout" in result["msg"]
    assert "PIPELINE_CRASHING" in result["msg"]
    assert "Insufficient nvidia.com/gpu" in result["msg"]
