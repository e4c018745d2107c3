# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults by method: each kind, which calls it meets, how often; and orders that make no sense."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs

from pachd_embedded.faults import Fault, Faults
from pachd_embedded.rpc import methods_of

from .conftest import Control


def failure(call: Any, *args: Any, **options: Any) -> tuple[str, str] | None:
    """Code and text of a call that fails, None of one that does not."""
    try:
        call(*args, **options)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return None


def test_a_fault_is_the_answer_and_the_call_is_not_carried_out(control: Control) -> None:
    control.post("/faults", method="CreateRepo", code="PERMISSION_DENIED", text="not today")
    assert failure(control.repo, "data") == ("PERMISSION_DENIED", "not today")
    assert list(control.client.pfs.list_repo()) == []


@pytest.mark.parametrize("method", ["CreateRepo", "pfs_v2.API/CreateRepo", "Create*", "pfs_v2.API/*", "*"])
def test_methods_are_named_with_or_without_their_service_and_by_pattern(
    control: Control, method: str
) -> None:
    control.post("/faults", method=method, code="ABORTED")
    assert failure(control.repo, "data") is not None


@pytest.mark.parametrize("method", ["CreateBranch", "pps_v2.API/*", "CreateProject", "*Repos"])
def test_other_methods_do_not_meet_a_fault(control: Control, method: str) -> None:
    control.post("/faults", method=method, code="ABORTED")
    assert failure(control.repo, "data") is None


def test_a_fault_ends_after_so_many_times(control: Control) -> None:
    control.post("/faults", method="CreateRepo", code="UNAVAILABLE", times=2)
    create = control.client.pfs.create_repo
    answers = [failure(create, repo=pfs.Repo(name="data", type="user")) for _ in range(3)]
    assert [answer and answer[0] for answer in answers] == ["UNAVAILABLE", "UNAVAILABLE", None]
    assert control.get("/faults") == {"faults": []}


def test_the_first_fault_that_was_ordered_comes_first(control: Control) -> None:
    control.post("/faults", method="CreateRepo", code="ABORTED", times=1)
    control.post("/faults", method="*", code="INTERNAL")
    assert failure(control.repo, "data") == ("ABORTED", Fault("").text)
    assert failure(control.repo, "data") == ("INTERNAL", Fault("").text)


def test_a_delay_alone_delays(control: Control) -> None:
    control.post("/faults", method="CreateRepo", delay=0.3)
    start = time.monotonic()
    assert failure(control.repo, "data") is None
    assert time.monotonic() - start >= 0.3


def test_a_delayed_call_is_given_up_with_its_client(control: Control) -> None:
    control.post("/faults", method="CreateRepo", delay=3000, code="ABORTED")
    request = bytes(pfs.CreateRepoRequest(repo=pfs.Repo(name="data", type="user")))
    with grpc.insecure_channel(control.server.address) as channel:
        call = channel.unary_unary("/pfs_v2.API/CreateRepo")
        assert failure(call, request, timeout=0.2) == ("DEADLINE_EXCEEDED", "Deadline Exceeded")
    control.server.calls.drain(20)
    assert [line["code"] for line in control.server.journal.since(0)] == ["ABORTED"]


def test_a_stream_of_answers_is_cut(control: Control) -> None:
    for name in ("a", "b", "c"):
        control.repo(name)
    control.post("/faults", method="ListRepo", after_messages=2)
    stream = control.client.pfs.list_repo()
    assert [next(stream).repo.name for _ in range(2)] == ["a", "b"]
    assert failure(next, stream) == ("UNAVAILABLE", Fault("").text)


def test_a_file_is_cut_before_its_first_byte(control: Control) -> None:
    data = control.repo("data", file=b"content")
    control.post("/faults", method="GetFile", after_messages=0, code="DATA_LOSS")
    assert failure(data.read, "/file") == ("DATA_LOSS", Fault("").text)


def test_a_half_written_stream_leaves_nothing(control: Control) -> None:
    data = control.repo("data", before=b"1")
    control.post("/faults", method="ModifyFile", after_bytes=1000, times=1)
    files = {f"/{number}": b"." * 400 for number in range(10)}
    assert failure(data.put, files) == ("UNAVAILABLE", Fault("").text)
    assert data.files() == {"/before": b"1"}
    data.put(files)
    assert len(data.files()) == 11


