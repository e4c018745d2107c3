# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial with the official SDK alone, as its own examples write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pachyderm_sdk.api import pfs, pps

STDIN = ["ls /pfs/data > /pfs/out/input-data.txt", "wc -c < /pfs/data/first > /pfs/out/size.txt"]


def spec(project: Any) -> str:
    """The tutorial's pipeline, without its image: what it runs is in every image."""
    return json.dumps(
        {
            "pipeline": {"name": "gpu", "project": {"name": project.name}},
            "input": {"pfs": {"repo": "data", "glob": "/"}},
            "transform": {"image": "ubuntu:20.04", "cmd": ["/bin/sh"], "stdin": STDIN},
            "resourceLimits": {"gpu": {"type": "nvidia.com/gpu", "number": 1}},
        }
    )


def finished_job(client: Any, pipeline: Any) -> Any:
    """The newest job of a pipeline, once it has ended."""
    newest = next(client.pps.list_job(pipeline=pipeline))
    return client.pps.inspect_job(job=newest.job, wait=True, details=True)


def read(client: Any, commit: Any, path: str) -> str:
    with client.pfs.pfs_file(pfs.File(commit=commit, path=path)) as file:
        return str(file.read(), "utf-8")


def test_repo_files_pipeline_output_and_provenance(client: Any, project: Any) -> None:
    repo = pfs.Repo(name="data", type="user", project=project)
    client.pfs.create_repo(repo=repo, description="what the pipeline reads")
    assert client.pfs.repo_exists(repo)
    assert client.pfs.inspect_repo(repo=repo).description == "what the pipeline reads"

    master = pfs.Branch(repo=repo, name="master")
    with client.pfs.commit(branch=master) as commit:
        commit.put_file_from_bytes(path="/first", data=b"12345")
        commit.put_file_from_bytes(path="/second", data=b"")
    commit.wait()
    assert read(client, commit, "/first") == "12345"

    pipeline = pps.Pipeline(name="gpu", project=project)
    client.pps.create_pipeline_v2(create_pipeline_request_json=spec(project))
    assert client.pps.pipeline_exists(pipeline)
    job = finished_job(client, pipeline)
    assert (job.state, job.reason) == (pps.JobState.JOB_SUCCESS, "")
    assert (job.data_processed, job.data_total) == (1, 1)
    assert job.details.input.pfs.commit == commit.id
    assert read(client, job.output_commit, "/input-data.txt") == "first\nsecond\n"
    assert read(client, job.output_commit, "/size.txt").strip() == "5"

    upstream = client.pfs.inspect_commit(commit=job.output_commit).direct_provenance
    assert (repo.name, commit.id) in [(c.repo.name, c.id) for c in upstream]


def test_more_data_makes_one_more_job_with_the_id_of_its_commit(client: Any, project: Any) -> None:
    repo = pfs.Repo(name="data", type="user", project=project)
    client.pfs.create_repo(repo=repo)
    master = pfs.Commit(branch=pfs.Branch(repo=repo, name="master"), repo=repo)
    client.pfs.put_file_from_bytes(commit=master, path="/first", data=b"1")
    pipeline = pps.Pipeline(name="gpu", project=project)
    client.pps.create_pipeline_v2(create_pipeline_request_json=spec(project))
    first = finished_job(client, pipeline)

    client.pfs.put_file_from_bytes(commit=master, path="/third", data=b"3")
    second = finished_job(client, pipeline)
    head = client.pfs.inspect_branch(branch=pfs.Branch(repo=repo, name="master")).head
    assert second.job.id == head.id != first.job.id
    jobs = [job.job.id for job in client.pps.list_job(pipeline=pipeline)]
    assert jobs == [second.job.id, first.job.id]
    assert read(client, second.output_commit, "/input-data.txt") == "first\nthird\n"


def test_outputs_come_back_as_a_tar(client: Any, project: Any, tmp_path: Path) -> None:
    repo = pfs.Repo(name="data", type="user", project=project)
    client.pfs.create_repo(repo=repo)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_text("content")
    branch = pfs.Branch(repo=repo, name="master")
    with client.pfs.commit(branch=branch) as commit:
        commit.put_files(source=tmp_path / "tree", path="/")
    with client.pfs.pfs_tar_file(pfs.File(commit=commit, path="/")) as tar:
        content = {
            member.name.lstrip("/"): tar.extractfile(member).read() for member in tar if member.isfile()
        }
    assert content == {"deep/file": b"content"}
