# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines that are stopped and started, and stopping what has ended."""

from __future__ import annotations

from typing import Any


def test_stopping_an_ended_job_changes_nothing(lab: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    before = lab.job(pipeline)
    lab.pps.stop_job(job=before.job, reason="late")
    assert lab.job(pipeline).to_dict() == before.to_dict()


class TestStopPipeline:
    def test_commits_make_no_jobs_until_it_starts_with_one_for_all(self, lab: Any, settled: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "true")
        lab.job(pipeline)
        lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
        lab.put(repo, {"b": "2"})
        lab.put(repo, {"c": "3"})
        assert len(lab.jobs(pipeline)) == 1
        lab.pps.start_pipeline(pipeline=lab.key(pipeline))
        assert (len(lab.jobs(pipeline)), lab.counts(pipeline)) == (2, "SUCCESS p2 s1 t3")
        assert settled(pipeline, "RUNNING").stopped is False
        lab.put(repo, {"d": "4"})
        assert lab.counts(pipeline) == "SUCCESS p1 s3 t4"

    def test_twice_is_as_once(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        lab.job(pipeline)
        for _ in range(2):
            lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
        for _ in range(2):
            lab.pps.start_pipeline(pipeline=lab.key(pipeline))
        assert len(lab.jobs(pipeline)) == 2

    def test_an_update_leaves_it_stopped(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "true")
        lab.job(pipeline)
        lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
        lab.pipeline(repo, "echo new", name=pipeline, update=True, reprocess=True)
        info = lab.pipeline_info(pipeline)
        assert (info.stopped, info.version, len(lab.jobs(pipeline, history=-1))) == (True, 2, 1)
        lab.pps.start_pipeline(pipeline=lab.key(pipeline))
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.logs(pipeline) == ["new"]
