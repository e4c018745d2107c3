# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines, retries, tokens and errors, against a gRPC server that answers as told."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, version

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _sdk
from ansible_collections.gpulab.pachyderm.plugins.module_utils._connection import Pachd
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import (
    LibraryMissingError,
    PachdError,
    PachydermError,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._job_wait import wait_for_job
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import ConnectionOptions

Answer = Callable[[grpc.ServicerContext], Any]
ROLLBACK = "commit unexpectedly resulted in rollback"


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers each call of a method by the next of its `answers`, and after the last by an empty message."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.calls: list[str] = []
        self.tokens: list[str] = []
        self.stop = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        name = details.method.rsplit("/", 1)[1]
        self.tokens += [value for key, value in details.invocation_metadata if key == "authn-token"]

        def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append(name)
            left = self.answers.get(name, [])
            made = left.pop(0)(context) if left else b""
            return bytes(made or b"")

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield answer(request, context)

        if name.startswith("List"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer)


def fails(code: grpc.StatusCode, text: str) -> Answer:
    return lambda context: context.abort(code, text)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    running = grpc.server(ThreadPoolExecutor(4))
    running.add_generic_rpc_handlers((made,))
    made.port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield made
    made.stop.set()
    running.stop(0).wait()


def options(port: int, timeout: float = 10.0, token: str | None = None) -> ConnectionOptions:
    given = {"pachd_address": f"grpc://127.0.0.1:{port}", "auth_token": token, "timeout": timeout}
    return ConnectionOptions.parse(given)


def test_token_is_sent_with_each_call(server: Server) -> None:
    with Pachd(options(server.port, token="hush")) as pachd:
        list(pachd.pfs.list_project())
    assert server.calls == ["GetVersion", "ListProject"]
    assert server.tokens == ["hush", "hush"]


def test_rollback_is_tried_again_also_for_a_write(server: Server) -> None:
    server.answers["StartCommit"] = [fails(grpc.StatusCode.UNKNOWN, f"start: {ROLLBACK}")] * 2
    with Pachd(options(server.port)) as pachd:
        pachd.pfs.start_commit(branch=pfs.Branch(name="b"))
    assert server.calls.count("StartCommit") == 3


def test_rollback_is_not_tried_for_ever(server: Server) -> None:
    server.answers["StartCommit"] = [fails(grpc.StatusCode.UNKNOWN, ROLLBACK)] * 20
    with Pachd(options(server.port)) as pachd, pytest.raises(PachdError, match=ROLLBACK):
        pachd.pfs.start_commit(branch=pfs.Branch(name="b"))
    assert server.calls.count("StartCommit") == 4


@pytest.mark.parametrize(("method", "times"), [("InspectRepo", 2), ("ListRepo", 2), ("CreateRepo", 1)])
def test_unavailable_is_tried_again_for_reads_only(server: Server, method: str, times: int) -> None:
    server.answers[method] = [fails(grpc.StatusCode.UNAVAILABLE, "going away")]
    with Pachd(options(server.port)) as pachd:
        calls: dict[str, Callable[[], Any]] = {
            "InspectRepo": lambda: pachd.pfs.inspect_repo(repo=pfs.Repo(name="r")),
            "ListRepo": lambda: list(pachd.pfs.list_repo()),
            "CreateRepo": lambda: pachd.pfs.create_repo(repo=pfs.Repo(name="r")),
        }
        if times == 1:
            with pytest.raises(PachdError, match="went away: going away"):
                calls[method]()
        else:
            calls[method]()
    assert server.calls.count(method) == times


def test_what_a_stopping_pachd_cancels_is_tried_again(server: Server) -> None:
    server.answers["InspectRepo"] = [fails(grpc.StatusCode.CANCELLED, "CANCELLED")]
    server.answers["CreateRepo"] = [fails(grpc.StatusCode.CANCELLED, "CANCELLED")]
    with Pachd(options(server.port)) as pachd:
        pachd.pfs.inspect_repo(repo=pfs.Repo(name="r"))
        with pytest.raises(PachdError, match="went away: CANCELLED"):
            pachd.pfs.create_repo(repo=pfs.Repo(name="r"))


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, "repo default/r\n  not found", "repo default/r not found"),
        (grpc.StatusCode.UNAUTHENTICATED, "no authentication token", "wants a token, since authentication"),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", "does not know /pfs_v2.API/InspectRepo: Method"),
        (
            grpc.StatusCode.UNIMPLEMENTED,
            "unknown service pfs_v2.API",
            "does not know /pfs_v2.API/InspectRepo",
        ),
        (grpc.StatusCode.UNIMPLEMENTED, "", "does not know /pfs_v2.API/InspectRepo"),
    ],
)
def test_errors_are_one_line(server: Server, code: grpc.StatusCode, text: str, message: str) -> None:
    server.answers["InspectRepo"] = [fails(code, text)]
    with Pachd(options(server.port)) as pachd, pytest.raises(PachdError) as error:
        pachd.pfs.inspect_repo(repo=pfs.Repo(name="r"))
    assert error.value.code == code.name
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_server_says_that_it_does_not_do_is_told_as_it_is(server: Server) -> None:
    server.answers["InspectRepo"] = [fails(grpc.StatusCode.UNIMPLEMENTED, "this pachd runs no spouts")]
    with Pachd(options(server.port)) as pachd, pytest.raises(PachdError) as error:
        pachd.pfs.inspect_repo(repo=pfs.Repo(name="r"))
    assert str(error.value) == "this pachd runs no spouts"


