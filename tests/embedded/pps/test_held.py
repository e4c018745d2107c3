# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs and pipelines show, and what others may do, while user code runs."""

from __future__ import annotations

import json
from typing import Any

from grpc import StatusCode
from pachyderm_sdk.api import pfs

PASS_ON = "cp /pfs/in/* /pfs/out/"


def data(repo: str, name: str = "data") -> dict[str, Any]:
    return {"pfs": {"name": name, "repo": repo, "glob": "/*"}}


def test_a_pipeline_without_a_project_has_none_in_its_effective_spec(lab: Any) -> None:
    name = lab.pipeline(lab.repo(), "true")
    assert json.loads(lab.pipeline_info(name).effective_spec_json)["pipeline"] == {"name": name}


def test_jobs_of_a_pipeline_run_one_after_the_other(lab: Any, gate: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(data(repo), gate.wait("$data"))
    first = gate.visitor()
    commit = lab.put(repo, {"b": "2"})
    assert lab.state(pipeline, commit) == "CREATED"
    first.release()
    second = gate.visitor()
    states = [lab.state(pipeline, job.job.id) for job in lab.jobs(pipeline)]
    assert (states, second.word[-2:]) == (["RUNNING", "SUCCESS"], "/b")
    second.release()
    assert lab.counts(pipeline, commit) == "SUCCESS p1 s1 t2"


def test_parallelism_runs_datums_at_the_same_time(lab: Any, gate: Any) -> None:
    repo = lab.repo(a="1", b="2", c="3")
    pipeline = lab.pipeline(data(repo), gate.wait("$data"), parallelism_spec={"constant": 2})
    visitors = [gate.visitor(), gate.visitor()]
    job = lab.jobs(pipeline)[0]
    assert (job.data_processed, job.data_total) == (0, 3)
    for visitor in visitors:
        visitor.release()
    gate.visitor().release()
    assert lab.counts(pipeline) == "SUCCESS p3 t3"


def test_below_a_killed_job_nothing_can_run(lab: Any, gate: Any) -> None:
    upper = lab.pipeline(data(lab.repo(a="1"), "in"), gate.wait())
    lower = lab.pipeline(data(upper, "in"), PASS_ON)
    gate.visitor()
    lab.pps.stop_job(job=lab.jobs(upper)[0].job)
    assert lab.counts(lower) == "UNRUNNABLE t0"


def test_a_job_waits_for_its_inputs(lab: Any, gate: Any) -> None:
    repo = lab.repo(a="1")
    upper = lab.pipeline(data(repo, "in"), PASS_ON, gate.wait())
    lower = lab.pipeline(data(upper, "in"), PASS_ON)
    visitor = gate.visitor()
    assert lab.state(lower) == "CREATED"
    visitor.release()
    assert lab.counts(lower) == "SUCCESS p1 t1"
    assert lab.files(lower) == {"/a": "1"}


def test_a_background_process_ends_with_its_code(lab: Any, gate: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo(a="1")), f"({gate.wait('here')}) &", "sleep 0.3")
    visitor = gate.visitor()
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert visitor.is_gone()


def test_the_commits_of_a_pipeline_are_its_own(lab: Any, gate: Any, refused: Any) -> None:
    name = lab.pipeline(lab.repo(a="1"), gate.wait())
    visitor = gate.visitor()
    head = lab.commit_info(name).commit
    with refused(
        StatusCode.UNKNOWN, "cannot finish a pipeline output or meta commit, use 'stop job' instead"
    ):
        lab.pfs.finish_commit(commit=head)
    with refused(StatusCode.UNKNOWN, f"cannot start a commit on an output branch: default/{name}@master"):
        lab.pfs.start_commit(branch=pfs.Branch.from_uri(f"{name}@master"))
    visitor.release()
    assert lab.counts(name) == "SUCCESS p1 t1"
