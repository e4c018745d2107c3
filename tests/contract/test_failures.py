# SPDX-License-Identifier: GPL-3.0-or-later
"""User code that fails, times out or cannot be started: tries, states, reasons, logs and what is left."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

FAIL_ON_B = "echo tried; cp $data /pfs/out/; [ $(basename $data) != b ] || exit 3"


def data(repo: str, **fields: Any) -> dict[str, Any]:
    return {"pfs": {"name": "data", "repo": repo, "glob": "/*", **fields}}


def datum_of(lab: Any, repo: str, path: str) -> str:
    """The id of the datum that is one file."""
    node = pps.PfsInput(name="data", project=lab.project, repo=repo, glob="/*")
    found = lab.pps.list_datum(input=pps.Input(pfs=node))
    return str(next(info.datum.id for info in found if info.data[0].file.path == path))


@pytest.fixture
def failed(lab: Any) -> tuple[str, str]:
    """A repo of three files and a pipeline whose code exits 3 for one of them."""
    repo = lab.repo(a="1", b="2", c="3")
    pipeline = lab.pipeline(data(repo), FAIL_ON_B)
    assert lab.counts(pipeline) == "FAILURE p2 f1 t3"
    return repo, pipeline


def test_a_datum_is_tried_three_times_and_named(lab: Any, failed: tuple[str, str]) -> None:
    repo, pipeline = failed
    datum = datum_of(lab, repo, "/b")
    assert lab.job(pipeline).reason == f"datum {datum} failed"
    assert lab.logs(pipeline).count("tried") == 5
    errors = [line.rpartition(": ")[2] for line in lab.logs(pipeline, user=False)]
    assert errors == ["exit status 3"] * 3
    assert lab.pipeline_state(pipeline) == "RUNNING"


def test_the_output_holds_the_datums_that_went_well(lab: Any, failed: tuple[str, str]) -> None:
    _, pipeline = failed
    assert lab.files(pipeline) == {"/a": "1", "/c": "3"}
    assert lab.commit_info(pipeline).error == lab.job(pipeline).reason


def test_states_of_datums(lab: Any, failed: tuple[str, str]) -> None:
    _, pipeline = failed
    infos = list(lab.pps.list_datum(job=lab.job(pipeline).job))
    states = {info.data[0].file.path: pps.DatumState(info.state).name for info in infos}
    assert states == {"/a": "SUCCESS", "/b": "FAILED", "/c": "SUCCESS"}


def test_the_next_job_does_all_since_the_last_success(lab: Any, failed: tuple[str, str]) -> None:
    repo, pipeline = failed
    lab.put(repo, {"d": "4"})
    assert lab.counts(pipeline) == "FAILURE p3 f1 t4"


def test_a_failed_job_does_not_count_what_it_skipped(lab: Any) -> None:
    repo = lab.repo(a="1", c="3")
    pipeline = lab.pipeline(data(repo), FAIL_ON_B, datum_tries=1)
    lab.job(pipeline)
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "FAILURE f1 t3"
    infos = list(lab.pps.list_datum(job=lab.job(pipeline).job))
    assert sorted(pps.DatumState(info.state).name for info in infos) == ["FAILED", "SKIPPED", "SKIPPED"]


def test_deleting_the_input_heals(lab: Any, failed: tuple[str, str]) -> None:
    repo, pipeline = failed
    lab.put(repo, delete="/b")
    assert lab.counts(pipeline) == "SUCCESS p2 t2"


def test_other_code_heals_without_reprocess(lab: Any, failed: tuple[str, str]) -> None:
    repo, pipeline = failed
    lab.pipeline(data(repo), "cp $data /pfs/out/", name=pipeline, update=True)
    assert lab.counts(pipeline) == "SUCCESS p3 t3"
    assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3"}


def test_datum_tries_bounds_the_tries(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(b="2")), FAIL_ON_B, datum_tries=2)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    assert lab.logs(pipeline) == ["tried", "tried"]


def test_an_accepted_code_is_a_success_with_its_output(lab: Any) -> None:
    transform = {"accept_return_code": [3]}
    pipeline = lab.pipeline(data(lab.repo(b="2")), FAIL_ON_B, transform=transform)
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.files(pipeline) == {"/b": "2"}


class TestErrCmd:
    def test_a_datum_that_it_recovers_is_no_failure(self, lab: Any) -> None:
        repo = lab.repo(a="1", b="2")
        transform = {"err_cmd": ["bash"], "err_stdin": ["echo mended; echo x > /pfs/out/mended"]}
        pipeline = lab.pipeline(data(repo), FAIL_ON_B, transform=transform)
        assert lab.counts(pipeline) == "SUCCESS p1 r1 t2"
        assert lab.files(pipeline) == {"/a": "1"}
        assert lab.logs(pipeline).count("tried") == 4
        assert lab.logs(pipeline).count("mended") == 1
        lab.put(repo, {"c": "3"})
        assert lab.counts(pipeline) == "SUCCESS p1 s1 r1 t3"

    def test_one_that_fails_changes_nothing(self, lab: Any) -> None:
        transform = {"err_cmd": ["false"]}
        pipeline = lab.pipeline(data(lab.repo(b="2")), FAIL_ON_B, transform=transform, datum_tries=1)
        assert lab.counts(pipeline) == "FAILURE f1 t1"


def test_a_datum_that_takes_too_long_is_killed(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(a="1")), "sleep 600", datum_timeout="0.1s", datum_tries=2)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    lines = lab.logs(pipeline, user=False)
    assert [line.rpartition("ms: ")[2] for line in lines] == [
        "signal: killed because context deadline exceeded"
    ] * 2


def test_a_job_that_takes_too_long_is_killed(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(a="1")), "sleep 600", job_timeout="0.2s")
    job = lab.job(pipeline)
    assert (lab.counts(pipeline), job.reason) == ("KILLED t1", " jobtimed out")
    assert list(lab.pps.list_datum(job=job.job)) == []
    assert lab.commit_info(pipeline).error == " jobtimed out"


def test_a_job_in_time_is_not_killed(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(a="1")), "true", job_timeout="600s", datum_timeout="600s")
    assert lab.counts(pipeline) == "SUCCESS p1 t1"


def test_a_command_that_is_not_there(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(a="1")), transform={"cmd": ["/nonexistent"]})
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    lines = lab.logs(pipeline, user=False)
    assert len(lines) == 3
    assert lines[0].endswith("fork/exec /nonexistent: no such file or directory")


def test_no_command_fails_the_pipeline_until_there_is_one(lab: Any, settled: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(data(repo), transform={"cmd": []})
    assert (lab.counts(pipeline), lab.job(pipeline).reason) == ("KILLED t0", "job stopped")
    assert settled(pipeline, "FAILURE").reason == "nothing to run: no transform.cmd"
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "KILLED t0"
    lab.pipeline(data(repo), "true", name=pipeline, update=True)
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    assert settled(pipeline, "RUNNING").reason == ""


def test_a_glob_that_cannot_be_read_fails_the_job(lab: Any) -> None:
    """pachd takes it when the pipeline is created."""
    pipeline = lab.pipeline(lab.repo(a="1"), "true", glob="/a[")
    assert (lab.counts(pipeline), lab.job(pipeline).reason) == ("FAILURE t0", "unexpected end of input")


class TestSamePath:
    """Two datums that write one path, even the same bytes."""

    def test_the_job_fails_although_all_datums_went_well(self, lab: Any, refused: Any) -> None:
        repo = lab.repo(a="1", b="2")
        pipeline = lab.pipeline(data(repo), "echo x > /pfs/out/same")
        assert lab.counts(pipeline) == "FAILURE p2 t2"
        job = lab.job(pipeline)
        ids = sorted([datum_of(lab, repo, "/a"), datum_of(lab, repo, "/b")])
        text = f"duplicate path output by different datums (/same from {ids[0]} and /same from {ids[1]})"
        assert job.reason == text
        assert lab.commit_info(pipeline).error == text
        assert {info.state for info in lab.pps.list_datum(job=job.job)} == {pps.DatumState.SUCCESS}
        with refused(grpc.StatusCode.UNKNOWN, "^duplicate path output by different datums "):
            lab.files(pipeline)

    def test_it_fails_until_one_is_left(self, lab: Any) -> None:
        repo = lab.repo(a="1", b="2")
        pipeline = lab.pipeline(data(repo), "echo x > /pfs/out/same")
        lab.put(repo, {"c": "3"})
        assert lab.counts(pipeline) == "FAILURE p3 t3"
        with lab.pfs.commit(branch=pfs.Branch.from_uri(f"{lab.uri(repo)}@master")) as commit:
            commit.delete_file(path="/a")
            commit.delete_file(path="/b")
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.files(pipeline) == {"/same": "x\n"}


class TestScripts:
    def test_only_the_last_command_counts(self, lab: Any) -> None:
        pipeline = lab.pipeline(data(lab.repo(a="1")), "false", "echo on")
        assert lab.counts(pipeline) == "SUCCESS p1 t1"

    def test_set_e_makes_each_count(self, lab: Any) -> None:
        script = ("set -e", "false", "echo on")
        pipeline = lab.pipeline(data(lab.repo(a="1")), *script, datum_tries=1)
        assert lab.counts(pipeline) == "FAILURE f1 t1"
