# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs and job sets: listed, waited for, subscribed to, deleted; what a job says of its work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pfs, pps

MISSING = "f" * 32


@pytest.fixture
def versions(lab: Any) -> tuple[str, list[str]]:
    """A pipeline of three versions with a job each, and the jobs' ids, the newest first."""
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, "true")
    lab.job(pipeline)
    for script in ("false", "true"):
        lab.pipeline(repo, script, name=pipeline, update=True)
        lab.job(pipeline)
    return pipeline, [job.job.id for job in lab.jobs(pipeline, history=-1)]


@pytest.fixture
def chain(lab: Any) -> tuple[str, str, str, str]:
    """A repo, a pipeline that reads it, one that reads that one, and the id of their newest jobs."""
    repo = lab.repo(a="1")
    first = lab.pipeline(repo, "cp /pfs/*/a /pfs/out/")
    second = lab.pipeline(first, "true")
    commit = lab.put(repo, {"a": "2"})
    lab.job(second, commit)
    return repo, first, second, commit


class TestListJob:
    @pytest.mark.parametrize(("history", "shown"), [(0, 1), (1, 2), (2, 3), (3, 3), (-1, 3)])
    def test_history_is_how_many_older_versions_are_shown(
        self, lab: Any, versions: tuple[str, list[str]], history: int, shown: int
    ) -> None:
        pipeline, ids = versions
        assert [job.job.id for job in lab.jobs(pipeline, history=history)] == ids[:shown]

    @pytest.mark.parametrize(("history", "shown"), [(0, 1), (1, 2), (-1, 3)])
    def test_the_same_without_a_pipeline(
        self, lab: Any, versions: tuple[str, list[str]], history: int, shown: int
    ) -> None:
        _, ids = versions
        jobs = lab.pps.list_job(projects=[lab.owner], history=history)
        assert [job.job.id for job in jobs] == ids[:shown]

    @pytest.mark.parametrize("reverse", [False, True])
    def test_pages_by_time(self, lab: Any, versions: tuple[str, list[str]], reverse: bool) -> None:
        pipeline, ids = versions
        ordered = ids[::-1] if reverse else ids
        options = {"history": -1, "number": 2, "reverse": reverse}
        page = lab.jobs(pipeline, **options)
        assert [job.job.id for job in page] == ordered[:2]
        rest = lab.jobs(pipeline, pagination_marker=page[-1].created, **options)
        assert [job.job.id for job in rest] == ordered[2:]

    def test_of_an_input_commit_also_those_further_down(
        self, lab: Any, chain: tuple[str, str, str, str]
    ) -> None:
        repo, first, second, commit = chain
        wanted = [pfs.Commit.from_uri(f"{lab.uri(repo)}@{commit}")]
        found = lab.pps.list_job(projects=[lab.owner], input_commit=wanted)
        assert {(job.job.pipeline.name, job.job.id) for job in found} == {(first, commit), (second, commit)}

    def test_of_several_input_commits_those_that_read_all(self, lab: Any) -> None:
        left, right = lab.repo(a="1"), lab.repo(b="1")
        node = {"cross": [{"pfs": {"repo": repo, "glob": "/*"}} for repo in (left, right)]}
        pipeline = lab.pipeline(node, "true")
        newest = lab.put(left, {"a": "2"})
        lab.job(pipeline, newest)
        both = [
            pfs.Commit.from_uri(f"{lab.uri(left)}@{newest}"),
            pfs.Commit.from_uri(f"{lab.uri(right)}@{lab.commit_info(right).commit.id}"),
        ]
        assert [job.job.id for job in lab.jobs(pipeline, input_commit=both)] == [newest]
        assert len(lab.jobs(pipeline, input_commit=both[1:])) == 2

    def test_of_an_input_commit_that_nobody_read(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        other = lab.repo(a="1")
        commit = pfs.Commit.from_uri(f"{lab.uri(other)}@{lab.commit_info(other).commit.id}")
        assert lab.jobs(pipeline, input_commit=[commit]) == []

    def test_details_only_when_asked_for(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        lab.job(pipeline)
        assert lab.jobs(pipeline, details=True)[0].details.transform.cmd == ["bash"]
        assert not lab.jobs(pipeline)[0].details.transform.cmd

    @pytest.mark.embedded_only
    @pytest.mark.parametrize("method", ["list_job", "list_job_set", "list_pipeline"])
    def test_jq_filters_are_refused(self, client: Any, refused: Any, method: str) -> None:
        with refused(StatusCode.UNIMPLEMENTED, "leave out jq_filter"):
            list(getattr(client.pps, method)(jq_filter=".x"))


class TestJobSets:
    def sets(self, lab: Any, **options: Any) -> list[str]:
        infos = lab.pps.list_job_set(projects=[lab.owner], **options)
        return [info.job_set.id for info in infos]

    def test_the_newest_comes_first(self, lab: Any, chain: tuple[str, str, str, str]) -> None:
        _, first, second, commit = chain
        infos = list(lab.pps.list_job_set(projects=[lab.owner]))
        assert infos[0].job_set.id == commit
        assert [job.job.pipeline.name for job in infos[0].jobs] == [first, second]

    def test_number_and_reverse(self, lab: Any, chain: tuple[str, str, str, str]) -> None:
        ids = self.sets(lab)
        assert self.sets(lab, number=1) == ids[:1]
        assert self.sets(lab, reverse=True) == ids[::-1]

    def test_pages_by_time(self, lab: Any, chain: tuple[str, str, str, str]) -> None:
        ids = self.sets(lab)
        (newest,) = lab.pps.list_job_set(projects=[lab.owner], number=1)
        marker = max(job.created for job in newest.jobs)
        assert self.sets(lab, pagination_marker=marker) == ids[1:]

    def test_a_negative_number(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.UNKNOWN, "number must be non-negative"):
            self.sets(lab, number=-1)

    def test_of_a_project_without_jobs(self, lab: Any) -> None:
        assert self.sets(lab) == []

    def test_inspecting_waits_for_all_of_it(self, lab: Any) -> None:
        repo = lab.repo()
        first = lab.pipeline(repo, "cp /pfs/*/a /pfs/out/")
        second = lab.pipeline(first, "true")
        commit = lab.put(repo, {"a": "1"})
        infos = list(lab.pps.inspect_job_set(job_set=pps.JobSet(id=commit), wait=True))
        assert [(info.job.pipeline.name, info.state) for info in infos] == [
            (first, pps.JobState.JOB_SUCCESS),
            (second, pps.JobState.JOB_SUCCESS),
        ]

    def test_of_a_commit_without_jobs(self, lab: Any) -> None:
        commit = lab.put(lab.repo(), {"a": "1"})
        assert list(lab.pps.inspect_job_set(job_set=pps.JobSet(id=commit))) == []

    def test_one_that_is_not_there_is_empty(self, lab: Any) -> None:
        assert list(lab.pps.inspect_job_set(job_set=pps.JobSet(id=MISSING))) == []


class TestOne:
    def test_a_job_must_be_named(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.UNKNOWN, "must specify a job"):
            lab.pps.inspect_job()
        with refused(StatusCode.UNKNOWN, "Job must be specified"):
            lab.pps.stop_job()
        with refused(StatusCode.UNKNOWN, "job cannot be nil"):
            lab.pps.delete_job()

    def test_a_deleted_one_is_gone_and_its_output_stays(self, lab: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "cp /pfs/*/a /pfs/out/")
        job = lab.job(pipeline).job
        lab.pps.delete_job(job=job)
        assert lab.jobs(pipeline) == []
        assert lab.files(pipeline) == {"/a": "1"}
        with refused(StatusCode.NOT_FOUND, f"{job.id} not found"):
            lab.pps.inspect_job(job=job)

    def test_waiting_for_one_that_is_deleted(
        self, lab: Any, background: Any, eventually: Any, refused: Any
    ) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "sleep 600")
        eventually(lambda: lab.state(pipeline) == "RUNNING")
        job = lab.jobs(pipeline)[0].job
        waiting = background(lab.pps.inspect_job, job=job, wait=True)
        lab.pps.delete_job(job=job)
        assert waiting.exception(60) is not None or waiting.result().state == pps.JobState.JOB_KILLED

    def test_deleting_a_running_one_ends_it(self, lab: Any, eventually: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "[ -e /pfs/*/b ] || sleep 600", glob="/")
        eventually(lambda: lab.state(pipeline) == "RUNNING")
        lab.pps.delete_job(job=lab.jobs(pipeline)[0].job)
        lab.put(repo, {"b": "1"})
        assert lab.counts(pipeline) == "SUCCESS p1 t1"

    def test_what_its_work_took(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="12345", b="123"), "head -c 2 /pfs/*/* > /pfs/out/$PACH_DATUM_ID")
        stats = lab.job(pipeline).stats
        assert (stats.download_bytes, stats.upload_bytes) == (8, 4)
        for spent in (stats.download_time, stats.process_time, stats.upload_time):
            assert timedelta(0) < spent < timedelta(minutes=1)

    def test_what_a_datum_took(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="12345"), "cat /pfs/*/* /pfs/*/* > /pfs/out/x", glob="/a")
        (info,) = lab.pps.list_datum(job=lab.job(pipeline).job)
        assert (info.stats.download_bytes, info.stats.upload_bytes) == (5, 10)
        assert info.stats.process_time > timedelta(0)

    def test_skipped_datums_take_nothing(self, lab: Any) -> None:
        repo = lab.repo(a="12345")
        pipeline = lab.pipeline(repo, "true")
        lab.job(pipeline)
        lab.put(repo, {"a": "12345"})
        assert lab.counts(pipeline) == "SUCCESS s1 t1"
        assert lab.job(pipeline).stats.download_bytes == 0

    def test_details_are_the_specs(self, lab: Any) -> None:
        pipeline = lab.pipeline(
            lab.repo(a="1"),
            "true",
            datumTries=2,
            datumTimeout="60s",
            jobTimeout="300s",
            datumSetSpec={"number": "3"},
            parallelismSpec={"constant": "2"},
        )
        details = lab.pps.inspect_job(job=lab.job(pipeline).job, details=True).details
        assert (details.datum_tries, details.datum_set_spec.number) == (2, 3)
        assert (details.datum_timeout, details.job_timeout) == (timedelta(minutes=1), timedelta(minutes=5))
        assert details.parallelism_spec.constant == 2
        assert details.salt == lab.pipeline_info(pipeline).details.salt

    def test_details_of_a_running_one_say_what_its_workers_do(self, lab: Any, eventually: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "sleep 600")
        job = lab.jobs(pipeline)[0].job

        def busy() -> Any:
            workers = lab.pps.inspect_job(job=job, details=True).details.worker_status
            return [worker for worker in workers if worker.datum_status.data]

        (worker,) = eventually(busy)
        assert worker.job_id == job.id
        assert [file.path for file in worker.datum_status.data] == ["/a"]
        lab.pps.stop_job(job=job)
        assert lab.pps.inspect_job(job=job, details=True).details.worker_status == []


