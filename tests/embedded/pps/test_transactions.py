# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions that change pipelines, while user code runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, transaction

from tests.contract.lab import Lab


@pytest.fixture
def held(lab: Lab, gate: Any) -> tuple[str, str, Any]:
    """A repo, a pipeline that reads it, and its code, which waits."""
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, "cp /pfs/*/* /pfs/out/ 2> /dev/null", gate.wait())
    return repo, pipeline, gate.visitor()


@pytest.fixture
def inside(lab_at: Callable[[str], Lab], server: Any) -> Lab:
    """A lab whose calls go into a transaction."""
    client = lab_at(server.address).client
    client.transaction.start_transaction()
    return Lab(client)


def finish(inside: Lab) -> None:
    opened = transaction.Transaction(id=inside.client.transaction_id)
    inside.client.transaction.finish_transaction(transaction=opened)


def test_an_update_that_is_only_added_lets_the_job_go_on(
    lab: Lab, inside: Lab, held: tuple[str, str, Any]
) -> None:
    repo, pipeline, visitor = held
    inside.pipeline(repo, "true", name=pipeline, update=True)
    visitor.release()
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.pipeline_info(pipeline).version == 1


def test_when_it_is_finished_the_job_is_killed(lab: Lab, inside: Lab, held: tuple[str, str, Any]) -> None:
    repo, pipeline, visitor = held
    inside.pipeline(repo, "true", name=pipeline, update=True)
    assert lab.state(pipeline) == "RUNNING"
    finish(inside)
    assert visitor.is_gone()
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.state(pipeline, lab.jobs(pipeline, history=-1)[-1].job.id) == "KILLED"


def test_one_that_fails_at_the_end_lets_the_job_go_on(
    lab: Lab, inside: Lab, held: tuple[str, str, Any], refused: Any
) -> None:
    repo, pipeline, visitor = held
    inside.pipeline(repo, "true", name=pipeline, update=True)
    inside.pfs.create_repo(repo=pfs.Repo.from_uri("taken"))
    lab.pfs.create_repo(repo=pfs.Repo.from_uri("taken"))
    with refused(grpc.StatusCode.ALREADY_EXISTS, "request 2 of 2"):
        finish(inside)
    lab.pfs.delete_repo(repo=pfs.Repo.from_uri("taken"))
    visitor.release()
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.pipeline_info(pipeline).version == 1
