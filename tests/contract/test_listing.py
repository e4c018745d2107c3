# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of jobs, datums and logs: order, history, filters, waiting and following."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

MISSING = "f" * 32


@pytest.fixture
def done(lab: Any) -> tuple[str, str, list[str]]:
    """A repo, a pipeline with three jobs, of which the last is of its second version, and the jobs' ids."""
    repo = lab.repo(a="1")
    node = {"pfs": {"repo": repo, "name": "data", "glob": "/*"}}
    pipeline = lab.pipeline(node, "echo one $(ls /pfs/data); echo two >&2")
    lab.job(pipeline)
    lab.job(pipeline, lab.put(repo, {"b": "2"}))
    lab.pipeline(node, "echo new", name=pipeline, update=True)
    lab.job(pipeline)
    ids = [job.job.id for job in lab.jobs(pipeline, history=-1)]
    assert len(ids) == 3
    return repo, pipeline, ids


class TestJobs:
    def test_the_newest_comes_first_and_older_versions_only_with_history(
        self, lab: Any, done: tuple[str, str, list[str]]
    ) -> None:
        _, pipeline, ids = done
        assert [job.job.id for job in lab.jobs(pipeline)] == ids[:1]
        assert [job.pipeline_version for job in lab.jobs(pipeline, history=1)] == [2, 1, 1]

    def test_number_and_reverse(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, ids = done
        assert [job.job.id for job in lab.jobs(pipeline, history=-1, number=2)] == ids[:2]
        assert [job.job.id for job in lab.jobs(pipeline, history=-1, number=2, reverse=True)] == ids[:0:-1]

    def test_pages_go_on_at_a_time(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, ids = done
        newest = lab.jobs(pipeline, history=-1, number=1)[0]
        rest = lab.jobs(pipeline, history=-1, pagination_marker=newest.created)
        assert [job.job.id for job in rest] == ids[1:]

    def test_by_input_commit(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        repo, pipeline, ids = done
        commit = pfs.Commit.from_uri(f"{lab.uri(repo)}@{ids[1]}")
        found = lab.jobs(pipeline, history=-1, input_commit=[commit])
        # The first job of the new version reads the same commit.
        assert [job.job.id for job in found] == ids[:2]

    def test_of_all_pipelines_and_of_a_project(
        self, lab: Any, done: tuple[str, str, list[str]], new_project: Any
    ) -> None:
        _, _, ids = done
        assert set(ids) <= {job.job.id for job in lab.pps.list_job(history=-1)}
        assert {job.job.id for job in lab.pps.list_job(projects=[lab.owner], history=-1)} == set(ids)
        assert list(lab.pps.list_job(projects=[new_project()])) == []

    def test_details(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, ids = done
        job = pps.Job(pipeline=lab.key(pipeline), id=ids[1])
        info = lab.pps.inspect_job(job=job, details=True)
        assert info.details.input.pfs.commit == ids[1]
        assert info.details.transform.cmd == ["bash"]
        assert info.details.salt == lab.pipeline_info(pipeline).details.salt
        assert info.output_commit.id == ids[1]
        assert info.output_commit.branch.name == "master"
        assert info.created <= info.started <= info.finished
        assert not lab.pps.inspect_job(job=job).details.transform.cmd

    def test_missing(self, lab: Any, done: tuple[str, str, list[str]], refused: Any) -> None:
        _, pipeline, _ = done
        text = f"^jobs {lab.uri(pipeline)}@{MISSING} not found$"
        for call in (lab.pps.inspect_job, lab.pps.stop_job, lab.pps.delete_job):
            with refused(grpc.StatusCode.NOT_FOUND, text):
                call(job=pps.Job(pipeline=lab.key(pipeline), id=MISSING))
        with refused(grpc.StatusCode.NOT_FOUND, f'pipeline "{lab.uri("none")}" not found'):
            lab.jobs("none")


class TestDatums:
    def test_of_a_job_by_id_with_states(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, ids = done
        job = lab.jobs(pipeline, history=-1)[1].job
        infos = list(lab.pps.list_datum(job=job))
        assert [info.datum.id for info in infos] == sorted(info.datum.id for info in infos)
        states = {info.data[0].file.path: pps.DatumState(info.state).name for info in infos}
        assert states == {"/a": "SKIPPED", "/b": "SUCCESS"}
        assert {info.datum.job.id for info in infos} == {ids[1]}
        # pachctl prints repo and commit of each file, and does not survive their absence.
        commits = [file.file.commit for info in infos for file in info.data]
        assert all(commit.id and commit.repo.name == done[0] for commit in commits)

    def test_number_reverse_marker_and_filter(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, _ = done
        job = lab.jobs(pipeline, history=-1)[1].job

        def ids(**options: Any) -> list[str]:
            return [info.datum.id for info in lab.pps.list_datum(job=job, **options)]

        first, second = ids()
        assert ids(number=1) == [first]
        assert ids(pagination_marker=first) == [second]
        assert ids(number=1, reverse=True) == [second]
        assert ids(number=5, reverse=True, pagination_marker=second) == [first]
        success = pps.ListDatumRequestFilter(state=[pps.DatumState.SUCCESS])
        assert len(ids(filter=success)) == 1

    def test_of_an_input_without_any_job(self, lab: Any) -> None:
        repo = lab.repo(**{"a": "", "b": "", "d/x": "", "d/y": ""})

        def count(glob: str) -> int:
            node = pps.Input(pfs=pps.PfsInput(project=lab.project, repo=repo, glob=glob))
            return len(list(lab.pps.list_datum(input=node)))

        assert [count(glob) for glob in ("/", "/*", "/**", "/d/*", "/no*")] == [1, 3, 5, 2, 0]

    @pytest.mark.parametrize(
        ("repo", "glob", "text"),
        [("none", "/*", "repo .*/none not found"), ("", "/a[", "unexpected end of input")],
    )
    def test_of_an_input_that_cannot_be_listed(
        self, lab: Any, refused: Any, repo: str, glob: str, text: str
    ) -> None:
        node = pps.Input(pfs=pps.PfsInput(project=lab.project, repo=repo or lab.repo(a=""), glob=glob))
        with refused(grpc.StatusCode.UNKNOWN, text):
            list(lab.pps.list_datum(input=node))

    def test_of_nothing(self, lab: Any, refused: Any) -> None:
        with refused(grpc.StatusCode.UNKNOWN, "must specify a job"):
            list(lab.pps.list_datum())
        with refused(grpc.StatusCode.UNKNOWN, "number must be > 0 when reverse is set"):
            list(lab.pps.list_datum(reverse=True))

    def test_one(self, lab: Any, done: tuple[str, str, list[str]], refused: Any) -> None:
        _, pipeline, _ = done
        job = lab.jobs(pipeline, history=-1)[1].job
        datum = next(lab.pps.list_datum(job=job)).datum
        assert lab.pps.inspect_datum(datum=datum).datum.to_dict() == datum.to_dict()
        with refused(grpc.StatusCode.UNKNOWN, f"datum {MISSING} not found in job"):
            lab.pps.inspect_datum(datum=pps.Datum(job=job, id=MISSING))


class TestLogs:
    def messages(self, lab: Any, **options: Any) -> list[str]:
        return [line.message for line in lab.pps.get_logs(**options) if line.user]

    def test_of_a_job(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, ids = done
        lines = list(lab.pps.get_logs(job=lab.jobs(pipeline, history=-1)[1].job))
        assert [line.message for line in lines] == ["one b", "two"]
        line = lines[0]
        assert (line.project_name, line.pipeline_name, line.job_id) == (lab.project, pipeline, ids[1])
        assert line.worker_id.startswith(f"{lab.project}-{pipeline}-v1-")
        assert [file.path for file in line.data] == ["/b"]

    def test_of_a_pipeline_a_datum_and_a_file(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, _ = done
        of_pipeline = lab.key(pipeline)
        assert self.messages(lab, pipeline=of_pipeline) == ["one a", "two", "one b", "two"]
        job = lab.jobs(pipeline, history=-1)[2].job
        datum = next(lab.pps.list_datum(job=job)).datum
        assert self.messages(lab, job=job, datum=datum) == ["one a", "two"]
        assert self.messages(lab, pipeline=of_pipeline, data_filters=["/a"]) == ["one a", "two"]

    def test_the_last_and_the_latest(self, lab: Any, done: tuple[str, str, list[str]]) -> None:
        _, pipeline, _ = done
        of_pipeline = lab.key(pipeline)
        assert self.messages(lab, pipeline=of_pipeline, tail=1) == ["two"]
        assert len(self.messages(lab, pipeline=of_pipeline, since=timedelta(hours=1))) == 4
        assert self.messages(lab, pipeline=of_pipeline, since=timedelta(microseconds=1)) == []

    def test_of_what_is_not_there(self, lab: Any, refused: Any) -> None:
        with refused(grpc.StatusCode.NOT_FOUND, f'pipeline "{lab.uri("none")}" not found'):
            self.messages(lab, pipeline=lab.key("none"))

    def test_bytes_that_are_no_text(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), r"printf 'a\377b\n'; printf 'no end'")
        lab.job(pipeline)
        assert lab.logs(pipeline) == ["a\ufffdb", "no end"]

    def test_times_are_those_of_the_writing(self, lab: Any) -> None:
        start = datetime.now(UTC)
        pipeline = lab.pipeline(lab.repo(a="1"), "echo x")
        lab.job(pipeline)
        (line,) = lab.pps.get_logs(job=lab.jobs(pipeline)[0].job)
        assert start - timedelta(milliseconds=1) <= line.ts <= datetime.now(UTC)
