# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions that are one call, a batch: what they make, and their errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import grpc
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import Data
from tests.contract.transaction_requests import (
    Request,
    create_branch,
    create_repo,
    delete_branch,
    delete_repo,
    finish,
    start,
)

Refused = Callable[..., Any]

UNKNOWN = grpc.StatusCode.UNKNOWN
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS


class TestBatch:
    def test_an_empty_one(self, batch: Any) -> None:
        info = batch()
        assert (info.requests, info.responses) == ([], [])

    def test_its_id_is_a_uuid_in_hex(self, batch: Any) -> None:
        assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{19}", batch().transaction.id)

    def test_it_tells_when_it_started(self, batch: Any) -> None:
        assert "started" in batch().to_dict()

    def test_it_is_not_listed_afterwards(self, client: Client, batch: Any) -> None:
        assert not client.transaction.transaction_exists(batch().transaction)

    def test_repos(self, client: Client, batch: Any, unmade: Any) -> None:
        repos = [unmade() for _ in range(3)]
        info = batch(*map(create_repo, repos))
        assert all(client.pfs.repo_exists(data.repo) for data in repos)
        assert len(info.requests) == len(info.responses) == 3

    def test_the_answer_holds_the_requests(self, batch: Any, unmade: Any) -> None:
        data = unmade()
        assert batch(create_repo(data)).requests[0].create_repo.repo.name == data.repo.name

    def test_what_was_made_can_be_used_by_the_next(self, batch: Any, unmade: Any) -> None:
        data = unmade()
        info = batch(create_repo(data), start(data), finish(data))
        assert data.head() == info.responses[1].commit.id

    def test_only_a_start_has_something_to_answer(self, batch: Any, unmade: Any) -> None:
        data = unmade()
        info = batch(create_repo(data), start(data), finish(data))
        assert [bool(response.commit.id) for response in info.responses] == [False, True, False]

    def test_commits_have_the_id_of_the_transaction(self, batch: Any, new_repo: Any) -> None:
        one, other = new_repo(), new_repo()
        info = batch(start(one), finish(one), start(other), finish(other))
        assert one.head() == other.head() == info.transaction.id

    def test_heads_of_new_branches_have_the_id_of_the_transaction(self, batch: Any, new_repo: Any) -> None:
        one, other = new_repo(), new_repo()
        info = batch(create_branch(one), create_branch(other))
        assert one.head() == other.head() == info.transaction.id

    def test_one_commit_downstream_of_two(self, batch: Any, new_repo: Any) -> None:
        one, other, below = new_repo(), new_repo(), new_repo()
        below.derive(one, other)
        before = len(below.history())
        info = batch(start(one), finish(one), start(other), finish(other))
        assert below.head() == info.transaction.id
        assert len(below.history()) == before + 1

    def test_the_commit_downstream_depends_on_both(self, batch: Any, new_repo: Any) -> None:
        one, other, below = new_repo(), new_repo(), new_repo()
        below.derive(one, other)
        info = batch(start(one), finish(one), start(other), finish(other))
        upstream = {(c.repo.name, c.id) for c in below.info().direct_provenance}
        assert upstream == {(data.repo.name, info.transaction.id) for data in (one, other)}

    def test_a_graph_of_branches_in_one(self, batch: Any, unmade: Any) -> None:
        """A -> B -> C: the order of the requests is that of the provenance."""
        a, b, c = unmade(), unmade(), unmade()
        info = batch(*map(create_repo, (a, b, c)), create_branch(b, upstream=a), create_branch(c, upstream=b))
        assert [data.history() for data in (a, b, c)] == [[info.transaction.id]] * 3

    def test_a_branch_at_a_commit_of_the_same(self, batch: Any, new_repo: Any) -> None:
        data = new_repo()
        info = batch(start(data), finish(data), create_branch(data, "other", head="master"))
        assert data.head("other") == data.head("master") == info.transaction.id

    def test_delete_repo(self, client: Client, batch: Any, data: Data) -> None:
        batch(delete_repo(data))
        assert not client.pfs.repo_exists(data.repo)

    def test_delete_branch(self, client: Client, batch: Any, data: Data) -> None:
        data.put({"/a": b"1"})
        batch(delete_branch(data))
        assert not client.pfs.branch_exists(data.branch())

    def test_a_repo_deleted_and_made_anew(self, batch: Any, data: Data) -> None:
        data.put({"/a": b"1"})
        batch(delete_repo(data), create_repo(data))
        assert data.history() == []

    def test_a_branch_that_is_deleted_again_sets_nothing_off(self, batch: Any, new_repo: Any) -> None:
        data, below = new_repo(), new_repo()
        below.derive(data)
        before = below.history()
        data.put({"/a": b"1"}, at="side")
        batch(start(data, "side"), finish(data, "side"), delete_branch(data, "side"))
        assert below.history() == before

    def test_squash(self, batch: Any, data: Data) -> None:
        first = data.put({"/a": b"1"})
        second = data.put({"/b": b"2"})
        squash = pfs.SquashCommitSetRequest(commit_set=pfs.CommitSet(id=first))
        batch(Request(squash_commit_set=squash))
        assert data.history() == [second]
        assert data.files() == {"/a": b"1", "/b": b"2"}

    def test_an_open_commit_is_open_afterwards(self, batch: Any, data: Data) -> None:
        batch(start(data))
        assert data.state() == "started"

    def test_files_go_into_a_commit_that_it_opened(self, batch: Any, data: Data) -> None:
        opened = batch(start(data)).transaction.id
        data.put({"/a": b"1"}, at=opened)
        data.finish()
        assert data.files() == {"/a": b"1"}


