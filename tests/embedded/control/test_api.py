# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API: who may ask, what is answered to nonsense, status, journal, reset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs

from pachd_embedded.server import Server, Settings, StartError
from tests.contract.lab import poll

from .conftest import JSON, Control

# Seconds for a call that is to end.
SOON = 30


# Who may ask


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "example.org:1"])
def test_only_loopback_is_listened_on_also_with_insecure(tmp_path: Path, address: str) -> None:
    settings = Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, insecure=True, control=address)
    with pytest.raises(StartError) as refusal:
        Server(settings)
    text = "only loopback, for whoever reaches it may delete everything"
    assert str(refusal.value) == f"--control {address}: {text}"
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_refused_and_the_data_is_free_again(tmp_path: Path, control: Control) -> None:
    taken = control.server.control
    with pytest.raises(StartError, match=f"^--control {taken}: cannot listen there: Address already in use$"):
        Server(Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, control=taken))
    Server(Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True)).stop(0)


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    server = Server(Settings(tmp_path, "127.0.0.1:0", private_pfs=True))
    assert server.control == ""
    server.stop(0)


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        (
            {**JSON, "Host": "evil.example"},
            403,
            "Host: evil.example is not this server's name; use localhost",
        ),
        ({**JSON, "Host": "evil.example:80"}, 403, "Host: evil.example is not this server's name"),
        ({**JSON, "Origin": "http://localhost"}, 403, "Origin: the control API is not for browsers"),
        ({**JSON, "Sec-Fetch-Site": "none"}, 403, "Sec-Fetch-Site: the control API is not for browsers"),
        ({"Content-Type": "text/plain"}, 415, "Content-Type: send application/json"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "Content-Type: send application/json"),
        ({}, 415, "Content-Type: send application/json"),
    ],
)
def test_what_a_browser_could_send_is_refused(
    shared: Control, headers: dict[str, str], status: int, text: str
) -> None:
    cluster = shared.client.admin.inspect_cluster()
    answered, answer = shared.ask("POST", "/reset", b"{}", headers)
    assert (answered, answer["error"][: len(text)]) == (status, text)
    # A reset would have made another one of it.
    assert shared.client.admin.inspect_cluster() == cluster


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "LOCALHOST:1", "[::1]:30651"])
def test_names_of_this_machine_are_taken(shared: Control, name: str) -> None:
    assert shared.ask("GET", "/status", None, {"Host": name})[0] == 200


# Nonsense


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/", None, 404, "/ is none of /faults, /fsck, /gc, /journal, /reset, /seed, /status"),
        ("GET", "/reset", None, 405, "/reset takes POST, not GET"),
        ("DELETE", "/status", None, 405, "/status takes GET, not DELETE"),
        ("POST", "/reset", b"{", 400, "the body is not JSON"),
        ("POST", "/reset", b"\xff\xfe", 400, "the body is not JSON"),
        ("POST", "/reset", b"[]", 400, "the body is no JSON object"),
        ("POST", "/reset", b'{"hard": true}', 400, "hard: no such field; there are none"),
        ("POST", "/fsck", b'{"fix": "yes"}', 400, "fix: 'yes' is not true or false"),
        ("POST", "/seed", b"{}", 400, "directory: '' is no absolute path on the server's machine"),
        ("POST", "/seed", b'{"directory": "seed"}', 400, "directory: 'seed' is no absolute path"),
        ("POST", "/seed", b'{"directory": 1}', 400, "directory: 1 is not a text"),
        ("GET", "/journal?since=x", None, 400, "since: 'x' is no number"),
        ("GET", "/journal?until=1", None, 400, "until: no such field; there are since"),
        ("DELETE", "/faults?id=x", None, 400, "id: 'x' is no number"),
        ("POST", "/reset", b" " * (16 << 20), 413, "the body is larger than 1048576 bytes"),
    ],
)
def test_nonsense_is_answered_in_one_line(
    shared: Control, method: str, path: str, body: bytes | None, status: int, text: str
) -> None:
    answered, answer = shared.ask(method, path, body)
    assert (answered, answer["error"][: len(text)]) == (status, text)
    assert "\n" not in answer["error"]


