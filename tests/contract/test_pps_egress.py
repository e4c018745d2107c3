# SPDX-License-Identifier: GPL-3.0-or-later
"""Egress to a URL that no pachd can write to: the job tries until somebody stops it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def stuck(lab: Any, eventually: Any) -> tuple[str, str]:
    """A repo and a pipeline whose job egresses in vain."""
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, "cp /pfs/*-*/* /pfs/out/", egress={"URL": "nosuch://place"})
    eventually(lambda: lab.state(pipeline) == "EGRESSING")
    return repo, pipeline


def test_its_datums_are_done(lab: Any, stuck: tuple[str, str]) -> None:
    _, pipeline = stuck
    job = lab.job(pipeline, wait=False)
    assert (job.data_processed, job.data_total) == (1, 1)


def test_its_output_can_be_read_and_is_not_finished(lab: Any, stuck: tuple[str, str]) -> None:
    _, pipeline = stuck
    output = lab.data(pipeline)
    job_id = lab.jobs(pipeline)[0].job.id
    assert output.read("/a", job_id) == b"1"
    assert output.state(job_id) == "started"


def test_the_log_says_why(lab: Any, stuck: tuple[str, str], eventually: Any) -> None:
    _, pipeline = stuck
    lines = eventually(lambda: [line for line in lab.logs(pipeline, user=False) if "egress:" in line])
    assert lines[0].startswith("error processing egress: ")


def test_later_jobs_wait_until_it_is_stopped(lab: Any, stuck: tuple[str, str]) -> None:
    repo, pipeline = stuck
    egressing = lab.jobs(pipeline)[0].job
    later = lab.put(repo, {"b": "2"})
    assert lab.state(pipeline, later) == "CREATED"
    lab.pps.stop_job(job=egressing, reason="enough")
    job = lab.job(pipeline, egressing.id)
    assert (lab.state(pipeline, egressing.id), job.reason) == ("KILLED", "enough")
    assert lab.commit_info(pipeline, egressing.id).error == "enough"
