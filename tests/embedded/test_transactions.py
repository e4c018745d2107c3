# SPDX-License-Identifier: GPL-3.0-or-later
"""Open transactions and kill -9; file sets, too; what a transaction that is only tried leaves alone."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.server import Server, Settings
from pachd_embedded.store.db import Database

REPOS = 40


def repo(name: str) -> pfs.Repo:
    return pfs.Repo.from_uri(name)


@pytest.fixture
def restarted(serve: Callable[..., Any], connect: Callable[[str], Client]) -> Callable[[], Client]:
    """A client of a server over the test's directory; the one before it is killed."""
    running: list[Any] = []

    def start() -> Client:
        if running:
            running.pop().kill()
        running.append(serve())
        return connect(running[-1].address)

    return start


def test_an_open_transaction_survives_kill_9(restarted: Callable[[], Client]) -> None:
    client = restarted()
    opened = client.transaction.start_transaction()
    client.pfs.create_repo(repo=repo("a"))
    client = restarted()
    assert not client.pfs.repo_exists(repo("a"))
    client.transaction.finish_transaction(transaction=opened)
    assert client.pfs.repo_exists(repo("a"))


def test_a_finished_one_stays_finished(restarted: Callable[[], Client]) -> None:
    client = restarted()
    with client.transaction.transaction() as made:
        client.pfs.create_repo(repo=repo("a"))
    client = restarted()
    assert client.pfs.repo_exists(repo("a"))
    assert not client.transaction.transaction_exists(made)


@pytest.mark.parametrize("requests", [5, REPOS])
def test_killed_while_it_finishes_it_has_done_all_or_nothing(
    serve: Callable[..., Any], connect: Callable[[str], Client], requests: int
) -> None:
    server = serve()
    client = connect(server.address)
    opened = client.transaction.start_transaction()
    for n in range(requests):
        client.pfs.create_repo(repo=repo(f"r{n}"))
    about_to = threading.Event()

    def finish() -> None:
        about_to.set()
        # The server is killed under it.
        with suppress(grpc.RpcError, ConnectionError):
            client.transaction.finish_transaction(transaction=opened)

    finishing = threading.Thread(target=finish)
    finishing.start()
    about_to.wait()
    server.kill()
    finishing.join()
    client = connect(serve().address)
    made = len(list(client.pfs.list_repo(type="user")))
    still_open = client.transaction.transaction_exists(opened)
    assert made == (0 if still_open else requests)


def test_a_file_set_survives_kill_9(restarted: Callable[[], Client]) -> None:
    client = restarted()
    change = pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"1"))
    made = client.pfs.create_file_set(iter([change])).file_set_id
    client = restarted()
    client.pfs.create_repo(repo=repo("data"))
    commit = client.pfs.start_commit(branch=pfs.Branch.from_uri("data@master"))
    client.pfs.add_file_set(commit=commit, file_set_id=made)
    client.pfs.finish_commit(commit=commit)
    [info] = client.pfs.list_file(file=pfs.File(commit=commit, path="/"))
    assert (info.file.path, info.size_bytes) == ("/a", 1)


def test_expired_file_sets_are_freed(restarted: Callable[[], Client], tmp_path: Path) -> None:
    """The next one that is made takes their rows away."""
    client = restarted()
    change = pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"1"))
    client.pfs.compose_file_set(
        file_set_ids=[client.pfs.create_file_set(iter([change])).file_set_id], ttl_seconds=-1
    )
    client.pfs.create_file_set(iter([change]))
    with sqlite3.connect(f"file:{tmp_path}/data/pachd.sqlite?mode=ro", uri=True) as database:
        assert database.execute("SELECT count(*) FROM file_set").fetchone() == (2,)


def test_deleting_all_leaves_an_empty_default_project(tmp_path: Path, connect: Any) -> None:
    server = Server(Settings(tmp_path, "127.0.0.1:0", private_pfs=True))
    client = connect(server.address)
    project = pfs.Project(name="other")
    client.pfs.create_project(project=project)
    client.pfs.create_repo(repo=pfs.Repo(name="data", type="user", project=project))
    client.pfs.create_repo(repo=repo("data"))
    client.pfs.delete_all()
    found = [info.project.name for info in client.pfs.list_project()]
    repos = list(client.pfs.list_repo(type=""))
    server.stop()
    assert (found, repos) == (["default"], [])


def test_a_dry_run_of_the_database_leaves_nothing(tmp_path: Path) -> None:
    db = Database(tmp_path)
    called: list[str] = []
    with db.dry_run():
        db.execute("INSERT INTO setting VALUES ('a', '1')")
        db.on_commit(lambda: called.append("dry"))
    assert (db.row("SELECT 1 FROM setting WHERE name = 'a'"), called) == (None, [])
    with db.transaction():
        db.on_commit(lambda: called.append("real"))
        assert called == []
    db.close()
    assert called == ["real"]
