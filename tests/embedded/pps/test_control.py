# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and pipelines that are stopped, updated or deleted while user code runs; nothing of it is left."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

PIPELINE_STOPPED = "all jobs killed because pipeline was stopped for user unknown_username"
PIPELINE_UPDATED = "all jobs killed because pipeline was updated for user unknown_username"


@pytest.fixture
def held(lab: Any, gate: Any) -> tuple[str, str, Any]:
    """A repo of two files, a pipeline that has done one of them, and its code that waits with the other."""
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(repo, "cp /pfs/*/* /pfs/out/ 2> /dev/null", gate.wait(), glob="/*")
    gate.visitor().release()
    return repo, pipeline, gate.visitor()


def stop_job(lab: Any, pipeline: str, reason: str = "") -> None:
    lab.pps.stop_job(job=lab.jobs(pipeline)[0].job, reason=reason)


def test_stop_job_kills_its_code_and_says_why(lab: Any, held: tuple[str, str, Any]) -> None:
    _, pipeline, visitor = held
    stop_job(lab, pipeline, "enough")
    assert visitor.is_gone()
    assert (lab.counts(pipeline), lab.job(pipeline).reason) == ("KILLED p1 t2", "enough")
    assert lab.commit_info(pipeline).error == "enough"


def test_stop_job_without_a_reason(lab: Any, held: tuple[str, str, Any]) -> None:
    _, pipeline, _ = held
    stop_job(lab, pipeline)
    assert lab.job(pipeline).reason == "job stopped"


def test_the_next_commit_does_what_a_killed_job_did_not(
    lab: Any, held: tuple[str, str, Any], gate: Any
) -> None:
    repo, pipeline, _ = held
    stop_job(lab, pipeline)
    commit = lab.put(repo, {"c": "3"})
    for _ in range(3):
        gate.visitor().release()
    assert lab.counts(pipeline, commit) == "SUCCESS p3 t3"


def test_a_job_that_waits_can_be_stopped(lab: Any, held: tuple[str, str, Any]) -> None:
    repo, pipeline, visitor = held
    commit = lab.put(repo, {"c": "3"})
    stop_job(lab, pipeline)
    assert lab.counts(pipeline, commit) == "KILLED t0"
    visitor.release()


def test_delete_job_ends_its_code(lab: Any, held: tuple[str, str, Any]) -> None:
    _, pipeline, visitor = held
    lab.pps.delete_job(job=lab.jobs(pipeline)[0].job)
    assert visitor.is_gone()
    assert lab.jobs(pipeline) == []
    assert lab.commit_info(pipeline).error == "job deleted"


class TestStopPipeline:
    def test_it_kills_the_job_and_pauses(self, lab: Any, held: tuple[str, str, Any]) -> None:
        _, pipeline, visitor = held
        lab.pps.stop_pipeline(pipeline=pps.Pipeline(name=pipeline))
        assert visitor.is_gone()
        assert lab.job(pipeline).reason == PIPELINE_STOPPED
        info = lab.pipeline_info(pipeline)
        assert (info.stopped, lab.pipeline_state(pipeline), info.version) == (True, "PAUSED", 1)
        assert (info.details.workers_requested, info.details.workers_available) == (0, 0)


class TestUpdate:
    def test_it_kills_the_job_and_the_new_one_does_all(
        self, lab: Any, held: tuple[str, str, Any], gate: Any
    ) -> None:
        repo, pipeline, visitor = held
        old = lab.jobs(pipeline)[0].job.id
        lab.pipeline(repo, "true", name=pipeline, update=True)
        assert visitor.is_gone()
        assert (lab.state(pipeline, old), lab.job(pipeline, old).reason) == ("KILLED", PIPELINE_UPDATED)
        assert lab.commit_info(pipeline, old).error == PIPELINE_UPDATED
        assert lab.counts(pipeline) == "SUCCESS p2 t2"

    def test_it_kills_the_jobs_that_wait(self, lab: Any, held: tuple[str, str, Any]) -> None:
        repo, pipeline, _ = held
        waiting = [lab.put(repo, {"c": "3"}), lab.put(repo, {"d": "4"})]
        lab.pipeline(repo, "true", name=pipeline, update=True)
        assert [lab.state(pipeline, job) for job in waiting] == ["KILLED", "KILLED"]
        assert lab.counts(pipeline) == "SUCCESS p4 t4"

    def test_one_that_is_refused_lets_the_job_go_on(
        self, lab: Any, held: tuple[str, str, Any], refused: Any
    ) -> None:
        """It would read its own output: found only after its jobs were killed in the same transaction."""
        _, pipeline, visitor = held
        below = lab.pipeline(pipeline, "true")
        with refused(grpc.StatusCode.INTERNAL, "cycle detected"):
            lab.pipeline(below, "true", name=pipeline, update=True)
        visitor.release()
        assert lab.counts(pipeline) == "SUCCESS p2 t2"
        assert lab.pipeline_info(pipeline).version == 1


class TestDelete:
    def test_it_ends_the_code(self, lab: Any, held: tuple[str, str, Any]) -> None:
        _, pipeline, visitor = held
        lab.pps.delete_pipeline(pipeline=pps.Pipeline(name=pipeline))
        assert visitor.is_gone()
        assert not lab.pfs.repo_exists(pfs.Repo.from_uri(pipeline))

    def test_the_name_can_be_used_again_at_once(self, lab: Any, held: tuple[str, str, Any]) -> None:
        repo, pipeline, _ = held
        lab.pps.delete_pipeline(pipeline=pps.Pipeline(name=pipeline))
        lab.pipeline(repo, "cp /pfs/*/* /pfs/out/", "echo new", name=pipeline)
        assert lab.counts(pipeline) == "SUCCESS p2 t2"
        assert lab.pipeline_info(pipeline).version == 1

    def test_dropping_the_commit_of_a_running_job_deletes_the_job(
        self, lab: Any, held: tuple[str, str, Any], gate: Any, eventually: Any
    ) -> None:
        repo, pipeline, visitor = held
        visitor.release()
        lab.job(pipeline)
        commit = lab.put(repo, {"c": "3"})
        visitor = gate.visitor()
        lab.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit))
        assert visitor.is_gone()
        eventually(lambda: commit not in [job.job.id for job in lab.jobs(pipeline)])
        lab.put(repo, {"d": "4"})
        gate.visitor().release()
        assert lab.counts(pipeline) == "SUCCESS p1 s2 t3"


def test_a_timeout_of_ten_thousand_years_is_none(
    lab: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a thread can wait."""
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    pipeline = lab.pipeline(lab.repo(a="1"), gate.wait(), job_timeout="315576000000s")
    gate.visitor().release()
    assert (lab.counts(pipeline), failed) == ("SUCCESS p1 t1", [])
