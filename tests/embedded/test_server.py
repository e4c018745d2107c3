# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as a program: starting, refusing to start, ending, its journal."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, version

from pachd_embedded.rpc import is_mutating, methods_of
from pachd_embedded.server import Server, Settings, StartError
from pachd_embedded.store.db import DataDirError

# Seconds in which a server that is told to end has to.
SOON = 10


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


def settings(directory: Path, address: str = "127.0.0.1:0") -> Settings:
    return Settings(directory, address, private_pfs=True)


# Start


def test_the_ready_line_names_the_address(serve: Callable[..., Any], connect: Any) -> None:
    server = serve()
    line = r"pachd-embedded ready address=127\.0\.0\.1:\d+ version=2\.12\.2 pid=(\d+)\n"
    found = re.fullmatch(line, server.ready)
    assert found
    assert int(found[1]) == server.popen.pid
    assert connect(server.address).get_version() == version.Version(major=2, minor=12, micro=2)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("0.0.0.0:0", "only loopback is served"),
        ("192.0.2.1:0", "only loopback is served"),
        ("[::]:0", "only loopback is served"),
        ("example.org:1", "only loopback is served"),
        ("localhost", "give HOST:PORT"),
        (":30650", "give HOST:PORT"),
        ("127.0.0.1:http", "give HOST:PORT"),
        ("127.0.0.1:65536", "give HOST:PORT"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, address: str, text: str) -> None:
    with pytest.raises(StartError) as refusal:
        Server(settings(tmp_path / "data", address))
    assert str(refusal.value).startswith(f"--address {address}: ")
    assert text in str(refusal.value)
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_refused_and_the_data_is_free_again(tmp_path: Path, taken: str) -> None:
    with pytest.raises(StartError, match=f"--address {taken}: cannot listen there"):
        Server(settings(tmp_path, taken))
    Server(settings(tmp_path)).stop()


def test_a_journal_that_cannot_be_written_is_named_and_the_data_is_free_again(tmp_path: Path) -> None:
    journal = tmp_path / "missing/journal"
    with pytest.raises(StartError, match=f"^--journal {journal}: No such file or directory$"):
        Server(replace(settings(tmp_path), journal=journal))
    Server(settings(tmp_path)).stop()


def test_one_directory_has_one_server(tmp_path: Path) -> None:
    first = Server(settings(tmp_path))
    with pytest.raises(DataDirError, match=f"^{tmp_path} is in use by another embedded pachd$"):
        Server(settings(tmp_path))
    first.stop()
    Server(settings(tmp_path)).stop()