class TestSubscribe:
    def test_each_that_has_not_ended_once_then_new_ones(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "sleep 600")
        second = lab.put(repo, {"b": "1"})
        first = lab.jobs(pipeline)[-1].job
        infos = lab.pps.subscribe_job(pipeline=lab.key(pipeline))
        assert [next(infos).job.id for _ in range(2)] == [first.id, second]
        lab.pps.stop_job(job=first)
        third = lab.put(repo, {"c": "1"})
        assert next(infos).job.id == third
        infos.close()

    def test_those_that_have_ended_are_not_shown(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "true")
        lab.job(pipeline)
        infos = lab.pps.subscribe_job(pipeline=lab.key(pipeline), details=True)
        newest = lab.put(repo, {"b": "1"})
        info = next(infos)
        assert (info.job.id, info.details.transform.cmd) == (newest, ["bash"])
        infos.close()

    def test_a_pipeline_must_be_named(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.UNKNOWN, "pipeline must be specified"):
            next(lab.pps.subscribe_job())


class TestRestartDatum:
    def test_it_is_tried_once_more(self, lab: Any, eventually: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "echo begun", "sleep 600", datumTries=2)
        eventually(lambda: lab.logs(pipeline) == ["begun"])
        job = lab.jobs(pipeline)[0].job
        lab.pps.restart_datum(job=job, data_filters=["/a"])
        eventually(lambda: lab.logs(pipeline) == ["begun", "begun"])
        assert lab.state(pipeline) == "RUNNING"
        lab.pps.stop_job(job=job)

    def test_it_uses_up_a_try(self, lab: Any, eventually: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "echo begun", "sleep 600", datumTries=1)
        eventually(lambda: lab.logs(pipeline) == ["begun"])
        lab.pps.restart_datum(job=lab.jobs(pipeline)[0].job)
        assert lab.counts(pipeline) == "FAILURE f1 t1"

    def test_a_filter_that_fits_no_running_datum(self, lab: Any, eventually: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "echo begun", "sleep 600")
        eventually(lambda: lab.logs(pipeline) == ["begun"])
        job = lab.jobs(pipeline)[0].job
        with refused(
            StatusCode.UNKNOWN, rf"datum matching filter \[/a /b\] could not be found for job ID {job.id}"
        ):
            lab.pps.restart_datum(job=job, data_filters=["/a", "/b"])
        lab.pps.stop_job(job=job)

    def test_of_a_job_that_is_not_there(self, lab: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        with refused(StatusCode.NOT_FOUND, "not found"):
            lab.pps.restart_datum(job=pps.Job(pipeline=lab.key(pipeline), id=MISSING))
