# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions that a client's metadata names: what they show and when, their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, transaction
from pachyderm_sdk.errors import InvalidTransactionOperation

from tests.contract.lab import Data
from tests.contract.transaction_requests import (
    opened,
    within,
)

Refused = Callable[..., Any]

UNKNOWN = grpc.StatusCode.UNKNOWN
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS


class TestOpen:
    def test_a_new_one_is_empty(self, client: Client, inside: Client) -> None:
        info = client.transaction.inspect_transaction(transaction=opened(inside))
        assert (info.transaction.id, info.requests, info.responses) == (inside.transaction_id, [], [])
        assert "started" in info.to_dict()

    def test_it_is_listed(self, client: Client, inside: Client) -> None:
        listed = client.transaction.list_transaction().transaction_info
        assert inside.transaction_id in [info.transaction.id for info in listed]

    def test_the_last_started_is_listed_first(self, client: Client, connect: Any, inside: Client) -> None:
        later = connect().transaction.start_transaction()
        listed = [
            info.transaction.id
            for info in client.transaction.list_transaction().transaction_info
            if info.transaction.id in (later.id, inside.transaction_id)
        ]
        client.transaction.delete_transaction(transaction=later)
        assert listed == [later.id, inside.transaction_id]

    def test_requests_are_collected_with_their_responses(
        self, client: Client, inside: Client, data: Data
    ) -> None:
        commit = inside.pfs.start_commit(branch=data.branch())
        inside.pfs.finish_commit(commit=commit)
        info = client.transaction.inspect_transaction(transaction=opened(inside))
        assert [r.start_commit.branch.name for r in info.requests] == ["master", ""]
        assert [r.commit.id for r in info.responses] == [commit.id, ""]

    def test_its_version_counts_the_requests(self, client: Client, inside: Client, unmade: Any) -> None:
        for _ in range(2):
            inside.pfs.create_repo(repo=unmade().repo)
        assert client.transaction.inspect_transaction(transaction=opened(inside)).version == 2

    def test_nothing_is_visible_before_it_is_finished(
        self, client: Client, inside: Client, unmade: Any
    ) -> None:
        data = unmade()
        inside.pfs.create_repo(repo=data.repo)
        assert not client.pfs.repo_exists(data.repo)

    def test_nor_inside_of_it(self, inside: Client, unmade: Any, refused: Refused) -> None:
        data = unmade()
        inside.pfs.create_repo(repo=data.repo)
        with refused(NOT_FOUND, "not found"):
            inside.pfs.inspect_repo(repo=data.repo)

    def test_a_commit_is_not_visible_before(self, inside: Client, data: Data) -> None:
        inside.pfs.start_commit(branch=data.branch())
        assert data.history() == []

    def test_starting_a_commit_answers_with_the_transactions_id(self, inside: Client, data: Data) -> None:
        assert inside.pfs.start_commit(branch=data.branch()).id == inside.transaction_id

    def test_finishing_carries_all_out(self, client: Client, inside: Client, data: Data, unmade: Any) -> None:
        made, wanted = unmade(), opened(inside)
        inside.pfs.create_repo(repo=made.repo)
        inside.pfs.start_commit(branch=data.branch())
        info = inside.transaction.finish_transaction(transaction=wanted)
        assert client.pfs.repo_exists(made.repo)
        assert data.head() == info.transaction.id == wanted.id

    def test_a_finished_one_is_gone(self, client: Client, inside: Client, refused: Refused) -> None:
        wanted = opened(inside)
        inside.transaction.finish_transaction(transaction=wanted)
        with refused(NOT_FOUND, f"transactions {wanted.id} not found"):
            client.transaction.inspect_transaction(transaction=wanted)

    def test_the_client_is_free_after_finishing(self, inside: Client, unmade: Any) -> None:
        data = unmade()
        inside.transaction.finish_transaction(transaction=opened(inside))
        inside.pfs.create_repo(repo=data.repo)
        assert inside.pfs.repo_exists(data.repo)

    def test_deleting_forgets_all(self, client: Client, inside: Client, unmade: Any) -> None:
        data = unmade()
        inside.pfs.create_repo(repo=data.repo)
        client.transaction.delete_transaction(transaction=opened(inside))
        assert not client.transaction.transaction_exists(opened(inside))
        assert not client.pfs.repo_exists(data.repo)

    def test_calls_after_its_deletion(
        self, client: Client, inside: Client, unmade: Any, refused: Refused
    ) -> None:
        client.transaction.delete_transaction(transaction=opened(inside))
        with refused(NOT_FOUND, f"transactions {inside.transaction_id} not found"):
            inside.pfs.create_repo(repo=unmade().repo)

    def test_delete_repo_answers_as_if_done(self, inside: Client, client: Client, data: Data) -> None:
        assert inside.pfs.delete_repo(repo=data.repo).deleted
        assert client.pfs.repo_exists(data.repo)

    def test_projects_are_made_at_once(self, client: Client, inside: Client, project: pfs.Project) -> None:
        made = pfs.Project(name=f"{project.name}-more")
        inside.pfs.create_project(project=made)
        assert client.pfs.project_exists(made)
        client.pfs.delete_project(project=made)

    def test_deleting_repos_by_project_happens_at_once(
        self, client: Client, inside: Client, project: pfs.Project, data: Data
    ) -> None:
        inside.pfs.delete_repos(projects=[project])
        assert not client.pfs.repo_exists(data.repo)

    def test_what_is_read_is_as_it_is_outside(self, inside: Client, data: Data) -> None:
        data.put({"/a": b"1"})
        assert within(inside, data).files() == {"/a": b"1"}

    @pytest.mark.cluster_wide
    def test_all_of_them_can_be_deleted(self, client: Client, connect: Any) -> None:
        for _ in range(2):
            connect().transaction.start_transaction()
        client.transaction.delete_all()
        assert client.transaction.list_transaction().transaction_info == []


