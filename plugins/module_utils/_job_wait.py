# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for jobs. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ._connection import Pachd
from ._errors import PachdError
from ._job_failure import away, failed, late
from ._jobs import TERMINAL, job_message, job_values
from ._messages import pipeline_message
from ._progress import Progress
from ._sdk import sdk

# Seconds that one call waits for a job: in between, the pipeline is looked at, too.
_WAIT_STEP = 5.0


def wait_for_job(pachd: Pachd, project: str, pipeline: str, end: float, ident: str = "") -> dict[str, Any]:
    """Waits until a job of the pipeline, the newest one if no `ident` is given, is done; returns job_values.

    `end` is a time of time.monotonic(). Raises PachydermError, with the job's state, reason, failed datums
    and log, if it ends in anything but success, with what it waits for if it does not end in time, and if
    pachd is away for longer than the connection's timeout.
    """
    job: dict[str, Any] | None = None
    answered = time.monotonic()
    progress = Progress(f"pipeline {project}/{pipeline}")
    while True:
        try:
            job = _look(pachd, project, pipeline, ident) or job
            answered = time.monotonic()
            if job and job["state"] in TERMINAL:
                break
        except PachdError as error:
            # A pachd that restarts is away for some time, and its jobs go on.
            if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                raise
            if time.monotonic() - answered >= pachd.options.timeout:
                raise away(pachd, project, pipeline, job, error) from error
        left = end - time.monotonic()
        if left <= 0:
            raise late(pachd, project, pipeline, job)
        progress.tell(partial(_note, job))
        _pause(pachd, job, min(left, _WAIT_STEP))
    if job["state"] != "JOB_SUCCESS":
        raise failed(pachd, job)
    return job


def _look(pachd: Pachd, project: str, pipeline: str, ident: str) -> dict[str, Any] | None:
    """The job as it is now; None while there is none."""
    message = pipeline_message(project, pipeline)
    # A pachd that is stuck must not hold the wait for as long as a listing may take.
    with pachd.deadline(pachd.options.timeout):
        if ident:
            return job_values(pachd.pps.inspect_job(job=sdk().pps.Job(id=ident, pipeline=message)))
        info = next(iter(pachd.pps.list_job(pipeline=message, number=1, details=False)), None)
    return job_values(info) if info else None


def _note(job: Mapping[str, Any] | None) -> dict[str, str | int]:
    if job is None:
        return {"note": "no job yet"}
    datums = {**job["datums"]}
    total, failed = datums.pop("total"), datums["failed"]
    note = f"job {job['id'][:8]} {job['state'].removeprefix('JOB_').lower()}"
    if failed:
        note += f", {failed} datums failed"
    return {"done": sum(datums.values()), "total": total, "unit": "datums", "note": note}


def _pause(pachd: Pachd, job: Mapping[str, Any] | None, seconds: float) -> None:
    """Lets time pass until the job ends, at most `seconds`."""
    if job is None:
        time.sleep(min(seconds, 0.2))
        return
    try:
        with pachd.deadline(seconds):
            pachd.pps.inspect_job(job=job_message(job), wait=True)
    except PachdError as error:
        if error.code == "UNAVAILABLE":
            time.sleep(min(seconds, 1.0))
        elif error.code != "DEADLINE_EXCEEDED":
            raise
