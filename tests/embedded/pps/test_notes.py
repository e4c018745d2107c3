# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker says of a job as a whole, and limits as a pipeline's spec gives them."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pps

from pachd_embedded.workers import cgroups

IGNORED = "transform.user nobody is ignored: the process worker has one user, its own root"


def test_what_is_not_done_is_said_once_a_job_and_not_as_user_code(lab: Any) -> None:
    repo = lab.repo(a="1", b="2", c="3")
    pipeline = lab.pipeline(repo, "true", transform={"user": "nobody"})
    assert lab.counts(pipeline) == "SUCCESS p3 t3"
    assert (lab.logs(pipeline, user=False), lab.logs(pipeline)) == ([IGNORED], [])


def test_a_job_without_new_datums_says_nothing(lab: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, "true", transform={"user": "nobody"})
    lab.job(pipeline)
    lab.put(repo, delete="/a")
    assert lab.counts(pipeline) == "SUCCESS t0"
    assert lab.logs(pipeline, user=False) == []


def test_a_datum_that_needs_more_memory_than_its_limit_fails(lab: Any) -> None:
    """By its group, or where this user may make none by itself."""
    grow = "x=x; for n in {1..26}; do x=$x$x; done; echo done"
    pipeline = lab.pipeline(lab.repo(a="1"), grow, resource_limits={"memory": "32Mi"}, datum_tries=2)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    assert "done" not in lab.logs(pipeline)
    if cgroups.find("test") is not None:
        ends = [line.rpartition(": ")[2] for line in lab.logs(pipeline, user=False)]
        assert ends == ["killed", "killed"]
    roomy = lab.pipeline(lab.repo(a="1"), grow, resource_limits={"memory": "1Gi"})
    assert (lab.counts(roomy), lab.logs(roomy)) == ("SUCCESS p1 t1", ["done"])


@pytest.mark.parametrize("memory", ["1Q", "much"])
def test_a_limit_that_is_no_quantity_is_none(lab: Any, memory: str) -> None:
    """pachd takes it, and leaves it out of the pod."""
    pipeline = lab.pipeline(lab.repo(a="1"), "true", resource_limits={"memory": memory})
    assert lab.job(pipeline).state == pps.JobState.JOB_SUCCESS


def test_what_the_machine_need_not_limit_costs_no_group(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are for a scheduler of many machines."""
    monkeypatch.setattr(cgroups.Groups, "group", None)
    requests = {"memory": "32Mi", "cpu": 0.01}
    pipeline = lab.pipeline(lab.repo(a="1"), "true", resource_requests=requests)
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
