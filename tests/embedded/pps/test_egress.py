# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that copy their output into a directory before they end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from pachd_embedded.server import Server, Settings
from pachd_embedded.workers.process import ProcessWorker


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def server(data_dir: Path, out: Path) -> Iterator[Server]:
    private_pfs = bool(ProcessWorker({}).check())
    server = Server(Settings(data_dir, "127.0.0.1:0", private_pfs=private_pfs, egress_dirs=(out,)))
    yield server
    server.stop()


def written(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("form", ["URL", "objectStorage"])
def test_the_output_is_copied(lab: Any, out: Path, form: str) -> None:
    target = out / lab.name("copied")
    url = f"file://{target}"
    egress = {"URL": url} if form == "URL" else {"objectStorage": {"url": url}}
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(repo, "mkdir /pfs/out/d; cp /pfs/*-*/* /pfs/out/d/", egress=egress)
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    assert written(target) == {"d/a": "1", "d/b": "2"}
    lab.put(repo, {"c": "3"})
    assert lab.counts(pipeline) == "SUCCESS p1 s2 t3"
    assert written(target) == {"d/a": "1", "d/b": "2", "d/c": "3"}
    assert lab.files(pipeline) == {"/d/a": "1", "/d/b": "2", "/d/c": "3"}


def test_it_is_done_also_when_somebody_looked_at_the_pipeline(lab: Any, out: Path) -> None:
    target = out / lab.name("looked-at")
    repo = lab.repo()
    pipeline = lab.pipeline(repo, "cp /pfs/*-*/* /pfs/out/", egress={"URL": f"file://{target}"})
    assert lab.pipeline_info(pipeline).details.egress.url == f"file://{target}"
    job = lab.put(repo, {"a": "1"})
    assert lab.counts(pipeline, job) == "SUCCESS p1 t1"
    assert written(target) == {"a": "1"}


def test_an_empty_output_is_a_success(lab: Any, out: Path) -> None:
    pipeline = lab.pipeline(lab.repo(), "true", egress={"URL": f"file://{out}/empty"})
    assert lab.counts(pipeline) == "SUCCESS t0"


def test_a_failed_job_copies_nothing(lab: Any, out: Path) -> None:
    target = out / lab.name("failed")
    script = "cp /pfs/*-*/* /pfs/out; [ ! -e /pfs/*-*/b ]"
    pipeline = lab.pipeline(lab.repo(a="1", b="2"), script, datum_tries=1, egress={"URL": f"file://{target}"})
    assert lab.counts(pipeline) == "FAILURE p1 f1 t2"
    assert not target.exists()


class TestWhatCannotBeWritten:
    @pytest.fixture
    def stuck(self, lab: Any, out: Path, eventually: Any) -> tuple[str, str, Path]:
        """A repo, a pipeline that egresses in vain, and the file in its way."""
        blocker = out / lab.name("blocker")
        blocker.write_text("a file, not a directory")
        repo = lab.repo(a="1")
        url = f"file://{blocker}"
        pipeline = lab.pipeline(repo, "cp /pfs/*-*/* /pfs/out/", egress={"URL": url})
        eventually(lambda: lab.state(pipeline) == "EGRESSING")
        eventually(lambda: lab.logs(pipeline, user=False))
        return repo, pipeline, blocker

    def test_the_job_goes_on_trying_and_says_so(self, lab: Any, stuck: tuple[str, str, Path]) -> None:
        _, pipeline, _ = stuck
        line = lab.logs(pipeline, user=False)[0]
        assert line.startswith("error processing egress: ")
        assert ", retrying in " in line
        job = lab.job(pipeline, wait=False)
        assert (job.data_processed, job.data_total) == (1, 1)

    def test_its_output_can_be_read_and_later_jobs_wait(self, lab: Any, stuck: tuple[str, str, Path]) -> None:
        repo, pipeline, _ = stuck
        assert lab.files(pipeline, at=lab.jobs(pipeline)[0].job.id) == {"/a": "1"}
        lab.put(repo, {"b": "2"})
        assert [lab.state(pipeline), len(lab.jobs(pipeline))] == ["CREATED", 2]

    def test_once_it_can_be_written_the_job_succeeds(self, lab: Any, stuck: tuple[str, str, Path]) -> None:
        _, pipeline, blocker = stuck
        blocker.unlink()
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert written(blocker) == {"a": "1"}

    def test_stopping_the_job_frees_the_queue(self, lab: Any, stuck: tuple[str, str, Path]) -> None:
        repo, pipeline, blocker = stuck
        job = lab.jobs(pipeline)[0].job
        lab.pps.stop_job(job=job, reason="enough")
        assert (lab.state(pipeline), lab.job(pipeline).reason) == ("KILLED", "enough")
        assert lab.commit_info(pipeline, job.id).error == "enough"
        blocker.unlink()
        lab.put(repo, {"b": "2"})
        assert lab.counts(pipeline) == "SUCCESS p2 t2"


@pytest.mark.parametrize("url", ["s3://bucket/x", "file:///etc/elsewhere"])
def test_where_it_cannot_write_is_refused(lab: Any, refused: Any, url: str) -> None:
    name = lab.name("pipe")
    with refused(StatusCode.UNIMPLEMENTED, f"egress of pipeline {name}: "):
        lab.pipeline(lab.repo(), "true", name=name, egress={"URL": url})
    with refused(StatusCode.NOT_FOUND, name):
        lab.pipeline_info(name)
