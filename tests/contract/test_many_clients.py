# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty clients at once: no update is lost, nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs

from tests.contract.lab import PATIENCE, Data, Lab

CLIENTS = 50
EACH = 4


@pytest.fixture
def at_once(connect: Any, background: Any) -> Callable[[Callable[[Any, int], Any]], list[Any]]:
    """What a function of a client and its number gives for each of fifty that run at the same time."""

    def run(work: Callable[[Any, int], Any]) -> list[Any]:
        running = [background(work, connect(), number) for number in range(CLIENTS)]
        return [future.result(4 * PATIENCE) for future in running]

    return run


def again(call: Callable[[], Any]) -> Any:
    """A real pachd under load gives up some transactions that only have to be tried again."""
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if "unexpectedly resulted in rollback" not in error.details():
                raise


def test_commits_to_one_branch(data: Data, at_once: Any) -> None:
    """Each adds files of its own and a byte to one that all share."""

    def work(client: Any, number: int) -> None:
        mine = Data(client, data.name)
        for n in range(EACH):
            again(partial(mine.modify, [(f"/{number}-{n}", b"%d" % number), ("/all", b"x")]))

    at_once(work)
    data.api.wait_commit(data.commit())
    expected = {f"/{number}-{n}": b"%d" % number for number in range(CLIENTS) for n in range(EACH)}
    assert data.files() == expected | {"/all": b"x" * CLIENTS * EACH}
    assert len(data.history()) == CLIENTS * EACH


def test_streams_into_one_open_commit(data: Data, at_once: Any) -> None:
    commit = data.start()

    def work(client: Any, number: int) -> None:
        for n in range(EACH):
            Data(client, data.name).modify([(f"/{number}-{n}", b"x")], commit)

    at_once(work)
    data.finish()
    assert sorted(data.ls()) == sorted(f"/{number}-{n}" for number in range(CLIENTS) for n in range(EACH))
    assert data.history() == [commit]


def test_only_one_creates_what_all_want_to_create(lab: Lab, project: pfs.Project, at_once: Any) -> None:
    repo = pfs.Repo(name="wanted", type="user", project=project)

    def work(client: Any, number: int) -> str:
        try:
            again(lambda: client.pfs.create_repo(repo=repo, description=f"{number}"))
        except grpc.RpcError as error:
            return str(error.code().name)
        return f"{number}"

    counts = Counter(at_once(work))
    assert counts.pop("ALREADY_EXISTS") == CLIENTS - 1
    assert [lab.pfs.inspect_repo(repo=repo).description] == list(counts)


def test_only_one_starts_a_commit_at_a_time(data: Data, at_once: Any) -> None:
    def work(client: Any, _: int) -> bool:
        try:
            again(Data(client, data.name).start)
        except grpc.RpcError as error:
            assert "has not been finished" in error.details()  # noqa: PT017
            return False
        return True

    assert at_once(work).count(True) == 1
    assert len(data.history()) == 1


def test_all_that_wait_for_a_commit_see_its_end(data: Data, connect: Any, background: Any) -> None:
    commit = data.commit(data.start())
    waiting = [background(connect().pfs.wait_commit, commit) for _ in range(CLIENTS)]
    data.modify([("/a", b"1")], commit.id)
    assert not any(future.done() for future in waiting)
    data.api.finish_commit(commit=commit)
    assert all("finished" in future.result(PATIENCE).to_dict() for future in waiting)


def test_readers_see_whole_commits_while_others_write(data: Data, at_once: Any) -> None:
    """Each commit sets both files to the same number, so a reader of any commit finds them equal."""
    data.put({"/one": b"0", "/two": b"0"})

    def work(client: Any, number: int) -> None:
        mine = Data(client, data.name)
        if number % 5 == 0:
            value = b"%d" % number
            again(lambda: mine.modify(["/one", ("/one", value), "/two", ("/two", value)]))
            return
        for _ in range(EACH):
            files = mine.files()
            assert files["/one"] == files["/two"]

    at_once(work)
    assert len(data.history()) == 1 + CLIENTS // 5
