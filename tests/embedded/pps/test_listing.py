# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of jobs, datums and logs while user code runs."""

from __future__ import annotations

from typing import Any

import grpc
from pachyderm_sdk.api import pps


class TestJobs:
    def test_waiting_ends_with_the_job(self, lab: Any, gate: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), gate.wait())
        visitor = gate.visitor()
        job = lab.jobs(pipeline)[0].job
        visitor.release()
        assert lab.pps.inspect_job(job=job, wait=True).state == pps.JobState.JOB_SUCCESS

    def test_waiting_ends_when_the_pipeline_is_deleted(self, lab: Any, gate: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), gate.wait())
        gate.visitor()
        infos = lab.pps.subscribe_job(pipeline=pps.Pipeline(name=pipeline))
        job = next(infos).job
        lab.pps.delete_pipeline(pipeline=pps.Pipeline(name=pipeline))
        with refused(grpc.StatusCode.NOT_FOUND, "not found"):
            lab.pps.inspect_job(job=job, wait=True)

    def test_subscribing_shows_each_state(self, lab: Any, gate: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), gate.wait())
        visitor = gate.visitor()
        seen = []
        for info in lab.pps.subscribe_job(pipeline=pps.Pipeline(name=pipeline)):
            seen.append(pps.JobState(info.state).name)
            if seen[-1] == "JOB_RUNNING":
                visitor.release()
            if seen[-1] == "JOB_SUCCESS":
                break
        assert (seen[0], seen[-1]) == ("JOB_RUNNING", "JOB_SUCCESS")


class TestDatums:
    def test_of_a_running_job_those_that_are_done(self, lab: Any, gate: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1", b="2"), gate.wait())
        gate.visitor().release()
        visitor = gate.visitor()
        (info,) = lab.pps.list_datum(job=lab.jobs(pipeline)[0].job)
        assert info.state == pps.DatumState.SUCCESS
        assert lab.pps.inspect_datum(datum=info.datum).to_dict() == info.to_dict()
        visitor.release()


class TestLogs:
    def messages(self, lab: Any, **options: Any) -> list[str]:
        return [line.message for line in lab.pps.get_logs(**options) if line.user]

    def test_following_ends_with_the_job(self, lab: Any, gate: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "echo before", gate.wait(), "echo after")
        visitor = gate.visitor()
        seen = []
        for line in lab.pps.get_logs(job=lab.jobs(pipeline)[0].job, follow=True):
            seen.append(line.message)
            visitor.release()
        assert seen == ["before", "after"]
