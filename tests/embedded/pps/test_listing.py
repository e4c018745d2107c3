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

    def test_subscribing_to_what_is_not_there(self, lab: Any, refused: Any) -> None:
        with refused(grpc.StatusCode.NOT_FOUND, 'pipeline "default/none" not found'):
            next(lab.pps.subscribe_job(pipeline=pps.Pipeline(name="none")))

    def test_subscribing_shows_each_job_that_has_not_ended_once(self, lab: Any, gate: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, gate.wait())
        lab.put(repo, {"b": "1"})
        newest, oldest = [job.job.id for job in lab.jobs(pipeline)]
        infos = lab.pps.subscribe_job(pipeline=pps.Pipeline(name=pipeline))
        assert [next(infos).job.id, next(infos).job.id] == [oldest, newest]
        gate.visitor().release()
        gate.visitor().release()
        lab.job(pipeline, newest)
        third = lab.put(repo, {"c": "1"})
        assert next(infos).job.id == third
        gate.visitor().release()


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
