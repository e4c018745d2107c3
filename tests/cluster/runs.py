# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of a playbook on the cluster's host came to."""

from __future__ import annotations

import json
from typing import Any

from tests.nodes.labs import Run

HOST = "localhost"


def done(run: Run) -> Run:
    """A run that went well."""
    assert run.status == 0, run.output
    return run


def changed(run: Run) -> list[str]:
    """The tasks of a run that went well which changed something, without the roles' names."""
    return done(run).changed(HOST)


def refused(run: Run) -> str:
    """Why a run failed, as its user is told."""
    assert run.status != 0, run.output
    return run.failure(HOST).splitlines()[-1]


def result(run: Run) -> dict[str, Any]:
    """The fact that the role kept for the report, or the answer that a playbook told."""
    said = [event.msg for event in done(run).events if event.msg.startswith("result=")]
    values: dict[str, Any] = json.loads(said[-1].removeprefix("result="))
    return values
