# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines in transactions: several with their repos at once, in the order in which they read each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps, transaction

from tests.contract.lab import Lab, state_of

Refused = Callable[..., Any]

ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNKNOWN = grpc.StatusCode.UNKNOWN

PASS_ON = "cp /pfs/in/* /pfs/out/"


class Within:
    """A lab whose calls go into a transaction that is finished by `finish`."""

    def __init__(self, client: Client, lab: Lab) -> None:
        self.client = client
        self.transaction = client.transaction.start_transaction()
        self.lab = Lab(client, lab.project, lab.extra)

    def repo(self) -> str:
        name = self.lab.name("repo")
        self.client.pfs.create_repo(repo=pfs.Repo.from_uri(self.lab.uri(name)))
        return name

    def pipeline(self, source: str, *script: str, **fields: Any) -> str:
        return self.lab.pipeline(reading(source), *(script or (PASS_ON,)), **fields)

    def finish(self) -> str:
        """The id of the transaction."""
        return str(self.client.transaction.finish_transaction(transaction=self.transaction).transaction.id)

    def requests(self) -> list[Any]:
        return list(self.client.transaction.inspect_transaction(transaction=self.transaction).requests)


def reading(repo: str) -> dict[str, Any]:
    return {"pfs": {"name": "in", "repo": repo, "glob": "/*"}}


@pytest.fixture
def within(connect: Callable[..., Client], client: Client, lab: Lab) -> Iterator[Within]:
    inside = Within(connect(), lab)
    yield inside
    if client.transaction.transaction_exists(inside.transaction):
        client.transaction.delete_transaction(transaction=inside.transaction)


def head(lab: Lab, repo: str, type_: str = "user") -> str:
    branch = pfs.Branch.from_uri(f"{lab.uri(repo)}@master")
    branch.repo.type = type_
    return str(lab.pfs.inspect_branch(branch=branch).head.id)


def input_commit(lab: Lab, pipeline: str, job_id: str) -> str:
    """The commit that a job reads."""
    job = pps.Job(pipeline=lab.key(pipeline), id=job_id)
    return str(lab.pps.inspect_job(job=job, details=True).details.input.pfs.commit)


def names(lab: Lab) -> list[str]:
    project = pfs.Project(name=lab.project)
    return [info.pipeline.name for info in lab.pps.list_pipeline(projects=[project])]


# Creation


def test_a_chain_and_its_repo_at_once(lab: Lab, within: Within) -> None:
    repo = within.repo()
    upper = within.pipeline(repo)
    lower = within.pipeline(upper)
    within.finish()
    assert [lab.counts(pipeline) for pipeline in (upper, lower)] == ["SUCCESS t0", "SUCCESS t0"]


def test_all_their_commits_have_the_id_of_the_transaction(lab: Lab, within: Within) -> None:
    upper = within.pipeline(within.repo())
    lower = within.pipeline(upper)
    made = within.finish()
    found = {head(lab, name, type_) for name in (upper, lower) for type_ in ("user", "meta", "spec")}
    assert found == {made}


def test_their_jobs_are_one_job_set(lab: Lab, within: Within) -> None:
    upper = within.pipeline(within.repo())
    lower = within.pipeline(upper)
    made = within.finish()
    jobs = lab.pps.inspect_job_set(job_set=pps.JobSet(id=made), wait=True)
    assert {(info.job.pipeline.name, state_of(info)) for info in jobs} == {
        (upper, "SUCCESS"),
        (lower, "SUCCESS"),
    }


def test_the_lower_one_reads_what_the_upper_one_makes(lab: Lab, within: Within) -> None:
    upper = within.pipeline(lab.repo(a="1"))
    lower = within.pipeline(upper)
    within.finish()
    lab.job(lower)
    assert lab.files(lower) == {"/a": "1"}


def test_a_commit_before_the_pipeline_is_what_its_first_job_reads(lab: Lab, within: Within) -> None:
    repo = lab.repo(a="1")
    commit = within.client.pfs.start_commit(branch=pfs.Branch.from_uri(f"{lab.uri(repo)}@master"))
    within.client.pfs.finish_commit(commit=commit)
    pipeline = within.pipeline(repo)
    made = within.finish()
    assert input_commit(lab, pipeline, made) == made


def test_more_data_goes_through_all_of_them(lab: Lab, within: Within) -> None:
    repo = within.repo()
    upper = within.pipeline(repo)
    lower = within.pipeline(upper)
    within.finish()
    commit = lab.put(repo, {"a": "1"})
    assert lab.counts(lower, commit) == "SUCCESS p1 t1"
    assert lab.files(lower) == {"/a": "1"}


