# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: one event a line, its fields, what is left out of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.log_lines import JsonLines, TextLines
from tests.contract.lab import Data

# Seconds in which a server that is told to end has to.
SOON = 30
SECRET = "a-secret-of-mine"


def record(message: str = "call", **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelname": "INFO", "created": 1_790_000_000.5})
    vars(made).update(fields)
    return made


def failed() -> logging.LogRecord:
    error = ValueError("no\nluck")
    return record("failed", exc_info=(ValueError, error, None))


def test_text_is_a_line_with_the_fields_at_its_end() -> None:
    line = TextLines().format(record(method="/pfs_v2.API/CreateRepo", code="OK", ms=1.2))
    assert line == "2026-09-21T14:13:20.500+00:00 INFO call method=/pfs_v2.API/CreateRepo code=OK ms=1.2"


def test_json_is_an_object_a_line_with_the_same_fields() -> None:
    line = JsonLines().format(record(method="/pfs_v2.API/CreateRepo", code="OK", ms=1.2))
    assert json.loads(line) == {
        "time": "2026-09-21T14:13:20.500+00:00",
        "level": "info",
        "event": "call",
        "method": "/pfs_v2.API/CreateRepo",
        "code": "OK",
        "ms": 1.2,
    }


@pytest.mark.parametrize("form", [TextLines(), JsonLines()], ids=["text", "json"])
def test_an_exception_stays_on_its_line(form: logging.Formatter) -> None:
    line = form.format(failed())
    assert "\n" not in line
    assert "ValueError: no" in line


def lines_of(server: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def test_a_server_tells_its_start_its_calls_and_its_end(serve: Callable[..., Any], connect: Any) -> None:
    server = serve("--log-format", "json")
    client: Client = connect(server.address)
    repo = pfs.Repo(name="data", type="user")
    client.pfs.create_repo(repo=repo)
    client.pfs.inspect_repo(repo=repo)
    with pytest.raises(grpc.RpcError):
        client.pfs.create_repo(repo=repo)
    server.popen.terminate()
    assert server.popen.wait(SOON) == 0
    lines = lines_of(server)
    assert [line["event"] for line in lines] == ["serving", "call", "call", "stopping", "stopped"]
    assert (lines[0]["address"], lines[0]["pid"]) == (server.address, server.popen.pid)
    assert [(line["method"], line["code"]) for line in lines[1:3]] == [
        ("/pfs_v2.API/CreateRepo", "OK"),
        ("/pfs_v2.API/CreateRepo", "ALREADY_EXISTS"),
    ]
    assert all(line["ms"] >= 0 for line in lines[1:3])
    assert lines[3]["signal"] == "SIGTERM"


def test_debug_has_reads_jobs_and_datums_and_no_content_of_any(
    serve: Callable[..., Any], connect: Any
) -> None:
    server = serve("--log-format", "json", "--log-level", "debug")
    client: Client = connect(server.address)
    data = Data(client, "data")
    client.pfs.create_repo(repo=data.repo)
    data.put({"/file": SECRET.encode()})
    spec = {
        "pipeline": {"name": "echo"},
        "transform": {"cmd": ["sh"], "stdin": [f"echo {SECRET} >&2"], "env": {"TOKEN": SECRET}},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
    }
    client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    client.pfs.wait_commit(pfs.Commit.from_uri("echo@master"))
    job = next(iter(client.pps.list_job()))
    datum = next(iter(client.pps.list_datum(job=job.job)))
    server.popen.terminate()
    assert server.popen.wait(SOON) == 0
    lines = lines_of(server)
    assert "/pps_v2.API/ListJob" in {line.get("method") for line in lines}
    assert job.job.id in {line["job"] for line in lines if line["event"] == "job ended"}
    assert datum.datum.id in {line["datum"] for line in lines if line["event"] == "datum done"}
    assert SECRET not in server.log.read_text()
