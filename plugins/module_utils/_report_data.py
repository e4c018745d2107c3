# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab report tells, as plain values. PRIVATE to the collection: it may change at any time.

It is made from results of this collection's modules, whatever of them is there. Only what is named here goes
into the report: a pipeline's spec may hold secrets. Nothing in it is the time at which it was made, so that
the report of a lab that did not change is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ._errors import one_line

Values = Mapping[str, Any]
_TOOLKIT = "nvidia-container-toolkit"
_OLD_TOOLKIT = "nvidia-docker2"
# Of pipelines and of jobs, in state_text's words.
BAD_STATES = ("failure", "killed", "unrunnable", "crashing")


def report_data(found: Values, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """`found` has the options of the module lab_report."""
    pachyderm = found["pachyderm"]
    data: dict[str, Any] = {
        "nodes": [_node(node) for node in found["nodes"]],
        "cluster": _cluster(found["cluster"]) if found["cluster"] else None,
        "pachyderm": _pachyderm(pachyderm, found["logs"]) if pachyderm else None,
        "changes": changes,
    }
    return data | {"problems": list(_problems(data))}


def state_text(state: str) -> str:
    """PIPELINE_RUNNING -> running, JOB_SUCCESS -> success."""
    return state.partition("_")[2].lower() or state


def _problems(data: Values) -> Iterable[str]:
    """What is not as it should be, a line each, from the machines up to the pipelines."""
    for node in data["nodes"]:
        for problem in node["problems"]:
            yield f"node {node['name']}: {problem}"
    if cluster := data["cluster"]:
        if cluster["error"]:
            yield f"the cluster did not answer: {cluster['error']}"
        for node in cluster["nodes"]:
            if not node["ready"]:
                yield f"cluster node {node['name']}: not ready"
            elif not node["plugin_ready"]:
                yield f"cluster node {node['name']}: no device plugin is ready"
        for pod in cluster["pending"]:
            yield f"pod {pod['name']} waits for a GPU: {pod['reason']}"
    if lab := data["pachyderm"]:
        if lab["error"]:
            yield f"Pachyderm did not answer: {lab['error']}"
            return
        for pipeline in lab["pipelines"]:
            name, state = pipeline["name"], state_text(pipeline["state"])
            job = state_text(pipeline["last_job_state"])
            if state in BAD_STATES:
                yield f"pipeline {name}: {state}{pipeline['reason'] and ': '}{pipeline['reason']}"
            elif job in BAD_STATES:
                yield f"pipeline {name}: the newest job's state is {job}"


def _node(node: Values) -> dict[str, Any]:
    info = node.get("info") or {}
    seen = info.get("nvidia")
    told = {"name": node["name"], "distribution": node.get("distribution") or None}
    if not seen:
        return told | {
            "kernel": None,
            "driver": None,
            "toolkit": None,
            "gpus": [],
            "problems": [_failure(info) or "was not looked at"],
        }
    packages = seen["packages"] or {}
    toolkit = packages.get(_TOOLKIT) or packages.get(_OLD_TOOLKIT) or {}
    return told | {
        "kernel": seen["kernel"],
        "driver": seen["driver"]["loaded_version"],
        "toolkit": toolkit.get("version"),
        "gpus": [{"name": gpu["name"], "memory_mib": gpu["memory_mib"]} for gpu in seen["smi"]["gpus"]]
        or [{"name": f"{gpu['generation']} {gpu['device_id']}", "memory_mib": None} for gpu in seen["gpus"]],
        "problems": list(_node_problems(seen, node)),
    }


def _node_problems(seen: Values, node: Values) -> Iterable[str]:
    driver = seen["driver"]
    if seen["smi"]["error"]:
        yield seen["smi"]["error"]
    elif not driver["loaded_version"] and seen["gpus"]:
        yield "no driver is loaded"
    if seen["nouveau_loaded"]:
        yield "nouveau is loaded"
    if seen["packages_unfinished"]:
        yield "dpkg was cut off"
    if node.get("reboot_needed"):
        yield "has to be rebooted"
    if node.get("pending"):
        yield f"to be restarted: {', '.join(node['pending'])}"


def _failure(result: Values) -> str:
    """Why a task has no answer, in one line; "" if it does not tell."""
    return one_line(str(result.get("msg") or ""))


def _cluster(cluster: Values) -> dict[str, Any]:
    seen = cluster.get("capacity") or {}
    answered = "nodes" in seen and "totals" in seen
    return {
        "error": None if answered else _failure(seen) or "was not asked",
        "versions": {name: version for name, version in (cluster.get("versions") or {}).items() if version},
        "nodes": [
            {
                "name": node["name"],
                "ready": node["ready"],
                "schedulable": node["schedulable"],
                "gpus": node["gpus"],
                "plugin": (node["plugin"] or {}).get("pod"),
                "plugin_ready": bool((node["plugin"] or {}).get("ready")),
            }
            for node in (seen.get("nodes", []) if answered else [])
        ],
        "totals": seen["totals"] if answered else {},
        "pending": [
            {"name": f"{pod['namespace']}/{pod['name']}", "gpus": pod["gpus"], "reason": pod["reason"]}
            for pod in (seen.get("pending", []) if answered else [])
        ],
        "plugins": [
            image for one in (seen.get("plugins", []) if answered else []) for image in one["images"]
        ],
    }


def _pachyderm(seen: Values, logs: Iterable[Values]) -> dict[str, Any]:
    if "pipelines" not in seen:
        return {"error": _failure(seen) or "was not asked"}
    sources = _sources(seen["branches"])
    return {
        "error": None,
        "repos": [
            {
                "name": _name(repo),
                "description": repo["description"],
                "size_bytes": repo["size_bytes"],
                "branches": repo["branches"],
                "created": repo["created"],
            }
            for repo in sorted(seen["repos"], key=_name)
        ],
        "pipelines": [_pipeline(pipeline, sources) for pipeline in sorted(seen["pipelines"], key=_name)],
        "jobs": [
            {
                "id": job["id"],
                "pipeline": f"{job['project']}/{job['pipeline']}",
                **{key: job[key] for key in ("state", "reason", "datums", "created", "started", "finished")},
            }
            for job in seen["jobs"]
        ],
        "commits": [
            {
                "repo": f"{commit['project']}/{commit['repo']}",
                **{key: commit[key] for key in ("id", "origin", "description", "error", "size_bytes")},
                "started": commit["started"],
                "finished": commit["finished"],
                "provenance": [f"{c['project']}/{c['repo']}@{c['id']}" for c in commit["provenance"]],
            }
            for commit in seen["commits"]
        ],
        "logs": [
            {"pipeline": log["pipeline"], "job": log["job"], "lines": log["lines"]}
            for log in logs
            if log["lines"]
        ],
    }


def _name(thing: Values) -> str:
    return f"{thing['project']}/{thing['name']}"


def _sources(branches: Iterable[Values]) -> dict[str, list[str]]:
    """The repos that each repo is made from."""
    found: dict[str, set[str]] = {}
    for branch in branches:
        above = {f"{b['project']}/{b['repo']}" for b in branch["provenance"]}
        found.setdefault(f"{branch['project']}/{branch['repo']}", set()).update(above)
    return {name: sorted(above) for name, above in found.items()}


def _pipeline(pipeline: Values, sources: Mapping[str, list[str]]) -> dict[str, Any]:
    spec = pipeline["spec"]
    limits, requests = spec.get("resourceLimits") or {}, spec.get("resourceRequests") or {}
    gpu = limits.get("gpu") or requests.get("gpu") or {}
    return {
        "name": _name(pipeline),
        "description": spec.get("description", ""),
        "version": pipeline["version"],
        "state": pipeline["state"],
        "last_job_state": pipeline["last_job_state"],
        "reason": pipeline["reason"],
        "stopped": pipeline["stopped"],
        "image": (spec.get("transform") or {}).get("image", ""),
        "gpus": int(gpu.get("number", 0)),
        "inputs": sources.get(_name(pipeline), []),
    }


def merged_changes(new: list[dict[str, Any]], previous: object) -> list[dict[str, Any]]:
    """What the newest run that changed anything did: `previous` is what the last report said of it."""
    if new or not isinstance(previous, list):
        return new
    return previous