class TestBatchErrors:
    def test_the_failing_request_is_named(self, batch: Any, unmade: Any, refused: Refused) -> None:
        data = unmade()
        expected = f"error running request 2 of 2: repo {data.name} already exists"
        with refused(ALREADY_EXISTS, re.escape(expected)):
            batch(create_repo(data), create_repo(data))

    def test_all_is_rolled_back(self, client: Client, batch: Any, unmade: Any, refused: Refused) -> None:
        data = unmade()
        with refused(ALREADY_EXISTS):
            batch(create_repo(data), create_repo(data))
        assert not client.pfs.repo_exists(data.repo)

    def test_commits_are_rolled_back(self, batch: Any, data: Data, unmade: Any, refused: Refused) -> None:
        with refused(NOT_FOUND):
            batch(start(data), finish(data), delete_branch(unmade()))
        assert data.history() == []

    def test_what_was_deleted_is_back(self, batch: Any, data: Data, unmade: Any, refused: Refused) -> None:
        data.put({"/a": b"1"})
        with refused(NOT_FOUND):
            batch(delete_repo(data), delete_branch(unmade()))
        assert data.files() == {"/a": b"1"}

    def test_the_code_is_that_of_the_request(self, batch: Any, unmade: Any, refused: Refused) -> None:
        with refused(NOT_FOUND, "error running request 1 of 1: .*not found"):
            batch(start(unmade()))

    def test_two_commits_of_one_repo(self, batch: Any, data: Data, refused: Refused) -> None:
        with refused(ALREADY_EXISTS, "already has a commit in this transaction"):
            batch(start(data), finish(data), start(data))

    def test_two_new_branches_of_one_repo(self, batch: Any, data: Data, refused: Refused) -> None:
        with refused(ALREADY_EXISTS, "already has a commit in this transaction"):
            batch(create_branch(data, "one"), create_branch(data, "other"))

    def test_a_second_commit_while_the_first_is_open(self, batch: Any, data: Data, refused: Refused) -> None:
        with refused(UNKNOWN, "request 2 of 2: .*has not been finished"):
            batch(start(data), start(data))

    def test_a_request_of_no_kind(self, batch: Any, refused: Refused) -> None:
        with refused(UNKNOWN, "error running request 1 of 1: unrecognized transaction request type"):
            batch(Request())