def test_versions_and_specs_are_as_without_a_transaction(lab: Lab, within: Within) -> None:
    spec = lab.spec("plain", reading(lab.repo()), PASS_ON)
    text = json.dumps(spec, indent=1)
    within.lab.create(text)
    within.finish()
    info = lab.pipeline_info("plain")
    assert (info.version, info.user_spec_json) == (1, text)
    assert json.loads(info.effective_spec_json)["datumTries"] == "3"


def test_the_answer_is_that_of_a_dry_run(lab: Lab, within: Within) -> None:
    spec = lab.spec("plain", reading(lab.repo()), PASS_ON)
    assert within.lab.create(spec) == lab.create(spec, dry_run=True)


def test_nothing_is_there_before_it_is_finished(lab: Lab, within: Within) -> None:
    pipeline = within.pipeline(lab.repo(a="1"))
    assert not lab.pps.pipeline_exists(lab.key(pipeline))
    assert not lab.pfs.repo_exists(pfs.Repo.from_uri(lab.uri(pipeline)))


def test_nothing_is_there_when_it_is_deleted(lab: Lab, within: Within) -> None:
    pipeline = within.pipeline(lab.repo(a="1"))
    lab.client.transaction.delete_transaction(transaction=within.transaction)
    assert not lab.pps.pipeline_exists(lab.key(pipeline))


def test_the_requests_show_the_effective_spec(lab: Lab, within: Within) -> None:
    pipeline = within.pipeline(lab.repo())
    [request] = within.requests()
    shown = request.create_pipeline_v2
    assert (shown.create_pipeline_request.pipeline.name, shown.create_pipeline_request.datum_tries) == (
        pipeline,
        3,
    )
    assert json.loads(shown.user_json)["pipeline"]["name"] == pipeline


def test_a_dry_run_adds_nothing(lab: Lab, within: Within) -> None:
    within.lab.create(lab.spec("dry", reading(lab.repo()), PASS_ON), dry_run=True)
    assert within.requests() == []


def test_the_older_call(lab: Lab, within: Within) -> None:
    repo = lab.repo(a="1")
    within.client.pps.create_pipeline(
        pipeline=lab.key("old"),
        input=pps.Input(pfs=pps.PfsInput(name="in", repo=repo, glob="/*")),
        transform=pps.Transform(cmd=["bash"], stdin=[PASS_ON]),
        resource_requests=pps.ResourceSpec(cpu=0.01, memory="64Mi"),
        sidecar_resource_requests=pps.ResourceSpec(cpu=0.01, memory="64Mi"),
    )
    assert not lab.pps.pipeline_exists(lab.key("old"))
    within.finish()
    assert lab.counts("old") == "SUCCESS p1 t1"


