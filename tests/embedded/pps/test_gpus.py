# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs: lent to one job at a time, waited for, and a reason for as long as one waits. The lab has two."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pps

SHOW = "echo $NVIDIA_VISIBLE_DEVICES"


def gpus(number: int, kind: str = "nvidia.com/gpu") -> dict[str, Any]:
    return {"resource_limits": {"gpu": {"type": kind, "number": number}}}


def waits(number: str, why: str, kind: str = "nvidia.com/gpu") -> str:
    return f"0/1 nodes are available: 1 Insufficient {kind}. (asks for {number}, {why})"


@pytest.fixture
def repo(lab: Any) -> str:
    return str(lab.repo(a="1"))


def test_code_is_told_its_devices(lab: Any, repo: str) -> None:
    one = lab.pipeline(repo, SHOW, **gpus(1))
    lab.job(one)
    assert lab.logs(one)[0] in ("simulated-0", "simulated-1")
    both = lab.pipeline(repo, SHOW, "echo $CUDA_VISIBLE_DEVICES", **gpus(2))
    lab.job(both)
    assert lab.logs(both) == ["simulated-0,simulated-1"] * 2
    none = lab.pipeline(repo, SHOW)
    lab.job(none)
    assert lab.logs(none) == ["void"]


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (3, "nvidia.com/gpu", waits("3", "this machine has 2")),
        (1, "amd.com/gpu", waits("1", "this machine has 0", "amd.com/gpu")),
    ],
)
def test_more_than_there_are_is_waited_for_with_a_reason(
    lab: Any, repo: str, settled: Any, number: int, kind: str, reason: str
) -> None:
    pipeline = lab.pipeline(repo, SHOW, **gpus(number, kind))
    info = settled(pipeline, "CRASHING")
    assert (info.reason, info.details.workers_available) == (reason, 0)
    assert lab.state(pipeline) == "CREATED"
    # Nobody else has to wait for it.
    other = lab.pipeline(repo, SHOW, **gpus(2))
    assert lab.counts(other) == "SUCCESS p1 t1"
    # An update to less heals it.
    lab.pipeline(repo, SHOW, name=pipeline, update=True, **gpus(1))
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert settled(pipeline, "RUNNING").reason == ""


def test_more_workers_than_devices_run_on_those_there_are(lab: Any, gate: Any, settled: Any) -> None:
    repo = lab.repo(a="1", b="2", c="3")
    script = gate.wait("$NVIDIA_VISIBLE_DEVICES")
    pipeline = lab.pipeline(repo, script, parallelism_spec={"constant": 3}, **gpus(1))
    visitors = [gate.visitor(), gate.visitor()]
    info = settled(pipeline, "CRASHING")
    assert info.reason == waits("3 x 1", "this machine has 2")
    assert (info.details.workers_available, info.details.workers_requested) == (2, 3)
    assert sorted(visitor.word for visitor in visitors) == ["simulated-0", "simulated-1"]
    for visitor in visitors:
        visitor.release()
    gate.visitor().release()
    assert lab.counts(pipeline) == "SUCCESS p3 t3"


def test_two_pipelines_share_a_device_one_after_the_other(
    lab: Any, repo: str, gate: Any, eventually: Any
) -> None:
    first = lab.pipeline(repo, gate.wait(), **gpus(2))
    visitor = gate.visitor()
    second = lab.pipeline(repo, SHOW, **gpus(1))
    reason = waits("1", "others use them now")
    eventually(lambda: lab.pipeline_info(second).reason == reason)
    assert (lab.pipeline_state(second), lab.state(second)) == ("RUNNING", "CREATED")
    visitor.release()
    assert (lab.counts(first), lab.counts(second)) == ("SUCCESS p1 t1", "SUCCESS p1 t1")
    eventually(lambda: lab.pipeline_info(second).reason == "")


def test_a_job_without_devices_does_not_wait_for_them(lab: Any, repo: str, gate: Any) -> None:
    lab.pipeline(repo, gate.wait(), **gpus(2))
    visitor = gate.visitor()
    assert lab.counts(lab.pipeline(repo, SHOW)) == "SUCCESS p1 t1"
    visitor.release()


def test_an_older_job_is_not_overtaken(lab: Any, repo: str, gate: Any, eventually: Any) -> None:
    """One device is free all the time, but who waits for two waits for that one too."""
    lab.pipeline(repo, gate.wait(), **gpus(1))
    holder = gate.visitor()
    big = lab.pipeline(repo, gate.wait("big"), **gpus(2))
    eventually(lambda: lab.pipeline_info(big).reason)
    small = lab.pipeline(repo, gate.wait("small"), **gpus(1))
    eventually(lambda: lab.pipeline_info(small).reason)
    holder.release()
    for word in ("big", "small"):
        visitor = gate.visitor()
        assert visitor.word == word
        visitor.release()
    assert lab.counts(small) == "SUCCESS p1 t1"


@pytest.mark.parametrize("call", ["stop_job", "stop_pipeline", "delete_pipeline"])
def test_what_ends_a_job_frees_its_devices(lab: Any, repo: str, gate: Any, call: str) -> None:
    pipeline = lab.pipeline(repo, gate.wait(), **gpus(2))
    gate.visitor()
    if call == "stop_job":
        lab.pps.stop_job(job=lab.jobs(pipeline)[0].job)
    else:
        getattr(lab.pps, call)(pipeline=pps.Pipeline(name=pipeline))
    assert lab.counts(lab.pipeline(repo, SHOW, **gpus(2))) == "SUCCESS p1 t1"


def test_a_failed_job_frees_its_devices(lab: Any, repo: str) -> None:
    failing = lab.pipeline(repo, "exit 1", **gpus(2), datum_tries=1)
    assert lab.counts(failing) == "FAILURE f1 t1"
    assert lab.counts(lab.pipeline(repo, SHOW, **gpus(2))) == "SUCCESS p1 t1"


def test_a_negative_number_is_none(lab: Any, repo: str) -> None:
    """pachd does not check it; nothing of it may stop other pipelines."""
    pipeline = lab.pipeline(repo, SHOW, **gpus(-1))
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.logs(pipeline) == ["void"]
