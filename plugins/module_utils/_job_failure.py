# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a job failed, or what it waits for. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError, first_few
from ._jobs import TERMINAL, job_message, job_values, state_name
from ._messages import pipeline_message, repo_message
from ._sdk import sdk

# Log lines of a failed job: in the result, and in the message.
_LOG_LINES = 20
_MESSAGE_LINES = 5
# Lines that pachd is asked for: those of the worker itself are among them, and several tries.
_LOG_TAIL = 1000
# Failed datums in the result, and the last lines of one among which its exit code is.
_DATUMS = 10
_DATUM_TAIL = 20
# In the message: characters of a datum's id of 64, and its input files.
_SHORT_ID = 12
_MESSAGE_FILES = 3
_DATUM_ID = re.compile(r"\b[0-9a-f]{64}\b")
# What the worker says after each try that failed.
_END_OF_TRY = re.compile(r"errored running user code(?: after [^:]+)?: (?P<error>.*)")
_EXIT_CODE = re.compile(r"exit status (\d+)")
_INSUFFICIENT = re.compile(r"Insufficient ([\w./-]+)")
_WAITS_FOR = {
    "gpu": "a GPU",
    "image": "its image",
    "resources": "cpu or memory",
    "egress": "its egress",
    "upstream": "pipelines upstream",
    "queue": "an earlier job of the same pipeline",
}


def late(pachd: Pachd, project: str, pipeline: str, job: Mapping[str, Any] | None) -> PachydermError:
    """For a job that has not ended in time."""
    state, reason = _pipeline_state(pachd, project, pipeline)
    what = f"job {job['id']} is still {job['state']}" if job else "no job has appeared"
    waits_for = _waits_for(pachd, job, state, reason) if job else ""
    waits = f"; it waits for {_WAITS_FOR[waits_for]}" if waits_for else ""
    error = f": {_egress_error(pachd, job)}" if job and waits_for == "egress" else ""
    return PachydermError(
        f"pipeline {project}/{pipeline}: {what} at the end of wait_timeout{waits}{error};"
        f" the pipeline is {state}" + (f": {reason}" if reason else ""),
        jobs=[{**job, "waits_for": waits_for}] if job else [],
    )


def away(
    pachd: Pachd, project: str, pipeline: str, job: Mapping[str, Any] | None, error: PachdError
) -> PachydermError:
    """For a pachd that does not answer any more."""
    job_name = f"job {job['id']}" if job else "a job"
    return PachydermError(
        f"pipeline {project}/{pipeline}: waiting for {job_name}: no answer within timeout,"
        f" {pachd.options.timeout:g} s: {error}",
        jobs=[dict(job)] if job else [],
    )


def failed(pachd: Pachd, job: dict[str, Any]) -> PachydermError:
    """For a job that has ended in anything but success."""
    message = f"pipeline {job['project']}/{job['pipeline']}: job {job['id']} ended in {job['state']}"
    if job["state"] == "JOB_UNRUNNABLE":
        upstream = failed_upstream(pachd, job)
        names = ", ".join(f"{one['project']}/{one['pipeline']} ({one['state']})" for one in upstream)
        message += f": {job['reason']}" + (f"; upstream: {names}" if names else "")
        return PachydermError(message, jobs=[job | {"upstream": upstream}])
    datums = _failed_datums(pachd, job)
    named = _DATUM_ID.search(job["reason"])
    datum = sdk().pps.Datum(id=named[0], job=job_message(job)) if named else None
    lines = _lines(pachd, job, datum, _LOG_TAIL)
    logs = _log_lines(lines, datum)
    if job["reason"]:
        message += f": {_told_reason(job['reason'], datums)}"
    state, reason = _pipeline_state(pachd, job["project"], job["pipeline"])
    if state in ("PIPELINE_FAILURE", "PIPELINE_CRASHING"):
        message += f"; the pipeline is {state}" + (f": {reason}" if reason else "")
    if logs:
        message += f"; its last lines: {' | '.join(logs[-_MESSAGE_LINES:])}"
    return PachydermError(message, jobs=[job | {"logs": logs, "failed_datums": datums}])