def test_data_of_another_release_is_left_alone(tmp_path: Path) -> None:
    Server(settings(tmp_path)).stop()
    with sqlite3.connect(tmp_path / "pachd.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for _ in range(2):
        with pytest.raises(DataDirError, match="was written by another release"):
            Server(settings(tmp_path))


def test_refusals_are_one_line_and_end_1(serve: Callable[..., Any], tmp_path: Path, taken: str) -> None:
    (tmp_path / "file").touch()
    running = serve()
    assert running.ready
    refusals = [
        (serve(), "is in use by another embedded pachd"),
        (serve(address=taken, directory=tmp_path / "other"), "cannot listen there"),
        (serve(address="0.0.0.0:0", directory=tmp_path / "other"), "only loopback is served"),
        (serve(directory=tmp_path / "file"), "cannot be a data directory: File exists"),
    ]
    for refusal, text in refusals:
        assert (refusal.ready, refusal.popen.wait(SOON)) == ("", 1)
        (line,) = refusal.log.read_text().splitlines()
        assert line.startswith("pachd-embedded: ")
        assert text in line


# What is kept


def test_a_restart_keeps_everything(serve: Callable[..., Any], connect: Any) -> None:
    commit = pfs.Commit.from_uri("data@master")
    server = serve()
    client = connect(server.address)
    cluster = client.admin.inspect_cluster()
    client.pfs.create_repo(repo=commit.branch.repo, description="kept")
    client.pfs.put_file_from_bytes(commit=commit, path="/a", data=b"1" * 200_000)
    before = client.pfs.inspect_commit(commit=commit)
    server.popen.terminate()
    assert server.popen.wait(SOON) == 0
    client = connect(serve().address)
    assert client.pfs.inspect_commit(commit=commit) == before
    assert client.pfs.inspect_repo(repo=commit.branch.repo).description == "kept"
    assert next(client.pfs.get_file(file=pfs.File(commit=commit, path="/a"))).value == b"1" * 200_000
    assert client.admin.inspect_cluster() == cluster


@pytest.mark.parametrize("gpus", ["0", "3"])
def test_the_cluster_says_how_many_gpus_it_has(serve: Callable[..., Any], connect: Any, gpus: str) -> None:
    cluster = connect(serve("--gpus", gpus).address).admin.inspect_cluster()
    assert cluster.metadata == {"gpulab.gpus": gpus}


# End


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_although_clients_wait(
    serve: Callable[..., Any], connect: Any, background: Any, number: signal.Signals
) -> None:
    server = serve()
    client = connect(server.address)
    client.pfs.create_repo(repo=pfs.Repo(name="data"))
    commit = client.pfs.start_commit(branch=pfs.Branch.from_uri("data@master"))
    stream = client.pfs.subscribe_commit(repo=commit.repo, branch="master")
    # Once it has given the commit that is there, it waits for the next one.
    assert next(stream).commit.id == commit.id
    calls = [background(next, stream), background(client.pfs.wait_commit, commit)]
    server.popen.send_signal(number)
    assert server.popen.wait(SOON) == 0
    for call in calls:
        # The SDK makes a ConnectionError of a call that finds no server any more.
        with pytest.raises((grpc.RpcError, ConnectionError)):
            call.result(SOON)
    assert "Traceback" not in server.log.read_text()


def test_waiting_clients_do_not_keep_others_out(client: Client, data: Any, background: Any) -> None:
    commit = data.start()
    waiting = [background(data.api.wait_commit, data.commit(commit)) for _ in range(100)]
    assert background(data.state).result(SOON) == "started"
    background(data.finish).result(SOON)
    for call in waiting:
        assert call.result(SOON).commit.id == commit


# Journal


@pytest.fixture
def journal(pachd: Server, journal_file: Path) -> Callable[[], list[Any]]:
    """The calls that were journalled since the fixture was made or last asked."""
    seen = len(journal_file.read_text().splitlines())

    def new() -> list[Any]:
        nonlocal seen
        lines = [json.loads(line) for line in journal_file.read_text().splitlines()[seen:]]
        seen += len(lines)
        assert all(line["time"] > 1_700_000_000 for line in lines)
        return [(line["method"].rpartition("/")[2], line["mutating"], line["code"]) for line in lines]

    return new


def test_the_journal_has_a_line_for_each_call(
    client: Client, journal: Callable[[], list[Any]], new_repo: Any, refused: Any
) -> None:
    data = new_repo()
    assert journal() == [("CreateRepo", True, "OK")]
    data.modify([("/a", b"secret")])
    data.info()
    data.ls()
    with refused(grpc.StatusCode.ALREADY_EXISTS, "."):
        client.pfs.create_repo(repo=data.repo)
    with refused(grpc.StatusCode.NOT_FOUND, "."):
        data.ls(at="nope")
    assert journal() == [
        ("ModifyFile", True, "OK"),
        ("InspectCommit", False, "OK"),
        ("ListFile", False, "OK"),
        ("CreateRepo", True, "ALREADY_EXISTS"),
        ("ListFile", False, "NOT_FOUND"),
    ]


def test_which_calls_are_mutating() -> None:
    reads = {method.name for method in methods_of(pfs) if not is_mutating(method, None)}
    assert reads == {
        *("InspectProject", "InspectProjectV2", "ListProject", "InspectRepo", "ListRepo", "ReposSummary"),
        *("InspectBranch", "ListBranch", "WalkBranchProvenance", "WalkBranchSubvenance"),
        *("InspectCommit", "ListCommit", "SubscribeCommit", "WalkCommitProvenance", "WalkCommitSubvenance"),
        *("InspectCommitSet", "ListCommitSet", "FindCommits", "CheckStorage", "GetCache", "GetFileSet"),
        *("GetFile", "GetFileTAR", "InspectFile", "ListFile", "WalkFile", "GlobFile", "DiffFile", "ListTask"),
    }
