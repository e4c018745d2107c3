# SPDX-License-Identifier: GPL-3.0-or-later
"""The labs that the runs of fault_rows.py find, and the options of these runs."""

from __future__ import annotations

import time
from typing import Any

from pachyderm_sdk.api import pfs, pps

from .fault_labs import FaultLab
from .pipelines import gpus, spec

# Seconds in which a job starts on the slowest machine.
LONGEST = 120
COPY = "cp /pfs/*/* /pfs/out/"
MASTER = pfs.Branch.from_uri("data@master")


def must(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result
    return result


def data(lab: FaultLab, *pipelines: dict[str, Any]) -> None:
    """A repo with a file, and pipelines whose jobs have ended."""
    must(lab.run("repo", name="data"))
    lab.put("/a", b"a")
    if pipelines:
        must(lab.run("pipeline", pipelines=list(pipelines), wait=True))


def head(lab: FaultLab) -> str:
    return str(lab.client.pfs.inspect_branch(branch=MASTER).head.id)


def projects(lab: FaultLab) -> dict[str, Any]:
    must(lab.run("project", projects=[{"name": "old"}, {"name": "kept", "description": "as it was"}]))
    return {
        "projects": [
            {"name": "new", "description": "of this run", "metadata": {"owner": "me"}},
            {"name": "kept", "description": "changed"},
            {"name": "old", "state": "absent"},
        ]
    }


def repos(lab: FaultLab) -> dict[str, Any]:
    must(lab.run("repo", repos=[{"name": "old"}, {"name": "kept", "description": "as it was"}]))
    return {
        "repos": [
            {"name": "new", "description": "of this run", "metadata": {"owner": "me"}},
            {"name": "other"},
            {"name": "kept", "description": "changed"},
            {"name": "old", "state": "absent"},
        ]
    }


def branches(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    must(lab.run("repo", name="down"))
    first = head(lab)
    lab.put("/b", b"b")
    must(lab.run("branch", repo="data", name="old", head="master"))
    return {
        "branches": [
            {"repo": "data", "name": "first", "head": first},
            {"repo": "down", "name": "master", "provenance": ["data@first"]},
            {"repo": "data", "name": "old", "state": "absent"},
        ]
    }


def files(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    lab.put("/old", b"o")
    return {
        "repo": "data",
        "files": [
            {"path": "/a", "content": "changed"},
            {"path": "/new", "content": "n" * 2000},
            {"path": "/old", "state": "absent"},
        ],
    }


def sync(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    tree = lab.directory / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "new").write_bytes(b"n" * 600)
    (tree / "sub/b").write_bytes(b"b" * 600)
    return {"src": str(tree), "repo": "data", "delete": True}


def fetch(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    lab.put("/sub/b", b"b" * 2000)
    dest = lab.directory / "dest"
    dest.mkdir()
    (dest / "a").write_text("theirs")
    return {"repo": "data", "dest": str(dest)}


def fetch_many(lab: FaultLab) -> dict[str, Any]:
    must(lab.run("repo", name="data"))
    many = [{"path": f"/{number}", "content": f"file {number}"} for number in range(60)]
    must(lab.run("file", repo="data", files=many))
    return {"repo": "data", "dest": str(lab.directory / "dest")}


def secrets(lab: FaultLab) -> dict[str, Any]:
    must(
        lab.run("secret", secrets=[{"name": name, "data": {"key": "as it was"}} for name in ("old", "kept")])
    )
    return {
        "secrets": [
            {"name": "old", "state": "absent"},
            {"name": "kept", "data": {"key": "changed"}},
            {"name": "new", "data": {"key": "of this run"}},
        ]
    }


def role_bindings(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    must(lab.run("project", name="vision"))
    return {
        "role_bindings": [
            {"type": "cluster", "roles": {"robot:ci": ["projectCreator"]}},
            {"type": "project", "name": "vision", "roles": {"robot:ci": ["projectOwner"]}},
            {"type": "repo", "name": "data", "roles": {"robot:ci": ["repoReader"]}},
        ]
    }


def defaults(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    must(lab.run("project", name="vision"))
    return {
        "defaults": [
            {"spec": {"createPipelineRequest": {"datumTries": 2}}},
            {"project": "vision", "spec": {"createPipelineRequest": {"datumTries": 1}}},
        ],
        "regenerate": True,
    }


def pipelines(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    must(lab.run("secret", name="db", data={"key": "value"}))
    transform = {"cmd": ["sh"], "stdin": [COPY], "secrets": [{"name": "db", "mount_path": "/db"}]}
    one = spec("p", transform=transform, resource_limits=gpus(1))
    return {
        "pipelines": [one, spec("q", "p", COPY), spec("r", "new", COPY)],
        "create_repos": True,
    }


def pipeline_updated(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p"))
    return {"pipeline": spec("p", script=COPY)}


def pipeline_absent(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY), spec("q", "p", COPY))
    return {"pipelines": [{"name": "p"}, {"name": "q"}], "state": "absent"}


def pipeline_stopped(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    return {"name": "p", "state": "stopped"}


def pipeline_started(lab: FaultLab) -> dict[str, Any]:
    must(lab.run("pipeline", **pipeline_stopped(lab)))
    return {"name": "p", "state": "started"}


def pipeline_awaited(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    return {"pipeline": spec("p", script=COPY), "wait": True}


def prune(lab: FaultLab) -> dict[str, Any]:
    made = must(lab.run("project", name="vision"))["actions"]
    made += must(lab.run("repo", repos=[{"name": "data"}, {"name": "old"}]))["actions"]
    made += must(lab.run("branch", repo="data", name="gone"))["actions"]
    made += must(lab.run("pipeline", pipeline=spec("p", script=COPY), wait=True))["actions"]
    names: dict[str, Any] = {"projects": ["vision"], "repos": ["default/data", "default/old"]}
    names |= {"branches": ["default/data@gone"], "pipelines": ["default/p"]}
    must(lab.run("prune", lab="mine", actions=made, **names))
    must(lab.run("repo", name="another"))
    return {"lab": "mine", "repos": ["default/data", "default/another"], "prune": True}


def commit_started(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    return {"action": "start", "repo": "data", "description": "of this run"}


def commit_finished(lab: FaultLab) -> dict[str, Any]:
    must(lab.run("commit", **commit_started(lab)))
    return {"action": "finish", "repo": "data"}


def commit_awaited(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    return {"action": "wait", "id": head(lab)}


def commit_squashed(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    middle = head(lab)
    lab.put("/b", b"b")
    return {"action": "squash", "id": middle}


def commit_dropped(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    lab.put("/b", b"b")
    return {"action": "drop", "id": head(lab)}


def info(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("data-copy", script=COPY))
    must(lab.run("project", name="vision"))
    kinds = ["projects", "repos", "branches", "commits", "files", "provenance", "pipelines", "jobs", "datums"]
    kinds += ["logs", "defaults", "role_bindings"]
    return {"gather": kinds, "repo": "data-copy", "pipeline": "data-copy", "content": True}


def info_of_a_commit(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    return {"gather": ["files"], "repo": "data", "commit": head(lab)}


def job_awaited(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    [info] = lab.client.pps.list_job()
    return {"action": "wait", "id": info.job.id}


def job_of_a_commit_awaited(lab: FaultLab) -> dict[str, Any]:
    return {**job_awaited(lab), "pipeline": "p"}


def job_failed(lab: FaultLab) -> dict[str, Any]:
    data(lab)
    must(lab.run("pipeline", pipeline=spec("p", script="echo bad; exit 7")))
    [info] = lab.client.pps.list_job()
    lab.client.pps.inspect_job(job=info.job, wait=True)
    return {"action": "wait", "pipeline": "p"}


def job_run(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", script=COPY))
    return {"action": "run", "pipeline": "p", "wait": False}


def job_run_anew(lab: FaultLab) -> dict[str, Any]:
    return job_run(lab) | {"reprocess": True}


def job_ticked(lab: FaultLab) -> dict[str, Any]:
    data(lab, spec("p", input={"cron": {"name": "tick", "spec": "@yearly"}}))
    return {"action": "run", "pipeline": "p", "wait": False}


def running(lab: FaultLab) -> None:
    """A job whose only datum does not end by itself."""
    data(lab)
    must(lab.run("pipeline", pipeline=spec("p", script="sleep 600")))
    end = time.monotonic() + LONGEST
    while not any(info.state == pps.JobState.JOB_RUNNING for info in lab.client.pps.list_job()):
        assert time.monotonic() < end


def job_stopped(lab: FaultLab) -> dict[str, Any]:
    running(lab)
    return {"action": "stop", "pipeline": "p", "reason": "enough"}


def job_restarted(lab: FaultLab) -> dict[str, Any]:
    running(lab)
    return {"action": "restart", "pipeline": "p", "wait": False}


def number_of_jobs(lab: FaultLab) -> int:
    """What can be told of a job that does not end."""
    return len(list(lab.client.pps.list_job()))
