# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs to report on, as the modules return them."""

from __future__ import annotations

import datetime
from typing import Any

MARKUP = "<script>alert(1)</script>"
_START = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def moment(seconds: float) -> str:
    return (_START + datetime.timedelta(seconds=seconds)).isoformat()


def repo(name: str, **values: Any) -> dict[str, Any]:
    given = {"description": "", "size_bytes": 12345, "branches": ["master"], "created": moment(0)}
    return {"project": "default", "name": name} | given | values


def pipeline(name: str, gpus: int = 0, **values: Any) -> dict[str, Any]:
    spec = {"transform": {"image": "debian:12", "env": {"KEY": "hush"}}, "description": f"Makes {name}"}
    limits = {"resourceLimits": {"gpu": {"type": "nvidia.com/gpu", "number": gpus}}} if gpus else {}
    given = {
        "version": 1,
        "state": "PIPELINE_RUNNING",
        "last_job_state": "JOB_SUCCESS",
        "reason": "",
        "stopped": False,
    }
    return {"project": "default", "name": name, "spec": spec | limits} | given | values


def branch(name: str, *above: str) -> dict[str, Any]:
    provenance = [{"project": "default", "repo": one, "branch": "master"} for one in above]
    return {"project": "default", "repo": name, "name": "master", "provenance": provenance}


def job(name: str, number: int, state: str = "JOB_SUCCESS", **values: Any) -> dict[str, Any]:
    counts = {"processed": 1, "skipped": 4, "failed": 0, "recovered": 0, "total": 5}
    given = {"reason": "", "datums": counts, "created": moment(number), "started": moment(number + 1)}
    given |= {"finished": moment(number + 4), "state": state}
    return {"id": f"{number:032x}", "project": "default", "pipeline": name} | given | values


def commit(name: str, number: int, *above: str) -> dict[str, Any]:
    provenance = [{"project": "default", "repo": one, "id": f"{number:032x}"} for one in above]
    values = {"origin": "USER", "description": "", "error": "", "size_bytes": 99, "provenance": provenance}
    values |= {"started": moment(number), "finished": moment(number + 1)}
    return {"project": "default", "repo": name, "id": f"{number:032x}"} | values


def pachyderm(pipelines: int, jobs: int, odd: str = "") -> dict[str, Any]:
    """Layers of ten pipelines, each reading two of the layer before; `odd` is a text for all fields."""
    names = [f"step-{number:02}" for number in range(pipelines)]
    sources = ["images", "labels", "long-name-of-a-repo-that-does-not-fit"]
    above = {
        name: [names[number - 10], names[number - 10 + (number % 10 != 9)]]
        if number >= 10
        else [sources[number % 3]]
        for number, name in enumerate(names)
    }
    found: dict[str, Any] = {
        "repos": [repo(name) for name in (*sources, *names)],
        "branches": [
            *(branch(name) for name in sources),
            *(branch(name, *reads) for name, reads in above.items()),
        ],
        "commits": [commit(name, number, *above[name]) for number, name in enumerate(names[:20])],
        "pipelines": [pipeline(name, gpus=number % 3) for number, name in enumerate(names)],
        "jobs": [job(names[number % pipelines], jobs - number) for number in range(jobs)],
    }
    if pipelines > 4 and jobs > 4:
        bad = {"state": "PIPELINE_FAILURE", "last_job_state": "JOB_FAILURE", "reason": "no such image"}
        found["pipelines"][4] |= bad
        found["jobs"][4] |= {"state": "JOB_FAILURE"}
        found["jobs"][0] |= {"state": "JOB_RUNNING", "finished": None}
        found["jobs"][1] |= {"state": "JOB_CREATED", "started": None, "finished": None}
    if odd:
        found["repos"].append(repo(odd, description=odd, branches=[odd]))
        found["branches"].append(branch(odd))
        found["pipelines"].append(pipeline(f"p{odd}", reason=odd))
        found["jobs"].append(job(f"p{odd}", 3, reason=odd))
        found["commits"].append(commit(odd, 3) | {"description": odd, "error": odd})
    return found


def node(name: str, error: str | None = None, odd: str = "") -> dict[str, Any]:
    gpu = {
        "index": 0,
        "uuid": "GPU-1",
        "name": f"NVIDIA H100{odd}",
        "memory_mib": 81559,
        "driver_version": "535.1",
    }
    info = {
        "gpus": [
            {"address": "0000:3b:00.0", "device_id": "0x2330", "generation": "hopper", "bound_to": "nvidia"}
        ],
        "kernel": "6.1.0-35-amd64",
        "nouveau_loaded": False,
        "packages": {"nvidia-container-toolkit": {"version": "1.17.8-1", "held": True}},
        "packages_unfinished": False,
        "driver": {"loaded_version": None if error else "535.261.03"},
        "smi": {"gpus": [] if error else [gpu, gpu], "error": error},
    }
    return {
        "name": name,
        "distribution": f"Debian 12{odd}",
        "info": {"nvidia": info},
        "reboot_needed": False,
        "pending": [],
    }


def cluster(odd: str = "") -> dict[str, Any]:
    gpus = {"nvidia.com/gpu": {"capacity": 8, "allocatable": 8, "requested": 3}}
    nodes = [
        {
            "name": f"gpu1{odd}",
            "ready": True,
            "schedulable": True,
            "gpus": gpus,
            "plugin": {"pod": "p", "ready": True},
        },
        {"name": "gpu2", "ready": False, "schedulable": True, "gpus": gpus, "plugin": None},
    ]
    pending = [
        {"namespace": "default", "name": "train", "gpus": {"nvidia.com/gpu": 4}, "reason": f"0/2 nodes{odd}"}
    ]
    capacity = {
        "nodes": nodes,
        "totals": gpus,
        "pending": pending,
        "plugins": [{"images": ["nvidia/plugin:1"]}],
    }
    return {"capacity": capacity, "versions": {"Helm": "3.19.0", "pachd": ""}}


def whole(pipelines: int = 60, jobs: int = 5000, odd: str = "") -> dict[str, Any]:
    """Options of the module lab_report for a lab that has everything."""
    gone = {"name": "gpu4", "info": {"unreachable": True, "msg": f"no route to host{odd}"}}
    return {
        "nodes": [node("gpu1", odd=odd), node("gpu2"), node("gpu3", "Driver/library version mismatch"), gone],
        "cluster": cluster(odd),
        "pachyderm": pachyderm(pipelines, jobs, odd),
        "logs": [{"pipeline": "default/step-04", "job": "abc", "lines": ["one", f"two{odd}"]}],
    }
