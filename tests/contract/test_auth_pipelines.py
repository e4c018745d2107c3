# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines with auth: who may make, change and see them, and what a pipeline itself may do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from tests.contract.auth_lab import AuthLab, Person, denial, fresh, spec
from tests.contract.fixtures import Refused
from tests.contract.lab import Data


@pytest.fixture
def owner(auth_lab: AuthLab) -> Person:
    """Somebody who may make repos and pipelines in the lab's project."""
    return auth_lab.person("projectWriter", on=auth_lab.on_project())


@pytest.fixture
def source(auth_lab: AuthLab, owner: Person) -> Data:
    return auth_lab.repo(owner.client)


@pytest.fixture
def pipeline(auth_lab: AuthLab, owner: Person, source: Data) -> pps.Pipeline:
    """One of the owner's, which reads from `source`."""
    name = fresh("pipe")
    owner.client.pps.create_pipeline_v2(create_pipeline_request_json=spec(source, name))
    return pps.Pipeline(name=name, project=pfs.Project(name=auth_lab.project))


def principal_of(pipeline: pps.Pipeline) -> str:
    return f"pipeline:{pipeline.project.name}/{pipeline.name}"


def test_a_pipeline_may_read_its_input(auth_lab: AuthLab, source: Data, pipeline: pps.Pipeline) -> None:
    assert auth_lab.roles(auth_lab.on_repo(source))[principal_of(pipeline)] == {"repoReader"}


def test_a_pipeline_may_write_its_output(auth_lab: AuthLab, owner: Person, pipeline: pps.Pipeline) -> None:
    output = auth_lab.on_repo(f"{auth_lab.project}/{pipeline.name}")
    assert auth_lab.roles(output) == {
        owner.principal: {"repoOwner"},
        principal_of(pipeline): {"repoWriter"},
    }


def test_a_deleted_pipeline_s_input_forgets_it(
    auth_lab: AuthLab, owner: Person, source: Data, pipeline: pps.Pipeline
) -> None:
    owner.client.pps.delete_pipeline(pipeline=pipeline)
    assert principal_of(pipeline) not in auth_lab.roles(auth_lab.on_repo(source))


def test_an_input_that_is_read_no_more_forgets_its_pipeline(
    auth_lab: AuthLab, owner: Person, source: Data, pipeline: pps.Pipeline
) -> None:
    other = auth_lab.repo(owner.client)
    owner.client.pps.create_pipeline_v2(create_pipeline_request_json=spec(other, pipeline.name), update=True)
    assert principal_of(pipeline) not in auth_lab.roles(auth_lab.on_repo(source))
    assert auth_lab.roles(auth_lab.on_repo(other))[principal_of(pipeline)] == {"repoReader"}


def test_a_reader_of_the_input_makes_a_pipeline(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("projectWriter", on=auth_lab.on_project())
    auth_lab.grant(auth_lab.on_repo(data), person.principal, "repoReader")
    name = fresh("pipe")
    person.client.pps.create_pipeline_v2(create_pipeline_request_json=spec(data, name))
    assert person.client.pps.pipeline_exists(
        pps.Pipeline(name=name, project=pfs.Project(name=auth_lab.project))
    )


PIPELINE_CALLS: dict[str, tuple[Callable[[Client, pps.Pipeline], Any], str]] = {
    "StartPipeline": (lambda c, p: c.pps.start_pipeline(pipeline=p), "REPO_WRITE"),
    "StopPipeline": (lambda c, p: c.pps.stop_pipeline(pipeline=p), "REPO_WRITE"),
    "DeletePipeline": (lambda c, p: c.pps.delete_pipeline(pipeline=p), "REPO_DELETE"),
    "ListJob": (lambda c, p: list(c.pps.list_job(pipeline=p)), "PIPELINE_LIST_JOB"),
    "SubscribeJob": (lambda c, p: next(c.pps.subscribe_job(pipeline=p)), "PIPELINE_LIST_JOB"),
    "GetLogs": (lambda c, p: list(c.pps.get_logs(pipeline=p)), "REPO_READ"),
}


@pytest.mark.parametrize(("call", "permission"), PIPELINE_CALLS.values(), ids=PIPELINE_CALLS)
def test_without_a_role_on_the_output(
    auth_lab: AuthLab,
    source: Data,
    pipeline: pps.Pipeline,
    call: Callable[[Client, pps.Pipeline], Any],
    permission: str,
    refused: Refused,
) -> None:
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(source))
    text = denial(person, permission, f"REPO {auth_lab.project}/{pipeline.name}")
    with refused(StatusCode.PERMISSION_DENIED, text):
        call(person.client, pipeline)


def test_an_update_takes_the_right_to_write_the_output(
    auth_lab: AuthLab, source: Data, pipeline: pps.Pipeline, refused: Refused
) -> None:
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(source))
    with refused(StatusCode.PERMISSION_DENIED, "REPO_WRITE"):
        person.client.pps.create_pipeline_v2(
            create_pipeline_request_json=spec(source, pipeline.name), update=True
        )


def test_pipelines_of_a_project_do_not_show_to_strangers(
    auth_lab: AuthLab, owner: Person, pipeline: pps.Pipeline
) -> None:
    projects = [pfs.Project(name=auth_lab.project)]
    assert len(list(owner.client.pps.list_pipeline(projects=projects))) == 1
    assert list(auth_lab.person().client.pps.list_pipeline(projects=projects)) == []


def test_a_killed_job_tells_who_updated_its_pipeline(auth_lab: AuthLab, owner: Person, source: Data) -> None:
    name = fresh("pipe")
    slow = json.loads(spec(source, name)) | {"transform": {"cmd": ["sleep", "1000"]}}
    for update in (False, True):
        owner.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(slow), update=update)
    pipeline = pps.Pipeline(name=name, project=pfs.Project(name=auth_lab.project))
    jobs = list(owner.client.pps.list_job(pipeline=pipeline, history=-1))
    assert jobs[-1].reason == (f"all jobs killed because pipeline was updated for user {owner.principal}")


def test_user_code_has_a_token(auth_lab: AuthLab, owner: Person, source: Data) -> None:
    name = fresh("pipe")
    code = {"cmd": ["sh"], "stdin": ['[ -n "$PACH_TOKEN" ]']}
    owner.client.pps.create_pipeline_v2(
        create_pipeline_request_json=json.dumps(json.loads(spec(source, name)) | {"transform": code})
    )
    pipeline = pps.Pipeline(name=name, project=pfs.Project(name=auth_lab.project))
    newest = next(owner.client.pps.list_job(pipeline=pipeline))
    job = owner.client.pps.inspect_job(job=newest.job, wait=True)
    assert (pps.JobState(job.state).name, job.reason) == ("JOB_SUCCESS", "")
