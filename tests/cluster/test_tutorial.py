# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of "Scientific workflows with Pachyderm", declared; each in a project of its own.

The names say the tutorial's command: what one did with kubectl, helm and pachctl is a variable here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.cluster.api import ROOT
from tests.cluster.clusters import Cluster
from tests.nodes.labs import Run

WORKFLOW = ROOT / "playbooks/workflow.yml"
FILES = {"a.txt": "1\n", "b.txt": "2\n", "c.txt": "3\n"}
COUNT = {
    "cmd": ["/bin/sh"],
    "stdin": ["set -e", "for f in /pfs/data/*; do wc -l <$f >/pfs/out/$(basename $f); done"],
}
Declare = Callable[..., Run]
Newest = Callable[[str], pps.JobInfo]


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_")[:40]


@pytest.fixture
def declare(cluster: Cluster, project: str, tmp_path: Path) -> Declare:
    """A run of workflow.yml that declares one project with the repo data, its files and pipelines."""

    def run(files: dict[str, str], *pipelines: dict[str, Any], **variables: Any) -> Run:
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        for name, text in files.items():
            (data / name).write_text(text)
        declared = {
            "pachyderm_workflow_projects": [{"name": project}],
            "pachyderm_workflow_repos": [{"name": "data", "project": project}],
            "pachyderm_workflow_data": [{"src": str(data), "repo": "data", "project": project}],
            "pachyderm_workflow_pipelines": list(pipelines),
            **variables,
        }
        (tmp_path / "declared.json").write_text(json.dumps(declared))
        return cluster.play(WORKFLOW, "--extra-vars", f"@{tmp_path / 'declared.json'}")

    return run


@pytest.fixture
def newest(cluster: Cluster, project: str) -> Callable[[str], pps.JobInfo]:
    """The newest job of a pipeline."""

    def of(name: str) -> pps.JobInfo:
        pipeline = pps.Pipeline(project=pfs.Project(name=project), name=name)
        return next(iter(cluster.pachd.pps.list_job(pipeline=pipeline)))

    return of


def pipeline(project: str, name: str = "count", **changes: Any) -> dict[str, Any]:
    """Counts the lines of each file, one datum a file."""
    return {
        "pipeline": {"name": name, "project": {"name": project}},
        "input": {"pfs": {"repo": "data", "project": project, "glob": "/*"}},
        "transform": {"image": "novella/tensorflow-pachyderm:gputest", **COUNT},
        **changes,
    }


def ended_well(run: Run) -> None:
    assert run.status == 0, run.output


def counters(job: pps.JobInfo) -> tuple[int, int]:
    """Datums that were processed, and skipped."""
    assert job.state == pps.JobState.JOB_SUCCESS, job.reason
    return job.data_processed, job.data_skipped


def test_create_repo_and_put_file(cluster: Cluster, declare: Declare, project: str) -> None:
    ended_well(declare(FILES))
    assert [cluster.read("data", f"/{name}", project) for name in FILES] == list(FILES.values())


def test_create_pipeline_list_job_and_logs(
    cluster: Cluster, declare: Declare, project: str, newest: Newest
) -> None:
    transform = {**pipeline(project)["transform"], "stdin": [*COUNT["stdin"], "echo counted"]}
    ended_well(declare(FILES, pipeline(project, transform=transform)))
    assert counters(newest("count")) == (3, 0)
    logs = cluster.pachd.pps.get_logs(pipeline=newest("count").job.pipeline)
    assert "counted" in {line.message.strip() for line in logs}


def test_parallelism_2(declare: Declare, project: str, newest: Newest) -> None:
    ended_well(declare(FILES, pipeline(project, parallelism_spec={"constant": 1})))
    ended_well(declare(FILES, pipeline(project, parallelism_spec={"constant": 2})))
    assert newest("count").pipeline_version == 2
    assert counters(newest("count")) == (0, 3)


def test_more_gpus_than_there_are(declare: Declare, project: str) -> None:
    """The tutorial's pod stays Pending. Here the pipeline that could never run is not made."""
    limits = {"gpu": {"type": "nvidia.com/gpu", "number": 3}}
    run = declare(FILES, pipeline(project, resource_limits=limits))
    assert run.status != 0
    assert "count" in run.failure("localhost")
    assert "GPU" in run.failure("localhost")


def test_other_resources(declare: Declare, project: str, newest: Newest) -> None:
    ended_well(declare(FILES, pipeline(project, resource_limits={"memory": "64M", "cpu": 0.1})))
    ended_well(declare(FILES, pipeline(project, resource_limits={"memory": "128M", "cpu": 0.2})))
    assert counters(newest("count")) == (0, 3)


def test_other_glob(declare: Declare, project: str, newest: Newest) -> None:
    ended_well(declare(FILES, pipeline(project)))
    whole = {"pfs": {"repo": "data", "project": project, "glob": "/"}}
    ended_well(declare(FILES, pipeline(project, input=whole)))
    assert counters(newest("count")) == (1, 0)


def test_update_pipeline_reprocess(cluster: Cluster, declare: Declare, project: str, newest: Newest) -> None:
    """New code alone computes nothing; --reprocess does."""
    ended_well(declare(FILES, pipeline(project)))
    lines = ["for f in /pfs/data/*; do echo new >/pfs/out/$(basename $f); done"]
    code = pipeline(project, transform={**pipeline(project)["transform"], "stdin": lines})
    ended_well(declare(FILES, code))
    assert counters(newest("count")) == (0, 3)
    assert cluster.read("count", "/a.txt", project) == "1\n"
    # As declared already, so it takes another change to update it.
    again = {**code, "description": "computed by new code"}
    ended_well(declare(FILES, again, pachyderm_workflow_reprocess=True))
    assert counters(newest("count")) == (3, 0)
    assert cluster.read("count", "/a.txt", project) == "new\n"


def test_only_new_data_are_processed(declare: Declare, project: str, newest: Newest) -> None:
    ended_well(declare(FILES, pipeline(project)))
    ended_well(declare({**FILES, "d.txt": "4\n"}, pipeline(project)))
    assert counters(newest("count")) == (1, 3)


def test_get_file_and_provenance(
    cluster: Cluster, declare: Declare, project: str, tmp_path: Path, newest: Newest
) -> None:
    fetch = [{"repo": "count", "project": project, "dest": str(tmp_path / "results")}]
    ended_well(declare(FILES, pipeline(project), pachyderm_workflow_fetch=fetch))
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(FILES)
    commits = cluster.pachd.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=newest("count").job.id))
    assert {"data", "count"} <= {info.commit.repo.name for info in commits}
