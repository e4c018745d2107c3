# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is killed or stopped while a job runs: the next one goes on where it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

# Seconds in which a server that is told to stop must have ended, on a machine that is busy.
SOON = 10

# Both ways to end a server: a crash, and SIGTERM.
ENDINGS: dict[str, Callable[[Any], object]] = {
    "kill -9": lambda process: process.kill(),
    "SIGTERM": lambda process: (process.popen.terminate(), process.popen.wait(SOON)),
}


@pytest.fixture(params=list(ENDINGS.values()), ids=list(ENDINGS))
def end(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_job_goes_on_and_repeats_no_datum_that_was_done(
    serve: Any, lab_at: Any, gate: Any, end: Any, refused: Any, tmp_path: Path
) -> None:
    process = serve("--gpus", "1")
    lab = lab_at(process.address)
    repo = lab.repo(a="1", b="2", c="3")
    limits = {"gpu": {"type": "nvidia.com/gpu", "number": 1}}
    node = {"pfs": {"repo": repo, "name": "data", "glob": "/*"}}
    pipeline = lab.pipeline(node, "cp $data /pfs/out/", gate.wait(), resource_limits=limits)
    below = lab.pipeline({"pfs": {"repo": pipeline, "glob": "/*"}}, "true")
    first = gate.visitor()
    first.release()
    second = gate.visitor()
    job = lab.jobs(pipeline)[0].job.id
    assert lab.jobs(pipeline)[0].data_processed == 1

    end(process)
    assert second.is_gone()

    lab = lab_at(serve("--gpus", "1").address)
    again = gate.visitor()
    assert again.word == second.word
    info = lab.job(pipeline, job, wait=False)
    assert (info.data_processed, info.data_total, lab.state(pipeline, job)) == (1, 3, "RUNNING")
    # What it has written so far is not to be had as a result.
    open_commit = pfs.Commit.from_uri(f"{pipeline}@{job}")
    assert lab.pfs.inspect_commit(commit=open_commit).error == ""
    assert not is_finished(lab.pfs.inspect_commit(commit=open_commit))
    assert lab.files(pipeline, job) == {}
    again.release()
    gate.visitor().release()
    assert lab.counts(pipeline, job) == "SUCCESS p3 t3"
    assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3"}
    assert lab.counts(below) == "SUCCESS p3 t3"
    assert gate.is_empty()
    assert list((tmp_path / "data" / "scratch").iterdir()) == []


def is_finished(info: Any) -> bool:
    """Whether the commit has a time at which it was finished; unset ones are the epoch in the SDK."""
    return bool(info.finished and info.finished.timestamp() > 0)


def test_stopping_is_quick_while_clients_wait_for_a_job(serve: Any, lab_at: Any, gate: Any) -> None:
    process = serve()
    lab = lab_at(process.address)
    pipeline = lab.pipeline(lab.repo(a="1"), "trap '' TERM INT", "echo begun", gate.wait())
    gate.visitor()
    subscribed = lab.pps.subscribe_job(pipeline=pps.Pipeline(name=pipeline))
    next(subscribed)
    following = lab.pps.get_logs(job=lab.jobs(pipeline)[0].job, follow=True)
    assert next(following).message == "begun"
    with ThreadPoolExecutor(1) as pool:
        # The job is not to be reported as one that has ended.
        waiting = pool.submit(lab.pps.inspect_job, job=lab.jobs(pipeline)[0].job, wait=True)
        process.popen.terminate()
        assert process.popen.wait(SOON) == 0
        assert isinstance(waiting.exception(SOON), grpc.RpcError | ConnectionError)
    for stream in (subscribed, following):
        with pytest.raises(grpc.RpcError):
            list(stream)
    assert process.log.read_text().count("Traceback") == 0


def test_jobs_that_wait_stay_in_their_order(serve: Any, lab_at: Any, gate: Any) -> None:
    process = serve()
    lab = lab_at(process.address)
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, gate.wait())
    gate.visitor()
    waiting = [lab.put(repo, {name: "x"}) for name in ("b", "c")]
    process.kill()
    lab = lab_at(serve().address)
    for _ in range(3):
        gate.visitor().release()
    lab.job(pipeline, waiting[1])
    assert [lab.counts(pipeline, job) for job in waiting] == ["SUCCESS p1 s1 t2", "SUCCESS p1 s2 t3"]


def test_what_was_done_is_skipped_after_a_restart(serve: Any, lab_at: Any) -> None:
    process = serve()
    lab = lab_at(process.address)
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(repo, "echo logged")
    job = lab.job(pipeline)
    stopped = lab.pipeline(repo, "true")
    lab.job(stopped)
    lab.pps.stop_pipeline(pipeline=pps.Pipeline(name=stopped))
    process.kill()
    lab = lab_at(serve().address)
    assert lab.job(pipeline).to_dict() == job.to_dict()
    assert lab.logs(pipeline) == ["logged", "logged"]
    lab.put(repo, {"c": "3"})
    assert lab.counts(pipeline) == "SUCCESS p1 s2 t3"
    assert (lab.pipeline_state(stopped), len(lab.jobs(stopped))) == ("PAUSED", 1)


def test_whatever_is_left_in_scratch_does_not_keep_the_server_from_starting(
    serve: Any, lab_at: Any, gate: Any, tmp_path: Path
) -> None:
    """Directories that nobody may enter, and deeper ones than Python's stack."""
    process = serve()
    lab = lab_at(process.address)
    deep = "import os; [(os.mkdir('d'), os.chdir('d')) for _ in range(1100)]"
    script = ("mkdir -p /pfs/out/x/y", "chmod -R 000 /pfs/out/x", "cd /pfs/out", f'python -c "{deep}"')
    lab.pipeline(lab.repo(a="1"), *script, gate.wait())
    gate.visitor()
    process.kill()
    left = list((tmp_path / "data" / "scratch").iterdir())
    assert left
    assert serve().ready.startswith("pachd-embedded ready ")
    assert not any(directory.exists() for directory in left)


def test_a_time_limit_counts_while_the_server_is_away(
    serve: Any, lab_at: Any, gate: Any, tmp_path: Path
) -> None:
    process = serve()
    lab = lab_at(process.address)
    pipeline = lab.pipeline(lab.repo(a="1"), gate.wait(), job_timeout="1800s")
    gate.visitor()
    process.kill()
    # As if it had been away for an hour.
    with closing(sqlite3.connect(tmp_path / "data" / "pachd.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE job SET started = started - 3600")
    lab = lab_at(serve().address)
    assert lab.job(pipeline).reason == " jobtimed out"