def test_readers_see_all_of_them_or_none(lab: Lab, within: Within) -> None:
    """Somebody lists them all the time while they are made."""
    repo = lab.repo()
    for _ in range(4):
        within.pipeline(repo)
    seen, stop = set[int](), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(len(names(lab)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    within.finish()
    stop.set()
    watcher.join()
    assert len(names(lab)) == 4
    assert seen <= {0, 4}


# Update


def test_an_update(lab: Lab, within: Within) -> None:
    pipeline = lab.pipeline(reading(lab.repo(a="1")), PASS_ON)
    lab.job(pipeline)
    within.pipeline(lab.repo(b="2"), name=pipeline, update=True)
    assert lab.pipeline_info(pipeline).version == 1
    made = within.finish()
    assert lab.pipeline_info(pipeline).version == 2
    assert lab.counts(pipeline, made) == "SUCCESS p1 t1"


def test_updates_of_a_chain_are_one_job_set(lab: Lab, within: Within) -> None:
    repo = lab.repo(a="1")
    upper = lab.pipeline(reading(repo), PASS_ON)
    lower = lab.pipeline(reading(upper), PASS_ON)
    lab.job(lower)
    within.pipeline(repo, name=upper, update=True, reprocess=True)
    within.pipeline(upper, name=lower, update=True, reprocess=True)
    made = within.finish()
    assert [lab.counts(name, made) for name in (upper, lower)] == ["SUCCESS p1 t1"] * 2
    assert input_commit(lab, lower, made) == made


def test_an_update_of_what_is_missing_creates(lab: Lab, within: Within) -> None:
    pipeline = within.pipeline(lab.repo(), update=True)
    within.finish()
    assert lab.pipeline_info(pipeline).version == 1


def test_two_versions_at_once_are_refused(lab: Lab, within: Within, refused: Refused) -> None:
    repo = lab.repo()
    pipeline = within.pipeline(repo)
    with refused(ALREADY_EXISTS, "request 2 of 2: .*already has a commit in this transaction"):
        within.pipeline(repo, name=pipeline, update=True)


# Refusals


def test_the_wrong_order(lab: Lab, within: Within, refused: Refused) -> None:
    with refused(NOT_FOUND, f"error running request 1 of 1: repo {lab.project}/upper not found"):
        within.pipeline("upper")


def test_one_that_is_there(lab: Lab, within: Within, refused: Refused) -> None:
    repo = lab.repo()
    pipeline = lab.pipeline(reading(repo), PASS_ON)
    with refused(ALREADY_EXISTS, f'request 1 of 1: pipeline "{lab.project}/{pipeline}" already exists'):
        within.pipeline(repo, name=pipeline)


def test_twice_in_one(lab: Lab, within: Within, refused: Refused) -> None:
    repo = lab.repo()
    pipeline = within.pipeline(repo)
    with refused(ALREADY_EXISTS, f'request 2 of 2: pipeline "{lab.project}/{pipeline}" already exists'):
        within.pipeline(repo, name=pipeline)


def test_a_spec_that_cannot_be_read(within: Within, refused: Refused) -> None:
    with refused(INVALID_ARGUMENT, "could not make effective spec"):
        within.lab.create('{"bogus": 1}')
    assert within.requests() == []


def test_a_spec_that_is_refused(lab: Lab, within: Within, refused: Refused) -> None:
    with refused(UNKNOWN, "input must specify a glob"):
        within.lab.create(lab.spec("bad", {"pfs": {"repo": lab.repo()}}, PASS_ON))
    assert within.requests() == []


def test_one_that_fails_at_the_end_leaves_nothing(lab: Lab, within: Within, refused: Refused) -> None:
    repo = lab.repo(a="1")
    first = within.pipeline(repo)
    second = within.pipeline(repo)
    lab.pipeline(reading(repo), PASS_ON, name=second)
    with refused(ALREADY_EXISTS, "error running request 2 of 2"):
        within.finish()
    assert names(lab) == [second]
    assert not lab.pfs.repo_exists(pfs.Repo.from_uri(lab.uri(first)))


# Batches


def batched(lab: Lab, name: str, repo: str, **flags: bool) -> transaction.TransactionRequest:
    """The request as other clients than the SDK's open transactions send it: the message and no text."""
    small = pps.ResourceSpec(cpu=0.01, memory="64Mi")
    request = pps.CreatePipelineRequest(
        pipeline=lab.key(name),
        input=pps.Input(pfs=pps.PfsInput(name="in", repo=repo, glob="/*")),
        transform=pps.Transform(image="ubuntu:20.04", cmd=["bash"], stdin=[PASS_ON]),
        output_branch="master",
        datum_tries=3,
        reprocess_spec="until_success",
        resource_requests=small,
        sidecar_resource_requests=small,
        **flags,
    )
    wanted = pps.CreatePipelineTransaction(create_pipeline_request=request)
    return transaction.TransactionRequest(create_pipeline_v2=wanted)


def test_a_batch_of_two(lab: Lab) -> None:
    repo = lab.repo(a="1")
    info = lab.client.transaction.batch_transaction(
        requests=[batched(lab, "upper", repo), batched(lab, "lower", "upper")]
    )
    assert lab.counts("lower", info.transaction.id) == "SUCCESS p1 t1"


def test_a_batch_that_updates(lab: Lab) -> None:
    repo = lab.repo(a="1")
    lab.client.transaction.batch_transaction(requests=[batched(lab, "upper", repo)])
    lab.client.transaction.batch_transaction(requests=[batched(lab, "upper", repo, update=True)])
    assert lab.pipeline_info("upper").version == 2


def test_a_batch_that_fails_leaves_nothing(lab: Lab, refused: Refused) -> None:
    requests = [batched(lab, "upper", lab.repo()), batched(lab, "lower", "nope")]
    with refused(NOT_FOUND, "error running request 2 of 2: repo .*nope not found"):
        lab.client.transaction.batch_transaction(requests=requests)
    assert names(lab) == []


def test_a_batch_without_a_spec(lab: Lab, refused: Refused) -> None:
    wanted = pps.CreatePipelineTransaction(user_json="{}")
    with refused(UNKNOWN, "nil CreatePipelineRequest in CreatePipelineTransaction"):
        lab.client.transaction.batch_transaction(
            requests=[transaction.TransactionRequest(create_pipeline_v2=wanted)]
        )


# Jobs


def test_stop_job(lab: Lab, within: Within) -> None:
    pipeline = lab.pipeline(reading(lab.repo(a="1")), "sleep 600")
    job = lab.jobs(pipeline)[0].job
    within.client.pps.stop_job(job=job, reason="enough")
    assert state_of(lab.pps.inspect_job(job=job)) != "KILLED"
    within.finish()
    stopped = lab.job(pipeline)
    assert (state_of(stopped), stopped.reason) == ("KILLED", "enough")