def failed_upstream(pachd: Pachd, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The jobs upstream that are why a job could not run, by the provenance of its output commit."""
    pfs = sdk().pfs
    repo = repo_message(job["project"], job["pipeline"])
    found, left, seen = [], [pfs.Commit(repo=repo, id=job["id"])], set()
    while left:
        commit = left.pop()
        for above in _provenance(pachd, commit):
            key = above.repo.project.name, above.repo.name, above.id
            if above.repo.type != "user" or key in seen:
                continue
            seen.add(key)
            info = _job_of(pachd, *key)
            if info and info["state"] == "JOB_UNRUNNABLE":
                left.append(above)
            elif info and info["state"] in TERMINAL[1:]:
                found.append(info)
    return found


def _provenance(pachd: Pachd, commit: Any) -> list[Any]:
    try:
        return list(pachd.pfs.inspect_commit(commit=commit).direct_provenance)
    except PachdError:
        return []


def _job_of(pachd: Pachd, project: str, repo: str, ident: str) -> dict[str, Any] | None:
    """The job that made a commit; None for a commit that no pipeline made."""
    message = sdk().pps.Job(id=ident, pipeline=pipeline_message(project, repo))
    try:
        return job_values(pachd.pps.inspect_job(job=message))
    except PachdError:
        return None


def _waits_for(pachd: Pachd, job: Mapping[str, Any], state: str, reason: str) -> str:
    """A key of _WAITS_FOR, "" for a job that runs. A real pachd calls a pipeline CRASHING for a mere pod
    that is pending."""
    if job["state"] == "JOB_EGRESSING":
        return "egress"
    if job["state"] != "JOB_CREATED":
        return ""
    lacks = _INSUFFICIENT.findall(reason) if state == "PIPELINE_CRASHING" else []
    if lacks:
        return "gpu" if any("gpu" in name for name in lacks) else "resources"
    if state == "PIPELINE_CRASHING" and "image" in reason.lower():
        return "image"
    return _is_behind(pachd, job)


def _is_behind(pachd: Pachd, job: Mapping[str, Any]) -> str:
    pfs = sdk().pfs
    repo = repo_message(job["project"], job["pipeline"])
    for above in _provenance(pachd, pfs.Commit(repo=repo, id=job["id"])):
        info = _job_of(pachd, above.repo.project.name, above.repo.name, above.id)
        if above.repo.type == "user" and info and info["state"] not in TERMINAL:
            return "upstream"
    message = pipeline_message(job["project"], job["pipeline"])
    jobs = [job_values(info) for info in pachd.pps.list_job(pipeline=message, number=_DATUMS, details=False)]
    earlier = [one for one in jobs if one["id"] != job["id"] and one["state"] not in TERMINAL]
    return "queue" if any((one["created"] or "") < (job["created"] or "") for one in earlier) else ""


def _egress_error(pachd: Pachd, job: Mapping[str, Any]) -> str:
    lines = [line.message for line in _lines(pachd, job, None, _LOG_TAIL) if "egress" in line.message]
    return lines[-1] if lines else "pachd tells no reason"


def _pipeline_state(pachd: Pachd, project: str, pipeline: str) -> tuple[str, str]:
    """State and reason."""
    try:
        info = pachd.pps.inspect_pipeline(pipeline=pipeline_message(project, pipeline), details=False)
    except PachdError as error:
        return "not to be looked at", str(error)
    return state_name(sdk().pps.PipelineState, info.state), info.reason


def _failed_datums(pachd: Pachd, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The datums that failed, at most _DATUMS; none where pachd does not tell them."""
    pps = sdk().pps
    only = pps.ListDatumRequestFilter(state=[pps.DatumState.FAILED])
    try:
        infos = list(pachd.pps.list_datum(job=job_message(job), filter=only, number=_DATUMS))
    except PachdError:
        return []
    return [_datum_values(pachd, job, info) for info in infos]


def _datum_values(pachd: Pachd, job: Mapping[str, Any], info: Any) -> dict[str, Any]:
    ends = [
        end["error"].strip()
        for line in _lines(pachd, job, info.datum, _DATUM_TAIL)
        if not line.user and (end := _END_OF_TRY.search(line.message))
    ]
    error = ends[-1] if ends else ""
    code = _EXIT_CODE.search(error)
    return {
        "id": info.datum.id,
        "inputs": [f"{one.file.commit.repo.name}:{one.file.path}" for one in info.data],
        "exit_code": int(code[1]) if code else None,
        "error": error,
    }


def _told_reason(reason: str, datums: list[dict[str, Any]]) -> str:
    """The reason of a job, with the datum that it names told by its input files.

    Ids are shortened in it: the whole ones are in the job's own `reason`.
    """
    short = _DATUM_ID.sub(lambda found: found[0][:_SHORT_ID], reason)
    for datum in datums:
        if datum["inputs"] and datum["id"] in reason:
            ident = datum["id"][:_SHORT_ID]
            return short.replace(ident, f"{ident} ({first_few(datum['inputs'], _MESSAGE_FILES)})", 1)
    return short


def _lines(pachd: Pachd, job: Mapping[str, Any], datum: Any, tail: int) -> list[Any]:
    """The last lines of a job's log. Without Loki they are gone with the worker; then there are none."""
    try:
        return list(pachd.pps.get_logs(job=job_message(job), datum=datum, tail=tail))
    except PachdError:
        return []


def _log_lines(lines: list[Any], datum: Any) -> list[str]:
    """What user code wrote last in its last try at `datum`, or in the job if that is None."""
    ends = [number for number, line in enumerate(lines, start=1) if _is_end_of_try(line)]
    if datum is not None and len(ends) > 1:
        lines = lines[ends[-2] :]
    told = [line.message.rstrip() for line in lines if line.user or _is_end_of_try(line)]
    return [line for line in told if line][-_LOG_LINES:]


def _is_end_of_try(line: Any) -> bool:
    return not line.user and "errored running user code" in line.message