def test_a_stream_that_ends_before_its_fault_is_whole(control: Control) -> None:
    data = control.repo("data")
    control.post("/faults", method="ModifyFile", after_bytes=10_000)
    data.put({"/file": b"." * 400})
    assert data.files() == {"/file": b"." * 400}


def test_a_lost_answer_is_of_a_call_that_was_carried_out(control: Control) -> None:
    control.post("/faults", method="CreateRepo", lose_answer=True, times=1)
    assert failure(control.repo, "data") == ("UNAVAILABLE", Fault("").text)
    assert [info.repo.name for info in control.client.pfs.list_repo()] == ["data"]


def test_a_pattern_with_a_fault_of_streams_leaves_single_messages_alone(control: Control) -> None:
    control.post("/faults", method="*", after_messages=0)
    control.repo("data")
    assert failure(list, control.client.pfs.list_repo()) == ("UNAVAILABLE", Fault("").text)


def test_the_list_tells_what_was_ordered_and_how_often_it_happened(control: Control) -> None:
    ordered = control.post("/faults", method="CreateRepo", code="ABORTED", times=5)
    assert ordered == {"method": "CreateRepo", "code": "ABORTED", "times": 5, "id": 1, "hits": 0}
    failure(control.repo, "data")
    assert control.get("/faults") == {"faults": [{**ordered, "times": 4, "hits": 1}]}


def test_one_fault_is_taken_back_or_all(control: Control) -> None:
    ids = [control.post("/faults", method="*", code="ABORTED")["id"] for _ in range(3)]
    assert control.ask("DELETE", f"/faults?id={ids[1]}") == (200, {"removed": 1})
    assert [fault["id"] for fault in control.get("/faults")["faults"]] == [ids[0], ids[2]]
    assert control.ask("DELETE", "/faults") == (200, {"removed": 2})
    assert control.ask("DELETE", "/faults?id=99") == (404, {"error": "id: there is no fault 99"})
    assert failure(control.repo, "data") is None


def test_probability_is_how_many_of_the_calls_meet_the_fault() -> None:
    faults = Faults()
    faults.add({"method": "*", "code": "ABORTED", "probability": 0.3})
    method = methods_of(pfs)[0]
    hits = sum(faults.draw(method).code == "ABORTED" for _ in range(2000))
    # Seven standard deviations around 600.
    assert 450 < hits < 750


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({}, "method: say which calls the fault is for"),
        (
            {"method": "CreateRepoo"},
            "method: 'CreateRepoo' is no method of the API",
        ),
        ({"method": 1}, "method: 1 is not the name of a method"),
        ({"method": "*", "codes": "ABORTED"}, "codes: no such field; there are method, code, text, delay"),
        ({"method": "*", "code": "BROKEN"}, "code: 'BROKEN' is not a gRPC status code such as UNAVAILABLE"),
        ({"method": "*", "code": "OK"}, "code: 'OK' is not a gRPC status code such as UNAVAILABLE"),
        ({"method": "*", "delay": -1}, "delay: -1 is not seconds, 0 to 3600"),
        ({"method": "*", "delay": "1"}, "delay: '1' is not seconds, 0 to 3600"),
        ({"method": "*", "times": 0}, "times: 0 is not a number, 1 or more"),
        ({"method": "*", "times": True}, "times: True is not a number, 1 or more"),
        ({"method": "*", "probability": 0}, "probability: 0 is not a number above 0, at most 1"),
        ({"method": "*", "probability": 1.1}, "probability: 1.1 is not a number above 0, at most 1"),
        ({"method": "*", "after_bytes": -1}, "after_bytes: -1 is not a number, 0 or more"),
        ({"method": "*", "lose_answer": 1}, "lose_answer: 1 is not true or false"),
        ({"method": "CreateRepo", "after_messages": 1}, "after_messages: CreateRepo has one message there"),
        ({"method": "ListRepo", "after_bytes": 1}, "after_bytes: ListRepo has one message there"),
    ],
)
def test_orders_that_make_no_sense(shared: Control, order: dict[str, Any], text: str) -> None:
    status, error = shared.refused("/faults", **order)
    assert status == 400
    assert error.startswith(text)
    assert shared.get("/faults") == {"faults": []}
