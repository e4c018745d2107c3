# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: composed, cut in shards, kept for a while."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import Data, poll

Refused = Callable[..., Any]
Make = Callable[..., str]

UNKNOWN = grpc.StatusCode.UNKNOWN
NOT_FOUND = grpc.StatusCode.NOT_FOUND

# A well-formed id of no file set.
NOBODYS = "0" * 32

DIFF = pfs.GetFileSetRequestFileSetType.DIFF


class TestCompose:
    def compose(self, client: Client, *ids: str, ttl_seconds: int = 60) -> str:
        answer = client.pfs.compose_file_set(file_set_ids=list(ids), ttl_seconds=ttl_seconds)
        return str(answer.file_set_id)

    def test_files_of_both(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        made = self.compose(client, new_file_set(("/a", b"1")), new_file_set(("/b", b"2")))
        assert file_set(made).files() == {"/a": b"1", "/b": b"2"}

    def test_a_path_of_both_is_joined(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        made = self.compose(client, new_file_set(("/a", b"1")), new_file_set(("/a", b"2")))
        assert file_set(made).read("/a") == b"12"

    def test_the_later_deletes_from_the_earlier(
        self, client: Client, new_file_set: Make, file_set: Any
    ) -> None:
        made = self.compose(
            client, new_file_set(("/a", b"1"), ("/b", b"2")), new_file_set("/a", ("/a", b"3"))
        )
        assert file_set(made).files() == {"/a": b"3", "/b": b"2"}

    def test_deletions_of_both_work_on_the_parent(
        self, client: Client, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"1", "/b": b"2", "/c": b"3"})
        commit_of_file_sets(
            data, self.compose(client, new_file_set("/a"), new_file_set("/b", ("/b", b"new")))
        )
        assert data.files() == {"/b": b"new", "/c": b"3"}

    def test_of_none(self, client: Client, file_set: Any) -> None:
        assert file_set(self.compose(client)).walk() == []

    def test_its_parts_stay(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        part = new_file_set(("/a", b"1"))
        self.compose(client, part, new_file_set("/a"))
        assert file_set(part).files() == {"/a": b"1"}

    def test_the_id_has_the_same_form(self, client: Client, new_file_set: Make) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{64}", self.compose(client, new_file_set(("/a", b"1"))))

    def test_compacted(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        ids = [new_file_set(("/a", b"1")), new_file_set(("/b", b"2"))]
        answer = client.pfs.compose_file_set(file_set_ids=ids, ttl_seconds=60, compact=True)
        assert file_set(answer.file_set_id).files() == {"/a": b"1", "/b": b"2"}

    def test_of_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            self.compose(client, NOBODYS)


class TestShard:
    def shards(self, client: Client, file_set_id: str, **limits: int) -> list[tuple[str, str]]:
        answer = client.pfs.shard_file_set(file_set_id=file_set_id, **limits)
        return [(shard.lower, shard.upper) for shard in answer.shards]

    def test_a_small_one_is_one_shard(self, client: Client, new_file_set: Make) -> None:
        assert self.shards(client, new_file_set(("/a", b"1"), ("/b", b"2"))) == [("", "")]

    def test_an_empty_one_too(self, client: Client, new_file_set: Make) -> None:
        assert self.shards(client, new_file_set()) == [("", "")]

    def test_by_the_number_of_files(self, client: Client, new_file_set: Make) -> None:
        made = new_file_set(*((f"/{n}", b"1") for n in range(5)))
        assert self.shards(client, made, num_files=2) == [("", "/2"), ("/2", "/4"), ("/4", "")]

    def test_by_size(self, client: Client, new_file_set: Make) -> None:
        made = new_file_set(*((f"/{n}", b"1234") for n in range(4)))
        assert self.shards(client, made, size_bytes=8) == [("", "/2"), ("/2", "")]

    def test_the_ranges_hold_all_files_once(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        made = new_file_set(*((f"/{n}", b"1") for n in range(5)))
        found = [
            path
            for lower, upper in self.shards(client, made, num_files=2)
            for path in file_set(made).glob("/*", path_range=pfs.PathRange(lower=lower, upper=upper))
        ]
        assert found == [f"/{n}" for n in range(5)]

    def test_of_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            self.shards(client, NOBODYS)


class TestTimeToLive:
    def test_it_can_be_renewed(self, client: Client, new_file_set: Make, file_set: Any) -> None:
        made = new_file_set(("/a", b"1"))
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=60)
        assert file_set(made).files() == {"/a": b"1"}

    @pytest.mark.parametrize("seconds", [1, 1800])
    def test_what_it_can_be_at_least_and_at_most(
        self, client: Client, new_file_set: Make, seconds: int
    ) -> None:
        client.pfs.renew_file_set(file_set_id=new_file_set(("/a", b"1")), ttl_seconds=seconds)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, r"ttl \(0\) must be at least one second"),
            (-1, r"ttl \(-1000000000\) must be at least one second"),
            (1801, r"ttl \(1801000000000\) exceeds max ttl \(1800000000000\)"),
        ],
    )
    def test_bounds(
        self, client: Client, new_file_set: Make, refused: Refused, seconds: int, text: str
    ) -> None:
        with refused(UNKNOWN, text):
            client.pfs.renew_file_set(file_set_id=new_file_set(("/a", b"1")), ttl_seconds=seconds)

    def test_an_id_that_is_none(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "parsing fileset.Token: too short"):
            client.pfs.renew_file_set(file_set_id="nope", ttl_seconds=60)

    def test_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(NOT_FOUND, f"fileset/{NOBODYS} not found"):
            client.pfs.renew_file_set(file_set_id=NOBODYS, ttl_seconds=60)

    @pytest.mark.embedded_only  # a real pachd takes it away at its next garbage collection
    def test_it_is_gone_when_its_time_is_over(
        self, client: Client, new_file_set: Make, file_set: Any
    ) -> None:
        made = new_file_set(("/a", b"1"))
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=1)
        poll(lambda: _is_gone(file_set(made)))

    @pytest.mark.embedded_only
    def test_commits_keep_what_they_got(
        self, client: Client, new_file_set: Make, commit_of_file_sets: Any, data: Data, file_set: Any
    ) -> None:
        made = new_file_set(("/a", b"1"))
        commit_of_file_sets(data, made)
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=1)
        poll(lambda: _is_gone(file_set(made)))
        assert data.files() == {"/a": b"1"}


def _is_gone(data: Data) -> bool:
    try:
        data.walk()
    except grpc.RpcError as error:
        return bool(error.details() == "path does not exist")
    return False