def test_call_that_is_not_answered_ends(server: Server) -> None:
    server.answers["CreateRepo"] = [lambda _context: server.stop.wait(30)]
    with Pachd(options(server.port, timeout=0.5)) as pachd, pytest.raises(PachdError) as error:
        pachd.pfs.create_repo(repo=pfs.Repo(name="r"))
    assert "did not answer /pfs_v2.API/CreateRepo in time" in str(error.value)


def test_wait_for_a_job_ends_when_nobody_answers(server: Server) -> None:
    server.answers["ListJob"] = [lambda _context: server.stop.wait(30)] * 9
    start = time.monotonic()
    with Pachd(options(server.port, timeout=0.5)) as pachd, pytest.raises(PachydermError) as error:
        wait_for_job(pachd, "default", "p", time.monotonic() + 60)
    assert time.monotonic() - start < 10
    assert "pipeline default/p: waiting for a job: no answer within timeout, 0.5 s" in str(error.value)


def test_server_that_comes_up_late_is_waited_for(server: Server) -> None:
    server.answers["GetVersion"] = [fails(grpc.StatusCode.UNAVAILABLE, "starting")] * 2
    with Pachd(options(server.port)):
        pass
    assert server.calls == ["GetVersion"] * 3


def test_nobody_there() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(PachydermError) as error, Pachd(options(port, timeout=1.0)):
            pass
    assert time.monotonic() - start < 3
    assert f"cannot reach pachd at grpc://127.0.0.1:{port} within 1 s: " in str(error.value)
    assert "Connection refused" in str(error.value)


def test_somebody_there_who_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(PachydermError) as error, Pachd(options(port, timeout=1.0)):
            pass
    assert time.monotonic() - start < 3
    assert f"cannot reach pachd at grpc://127.0.0.1:{port} within 1 s: " in str(error.value)


def test_answer_that_is_an_error_is_told_as_it_is(server: Server) -> None:
    server.answers["GetVersion"] = [fails(grpc.StatusCode.PERMISSION_DENIED, "go away")]
    with pytest.raises(PachdError, match="go away"), Pachd(options(server.port)):
        pass
    assert server.calls == ["GetVersion"]


def test_sdk_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pachyderm_sdk", None)
    monkeypatch.setitem(sys.modules, "pachyderm_sdk.api", None)
    _sdk.sdk.cache_clear()
    with pytest.raises(LibraryMissingError) as error:
        Pachd(options(1))
    assert error.value.library == "pachyderm-sdk"
    _sdk.sdk.cache_clear()


def test_messages_of_the_sdk_are_read(server: Server) -> None:
    server.answers["GetVersion"] = [lambda _context: bytes(version.Version(major=2))]
    server.answers["ListRepo"] = [lambda _context: bytes(pfs.RepoInfo(repo=pfs.Repo(name="data")))]
    with Pachd(options(server.port)) as pachd:
        assert [info.repo.name for info in pachd.pfs.list_repo()] == ["data"]