class TestOpenErrors:
    def test_what_fails_is_not_added(
        self, client: Client, inside: Client, data: Data, refused: Refused
    ) -> None:
        with refused(ALREADY_EXISTS, f"error running request 1 of 1: repo {data.name} already exists"):
            inside.pfs.create_repo(repo=data.repo)
        assert client.transaction.inspect_transaction(transaction=opened(inside)).requests == []

    def test_it_fails_at_the_request_after_those_that_went_well(
        self, inside: Client, data: Data, unmade: Any, refused: Refused
    ) -> None:
        inside.pfs.create_repo(repo=unmade().repo)
        with refused(ALREADY_EXISTS, f"error running request 2 of 2: repo {data.name} already exists"):
            inside.pfs.create_repo(repo=data.repo)

    def test_the_rest_can_be_finished(
        self, client: Client, inside: Client, data: Data, unmade: Any, refused: Refused
    ) -> None:
        made = unmade()
        inside.pfs.create_repo(repo=made.repo)
        with refused(ALREADY_EXISTS):
            inside.pfs.create_repo(repo=data.repo)
        inside.transaction.finish_transaction(transaction=opened(inside))
        assert client.pfs.repo_exists(made.repo)

    def test_what_others_did_meanwhile_can_make_it_fail(
        self, client: Client, inside: Client, unmade: Any, refused: Refused
    ) -> None:
        first, second = unmade(), unmade()
        inside.pfs.create_repo(repo=first.repo)
        inside.pfs.create_repo(repo=second.repo)
        client.pfs.create_repo(repo=second.repo)
        with refused(ALREADY_EXISTS, "error running request 2 of 2"):
            inside.transaction.finish_transaction(transaction=opened(inside))
        assert not client.pfs.repo_exists(first.repo)

    def test_one_that_failed_to_finish_is_still_open(
        self, client: Client, inside: Client, unmade: Any, refused: Refused
    ) -> None:
        data = unmade()
        inside.pfs.create_repo(repo=data.repo)
        client.pfs.create_repo(repo=data.repo)
        with refused(ALREADY_EXISTS):
            inside.transaction.finish_transaction(transaction=opened(inside))
        client.pfs.delete_repo(repo=data.repo)
        inside.transaction.finish_transaction(transaction=opened(inside))
        assert client.pfs.repo_exists(data.repo)

    @pytest.mark.parametrize("call", ["inspect_transaction", "delete_transaction", "finish_transaction"])
    def test_one_that_is_missing(self, client: Client, refused: Refused, call: str) -> None:
        # finish_transaction changes the client's own state, which others share.
        stub = super(type(client.transaction), client.transaction)
        with refused(NOT_FOUND, "transactions nope not found"):
            getattr(stub, call)(transaction=transaction.Transaction(id="nope"))

    def test_a_call_in_one_that_is_missing(self, connect: Any, data: Data, refused: Refused) -> None:
        client = connect()
        client.transaction_id = "nope"
        with refused(NOT_FOUND, "transactions nope not found"):
            client.pfs.start_commit(branch=data.branch())

    def test_two_commits_of_one_repo(self, inside: Client, data: Data, refused: Refused) -> None:
        inside.pfs.start_commit(branch=data.branch())
        inside.pfs.finish_commit(commit=data.commit("master"))
        with refused(ALREADY_EXISTS, "already has a commit in this transaction"):
            inside.pfs.start_commit(branch=data.branch())


def make_and_fail(user: Client, data: Data, seen: list[transaction.Transaction]) -> None:
    with user.transaction.transaction() as made:
        seen.append(made)
        user.pfs.create_repo(repo=data.repo)
        raise ZeroDivisionError


class TestOfTheSdk:
    """Its context manager, which finishes at the end and deletes after an exception."""

    def test_it_finishes(self, client: Client, connect: Any, unmade: Any) -> None:
        user, data = connect(), unmade()
        with user.transaction.transaction() as made:
            user.pfs.create_repo(repo=data.repo)
        assert client.pfs.repo_exists(data.repo)
        assert not client.transaction.transaction_exists(made)

    def test_an_exception_deletes_it(self, client: Client, connect: Any, unmade: Any) -> None:
        data, seen = unmade(), list[transaction.Transaction]()
        with pytest.raises(ZeroDivisionError):
            make_and_fail(connect(), data, seen)
        assert not client.pfs.repo_exists(data.repo)
        assert not client.transaction.transaction_exists(seen[0])

    def test_commits_to_two_repos_at_once(self, connect: Any, new_repo: Any) -> None:
        user, one, other = connect(), new_repo(), new_repo()
        with user.transaction.transaction() as made:
            for data in (one, other):
                with user.pfs.commit(branch=data.branch()):
                    pass
        assert one.head() == other.head() == made.id

    def test_files_are_refused_by_the_sdk(self, connect: Any, data: Data) -> None:
        user = connect()
        transactional = user.transaction.transaction()
        with (
            transactional,
            user.pfs.commit(branch=data.branch()) as commit,
            pytest.raises(InvalidTransactionOperation),
        ):
            commit.put_file_from_bytes(path="/a", data=b"1")

    def test_one_within_another(self, client: Client, connect: Any, unmade: Any) -> None:
        user, first, second = connect(), unmade(), unmade()
        with user.transaction.transaction() as outer:
            user.pfs.create_repo(repo=first.repo)
            with user.transaction.transaction():
                user.pfs.create_repo(repo=second.repo)
            assert user.transaction_id == outer.id
            assert [client.pfs.repo_exists(d.repo) for d in (first, second)] == [False, True]
        assert client.pfs.repo_exists(first.repo)