# Status and journal


def test_the_status_counts_what_there_is(control: Control) -> None:
    data = control.repo("data", file=b"." * 1000)
    data.put({"/large": b"+" * 200_000})
    data.start()
    status = control.get("/status")
    assert {name: status[name] for name in ("state", "repos", "projects", "commits", "open_commits")} == {
        "state": "running",
        "repos": 1,
        "projects": 1,
        "commits": 3,
        "open_commits": 1,
    }
    assert status["disk"]["content_bytes"] == 201_000
    assert status["gpus"] == {"in_use": 0, "total": 2}
    assert (status["address"], status["control"]) == (control.server.address, control.server.control)


def test_the_status_counts_gpus_while_a_job_has_them(control: Control, tmp_path: Path) -> None:
    control.repo("data", file=b"1")
    go_on = tmp_path / "go-on"
    script = f"until test -e {go_on}; do sleep 0.02; done"
    spec = {
        "pipeline": {"name": "gpu"},
        "transform": {"cmd": ["sh"], "stdin": [script]},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
        "resource_limits": {"gpu": {"type": "nvidia.com/gpu", "number": 2}},
    }
    control.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    poll(lambda: control.get("/status")["jobs"] == {"JOB_RUNNING": 1})
    status = control.get("/status")
    go_on.touch()
    assert status["gpus"] == {"in_use": 2, "total": 2}
    assert status["pipelines"] == {"PIPELINE_RUNNING": 1}
    control.client.pfs.wait_commit(pfs.Commit.from_uri("gpu@master"))
    # The job's end is told before its devices are back.
    control.post("/reset")
    assert control.get("/status")["gpus"]["in_use"] == 0


def test_the_journal_tells_calls_since_a_number(control: Control) -> None:
    control.repo("a")
    first = control.get("/journal")["calls"]
    assert [(call["method"], call["mutating"], call["code"]) for call in first] == [
        ("/pfs_v2.API/CreateRepo", True, "OK")
    ]
    list(control.client.pfs.list_repo())
    later = control.get(f"/journal?since={first[-1]['seq']}")["calls"]
    assert [call["method"] for call in later] == ["/pfs_v2.API/ListRepo"]
    assert all(call["ms"] >= 0 for call in later)


def test_the_journal_holds_no_content(control: Control) -> None:
    control.repo("data", file=b"a-secret-of-mine")
    assert "a-secret" not in json.dumps(control.get("/journal"))


# Reset


def test_a_reset_leaves_an_empty_server_at_the_same_address(control: Control) -> None:
    control.repo("data", file=b"." * 300_000)
    control.client.pfs.create_project(project=pfs.Project(name="other"))
    control.post("/faults", method="*", code="ABORTED")
    assert control.post("/reset") == {"reset": True}
    assert [info.project.name for info in control.client.pfs.list_project()] == ["default"]
    assert list(control.client.pfs.list_repo()) == []
    status = control.get("/status")
    assert (status["commits"], status["disk"]["content_bytes"]) == (0, 0)
    control.repo("data", file=b"1")


def test_a_reset_stops_jobs_and_ends_calls_that_wait(
    control: Control, background: Callable[..., Any]
) -> None:
    control.repo("data", file=b"1")
    spec = {
        "pipeline": {"name": "slow"},
        "transform": {"cmd": ["sleep", "3000"]},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
    }
    control.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    poll(lambda: control.get("/status")["jobs"] == {"JOB_RUNNING": 1})
    waiting = background(control.client.pfs.wait_commit, pfs.Commit.from_uri("slow@master"))
    control.post("/reset")
    with pytest.raises((grpc.RpcError, ConnectionError)):
        waiting.result(SOON)
    assert list(control.client.pps.list_pipeline()) == []
    assert list(control.client.pps.list_job()) == []


def test_a_reset_of_one_server_leaves_another_alone(start: Callable[[], Control]) -> None:
    one, other = start(), start()
    other.repo("data")
    one.post("/reset")
    assert [info.repo.name for info in other.client.pfs.list_repo()] == ["data"]
