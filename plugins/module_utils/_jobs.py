# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for jobs, and saying why one failed. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Mapping
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError, first_few
from ._sdk import sdk

# Log lines of a failed job: in the result, and in the message.
_LOG_LINES = 20
_MESSAGE_LINES = 5
# Lines that pachd is asked for: those of the worker itself are among them, and several tries.
_LOG_TAIL = 1000
# In the message: characters of a datum's id of 64, and its input files.
_SHORT_ID = 12
_MESSAGE_FILES = 3
_TERMINAL = ("JOB_SUCCESS", "JOB_FAILURE", "JOB_KILLED", "JOB_UNRUNNABLE")
# Seconds that one call waits for a job: in between, the pipeline is looked at, too.
_WAIT_STEP = 5.0
_DATUM_ID = re.compile(r"\b[0-9a-f]{64}\b")


def job_values(info: Any) -> dict[str, Any]:
    """A job as modules return it. Counts are those of datums; times are ISO 8601, None where not reached."""
    return {
        "id": info.job.id,
        "project": info.job.pipeline.project.name,
        "pipeline": info.job.pipeline.name,
        "pipeline_version": info.pipeline_version,
        "state": state_name(sdk().pps.JobState, info.state),
        "reason": info.reason.strip(),
        "datums": {
            "processed": info.data_processed,
            "skipped": info.data_skipped,
            "failed": info.data_failed,
            "recovered": info.data_recovered,
            "total": info.data_total,
        },
        "created": iso(info.created),
        "started": iso(info.started),
        "finished": iso(info.finished),
    }


def state_name(states: Any, state: int) -> str:
    """The name of an enum's value; of one that the SDK does not know, the number."""
    return str(next((member.name for member in states if member.value == state), state))


def iso(moment: datetime.datetime) -> str | None:
    """A time of pachd in ISO 8601; None for the zero time, which means that it is not set."""
    return moment.isoformat() if moment.timestamp() else None


def wait_for_job(pachd: Pachd, project: str, pipeline: str, end: float) -> dict[str, Any]:
    """Waits until the newest job of the pipeline is done, and returns it (job_values).

    `end` is a time of time.monotonic(). Raises PachydermError, with the job's state, reason and log, if it
    ends in anything but success, with the pipeline's state and reason if it does not end in time, and if
    pachd is away for longer than the connection's timeout.
    """
    job: dict[str, Any] | None = None
    answered = time.monotonic()
    while True:
        try:
            job = _newest(pachd, project, pipeline, job)
            answered = time.monotonic()
            if job and job["state"] in _TERMINAL:
                break
        except PachdError as error:
            # A pachd that restarts is away for some time, and its jobs go on.
            if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                raise
            if time.monotonic() - answered >= pachd.options.timeout:
                raise _away(pachd, project, pipeline, job, error) from error
        left = end - time.monotonic()
        if left <= 0:
            raise _late(pachd, project, pipeline, job)
        _pause(pachd, job, min(left, _WAIT_STEP))
    if job["state"] != "JOB_SUCCESS":
        raise _failed(pachd, job)
    return job


def _newest(pachd: Pachd, project: str, pipeline: str, last: dict[str, Any] | None) -> dict[str, Any] | None:
    pps = sdk().pps
    message = _pipeline_message(project, pipeline)
    # A pachd that is stuck must not hold the wait for as long as a listing may take.
    with pachd.deadline(pachd.options.timeout):
        info = next(iter(pachd.pps.list_job(pipeline=message, number=1, details=False)), None)
    return job_values(info) if isinstance(info, pps.JobInfo) else last


def _pipeline_message(project: str, pipeline: str) -> Any:
    return sdk().pps.Pipeline(name=pipeline, project=sdk().pfs.Project(name=project))


def _job_message(job: Mapping[str, Any]) -> Any:
    return sdk().pps.Job(id=job["id"], pipeline=_pipeline_message(job["project"], job["pipeline"]))


def _pause(pachd: Pachd, job: Mapping[str, Any] | None, seconds: float) -> None:
    """Lets time pass until the job ends, at most `seconds`."""
    if job is None:
        time.sleep(min(seconds, 0.2))
        return
    try:
        with pachd.deadline(seconds):
            pachd.pps.inspect_job(job=_job_message(job), wait=True)
    except PachdError as error:
        if error.code == "UNAVAILABLE":
            time.sleep(min(seconds, 1.0))
        elif error.code != "DEADLINE_EXCEEDED":
            raise


