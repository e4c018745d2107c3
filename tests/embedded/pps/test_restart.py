# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarted datums, with code that can be held; and what code finds in /pfs beside its files."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pps


def test_only_the_datum_with_the_file_starts_again(lab: Any, gate: Any) -> None:
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(
        repo, gate.wait("$(cd /pfs/*-*; echo *)"), "true", parallelism_spec={"constant": 2}, datum_tries=2
    )
    first = {visitor.word: visitor for visitor in (gate.visitor(), gate.visitor())}
    assert set(first) == {"a", "b"}
    lab.pps.restart_datum(job=lab.jobs(pipeline)[0].job, data_filters=["/a"])
    assert first["a"].is_gone()
    again = gate.visitor()
    assert again.word == "a"
    for visitor in (again, first["b"]):
        visitor.release()
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    (line,) = lab.logs(pipeline, user=False)
    assert line.endswith("signal: killed because context canceled")


def test_a_waiting_job_has_no_datum_to_restart(lab: Any, gate: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, gate.wait())
    visitor = gate.visitor()
    waiting = lab.put(repo, {"b": "1"})
    with pytest.raises(grpc.RpcError, match="could not be found"):
        lab.pps.restart_datum(job=pps.Job(pipeline=lab.key(pipeline), id=waiting))
    visitor.release()
    gate.visitor().release()
    assert lab.counts(pipeline, waiting).startswith("SUCCESS")


def test_the_variables_are_in_a_file_as_well(lab: Any) -> None:
    pipeline = lab.pipeline(
        lab.repo(a="1"),
        "grep -c ^PACH_JOB_ID= /pfs/.env",
        "grep ^MINE= /pfs/.env",
        transform={"env": {"MINE": "x y"}},
    )
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.logs(pipeline) == ["1", "MINE=x y"]
    assert lab.files(pipeline) == {}
