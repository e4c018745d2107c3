# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as messages of the SDK and as values of modules. PRIVATE: it may change at any time."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ._messages import pipeline_message
from ._sdk import sdk

TERMINAL = ("JOB_SUCCESS", "JOB_FAILURE", "JOB_KILLED", "JOB_UNRUNNABLE")


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


def job_message(job: Mapping[str, Any]) -> Any:
    return sdk().pps.Job(id=job["id"], pipeline=pipeline_message(job["project"], job["pipeline"]))