def _late(pachd: Pachd, project: str, pipeline: str, job: Mapping[str, Any] | None) -> PachydermError:
    what = f"job {job['id']} is still {job['state']}" if job else "no job has appeared"
    return PachydermError(
        f"pipeline {project}/{pipeline}: {what} at the end of wait_timeout;"
        f" {_pipeline_state(pachd, project, pipeline)}",
        jobs=[dict(job)] if job else [],
    )


def _away(
    pachd: Pachd, project: str, pipeline: str, job: Mapping[str, Any] | None, error: PachdError
) -> PachydermError:
    job_name = f"job {job['id']}" if job else "a job"
    return PachydermError(
        f"pipeline {project}/{pipeline}: waiting for {job_name}: no answer within timeout,"
        f" {pachd.options.timeout:g} s: {error}",
        jobs=[dict(job)] if job else [],
    )


def _pipeline_state(pachd: Pachd, project: str, pipeline: str) -> str:
    try:
        info = pachd.pps.inspect_pipeline(pipeline=_pipeline_message(project, pipeline), details=False)
    except PachdError as error:
        return f"the pipeline cannot be looked at: {error}"
    state = state_name(sdk().pps.PipelineState, info.state)
    return f"the pipeline is {state}: {info.reason}" if info.reason else f"the pipeline is {state}"


def _failed(pachd: Pachd, job: dict[str, Any]) -> PachydermError:
    named = _DATUM_ID.search(job["reason"])
    datum = sdk().pps.Datum(id=named[0], job=_job_message(job)) if named else None
    logs = _log_lines(pachd, job, datum)
    message = f"pipeline {job['project']}/{job['pipeline']}: job {job['id']} ended in {job['state']}"
    if job["reason"]:
        message += f": {_told_reason(pachd, job['reason'], datum)}"
    state = _pipeline_state(pachd, job["project"], job["pipeline"])
    if "PIPELINE_FAILURE" in state or "PIPELINE_CRASHING" in state:
        message += f"; {state}"
    if logs:
        message += f"; its last lines: {' | '.join(logs[-_MESSAGE_LINES:])}"
    return PachydermError(message, jobs=[job | {"logs": logs}])


def _told_reason(pachd: Pachd, reason: str, datum: Any) -> str:
    """The reason of a job, with the datum that it names first told by its input files.

    Ids are shortened in it: the whole ones are in the job's own `reason`.
    """
    short = _DATUM_ID.sub(lambda found: found[0][:_SHORT_ID], reason)
    files = _input_files(pachd, datum) if datum else ""
    if not files:
        return short
    ident = datum.id[:_SHORT_ID]
    return short.replace(ident, f"{ident} ({files})", 1)


def _input_files(pachd: Pachd, datum: Any) -> str:
    """The input files of a datum, as repo:/path; "" if pachd does not tell them."""
    try:
        info = pachd.pps.inspect_datum(datum=datum)
    except PachdError:
        return ""
    return first_few([f"{one.file.commit.repo.name}:{one.file.path}" for one in info.data], _MESSAGE_FILES)


def _log_lines(pachd: Pachd, job: Mapping[str, Any], datum: Any) -> list[str]:
    """The last lines that user code wrote in its last try at `datum`, or in the job if that is None.

    pachd cannot always give them: without Loki they are gone with the worker. Then there are none.
    """
    try:
        lines = list(pachd.pps.get_logs(job=_job_message(job), datum=datum, tail=_LOG_TAIL))
    except PachdError:
        return []
    ends = [number for number, line in enumerate(lines, start=1) if _is_end_of_try(line)]
    if datum is not None and len(ends) > 1:
        lines = lines[ends[-2] :]
    told = [line.message.rstrip() for line in lines if line.user or _is_end_of_try(line)]
    return [line for line in told if line][-_LOG_LINES:]


def _is_end_of_try(line: Any) -> bool:
    """Whether it is what the worker says after each try that failed."""
    return not line.user and "errored running user code" in line.message
