# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: made, read, added to commits, composed, cut in shards, kept for a while."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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


def request(change: Any) -> pfs.ModifyFileRequest:
    """(path, bytes) adds, a path alone deletes, a CopyFile copies."""
    if isinstance(change, str):
        return pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=change))
    if isinstance(change, pfs.CopyFile):
        return pfs.ModifyFileRequest(copy_file=change)
    return pfs.ModifyFileRequest(add_file=pfs.AddFile(path=change[0], raw=change[1]))


@pytest.fixture
def make(client: Client) -> Make:
    """The id of a new file set of these changes."""
    return lambda *changes: client.pfs.create_file_set(iter(map(request, changes))).file_set_id


@pytest.fixture
def held(client: Client) -> Callable[[str], Data]:
    """A file set as what can be read: its id is the commit's."""

    def of(file_set_id: str) -> Data:
        data = Data(client, "__filesets__")
        data.commit = lambda _at="": pfs.Commit(  # type: ignore[method-assign]
            repo=pfs.Repo(name="__filesets__", type="user", project=pfs.Project(name="default")),
            id=file_set_id,
        )
        return data

    return of


@pytest.fixture
def commit_of(client: Client) -> Callable[..., str]:
    """The id of a finished commit that file sets were added to."""

    def commit(data: Data, *file_set_ids: str) -> str:
        data.start()
        for file_set_id in file_set_ids:
            client.pfs.add_file_set(commit=data.info().commit, file_set_id=file_set_id)
        return str(data.finish().commit.id)

    return commit


class TestCreate:
    def test_the_id_has_a_token_and_a_digest(self, make: Make) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{64}", make(("/a", b"1")))

    def test_each_has_a_token_of_its_own(self, make: Make) -> None:
        first, second = (make(("/a", b"1")).partition(".") for _ in range(2))
        assert first[0] != second[0]
        assert first[2] == second[2]

    def test_other_content_has_another_digest(self, make: Make) -> None:
        assert make(("/a", b"1")).partition(".")[2] != make(("/a", b"2")).partition(".")[2]

    def test_an_empty_one(self, make: Make, held: Any) -> None:
        assert held(make()).walk() == []

    def test_a_commit_cannot_be_named(self, client: Client, data: Data, refused: Refused) -> None:
        with refused(UNKNOWN, "cannot set commit"):
            client.pfs.create_file_set(iter([pfs.ModifyFileRequest(set_commit=data.commit())]))

    @pytest.mark.parametrize("path", ["/a*", "/../a", ""])
    def test_paths_are_checked(self, make: Make, refused: Refused, path: str) -> None:
        with refused(UNKNOWN, r"path \("):
            make((path, b"1"))

    def test_a_stream_that_breaks_makes_none(self, client: Client) -> None:
        def broken() -> Iterator[pfs.ModifyFileRequest]:
            yield request(("/a", b"1"))
            raise ZeroDivisionError

        with pytest.raises(grpc.RpcError):
            client.pfs.create_file_set(broken())

    def test_no_repo_is_made(self, client: Client, make: Make) -> None:
        make(("/a", b"1"))
        assert "__filesets__" not in [info.repo.name for info in client.pfs.list_repo(type="")]

    def test_the_name_of_their_repo_is_reserved(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "__filesets__ is a reserved name"):
            client.pfs.create_repo(repo=pfs.Repo.from_uri("__filesets__"))


class TestRead:
    def test_content(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1"), ("/d/b", b"22"))).files() == {"/a": b"1", "/d/b": b"22"}

    def test_by_the_token_alone(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1")).partition(".")[0]).files() == {"/a": b"1"}

    def test_list(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1"), ("/d/b", b"22"))).ls() == ["/a", "/d/"]

    def test_glob(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1"), ("/b", b"2"))).glob("/a*") == ["/a"]

    def test_inspect(self, make: Make, held: Any, data: Data) -> None:
        data.put({"/d/a": b"123"})
        info = held(make(("/d/a", b"123"))).inspect("/d/")
        assert (info.size_bytes, info.hash) == (3, data.inspect("/d/").hash)

    def test_a_path_twice_is_appended(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1"), ("/b", b""), ("/a", b"2"))).read("/a") == b"12"

    def test_add_then_delete_is_gone(self, make: Make, held: Any) -> None:
        assert held(make(("/a", b"1"), "/a", ("/b", b"2"))).walk() == ["/", "/b"]

    def test_a_deleted_directory_is_gone(self, make: Make, held: Any) -> None:
        assert held(make(("/d/a", b"1"), ("/e", b"2"), "/d/")).walk() == ["/", "/e"]

    def test_copied_from_a_commit(self, make: Make, held: Any, data: Data) -> None:
        data.put({"/d/a": b"1", "/d/b": b"2"})
        copy = pfs.CopyFile(dst="/c", src=data.file("/d"))
        assert held(make(copy)).files() == {"/c/a": b"1", "/c/b": b"2"}

    def test_a_copy_of_it_in_a_commit(self, make: Make, held: Any, data: Data) -> None:
        source = held(make(("/a", b"1"))).file("/a")
        data.modify([pfs.CopyFile(dst="/b", src=source)])
        assert data.files() == {"/b": b"1"}

    def test_what_is_not_in_it(self, make: Make, held: Any, refused: Refused) -> None:
        with refused(NOT_FOUND, "file /nope not found in repo default/__filesets__ at commit "):
            held(make(("/a", b"1"))).read("/nope")

    def test_an_id_that_is_none(self, held: Any, refused: Refused) -> None:
        with refused(UNKNOWN, "parsing fileset.Token: too short"):
            held("nope").read("/a")

    def test_one_that_is_not_there(self, held: Any, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            held(NOBODYS).read("/a")


class TestAdd:
    def test_its_files_are_in_the_commit(self, make: Make, commit_of: Any, data: Data) -> None:
        commit_of(data, make(("/a", b"1"), ("/d/b", b"2")))
        assert data.files() == {"/a": b"1", "/d/b": b"2"}

    def test_they_can_be_read_before_it_is_finished(self, client: Client, make: Make, data: Data) -> None:
        data.start()
        client.pfs.add_file_set(commit=data.info().commit, file_set_id=make(("/a", b"1")))
        assert data.files() == {"/a": b"1"}

    def test_by_the_name_of_the_branch(self, client: Client, make: Make, data: Data) -> None:
        data.start()
        client.pfs.add_file_set(commit=data.commit("master"), file_set_id=make(("/a", b"1")))
        assert data.files() == {"/a": b"1"}

    def test_hashes_are_those_of_files_that_were_put(self, make: Make, commit_of: Any, new_repo: Any) -> None:
        content, put, added = bytes(range(256)) * 4, new_repo(), new_repo()
        put.put({"/a": content})
        commit_of(added, make(("/a", content)))
        assert added.inspect("/a").hash == put.inspect("/a").hash

    def test_several_in_one_commit(self, make: Make, commit_of: Any, data: Data) -> None:
        commit_of(data, make(("/a", b"1")), make(("/b", b"2")))
        assert data.files() == {"/a": b"1", "/b": b"2"}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_path_of_two_is_joined_in_the_order_of_adding(
        self, make: Make, commit_of: Any, data: Data, order: tuple[int, int]
    ) -> None:
        sets, parts = [make(("/a", b"first")), make(("/a", b"second"))], [b"first", b"second"]
        commit_of(data, *(sets[n] for n in order))
        assert data.read("/a") == b"".join(parts[n] for n in order)

    def test_a_path_of_the_parent_is_appended_to(self, make: Make, commit_of: Any, data: Data) -> None:
        data.put({"/a": b"old"})
        commit_of(data, make(("/a", b"new")))
        assert data.read("/a") == b"oldnew"

    def test_delete_works_on_the_parent(self, make: Make, commit_of: Any, data: Data) -> None:
        data.put({"/a": b"old", "/b": b"stays"})
        commit_of(data, make("/a"))
        assert data.files() == {"/b": b"stays"}

    def test_delete_and_add_replace_what_the_parent_has(self, make: Make, commit_of: Any, data: Data) -> None:
        data.put({"/a": b"old"})
        commit_of(data, make("/a", ("/a", b"new")))
        assert data.read("/a") == b"new"

    def test_add_then_delete_also_deletes_from_the_parent(
        self, make: Make, commit_of: Any, data: Data
    ) -> None:
        data.put({"/a": b"old"})
        commit_of(data, make(("/a", b"new"), "/a"))
        assert data.files() == {}

    def test_a_deletion_works_on_what_an_earlier_one_added(
        self, make: Make, commit_of: Any, data: Data
    ) -> None:
        commit_of(data, make(("/a", b"1")), make("/a", ("/a", b"2")))
        assert data.read("/a") == b"2"

    def test_used_in_several_commits(self, make: Make, commit_of: Any, new_repo: Any) -> None:
        file_set_id, repos = make(("/a", b"1")), [new_repo(), new_repo()]
        for data in repos:
            commit_of(data, file_set_id)
        assert [data.files() for data in repos] == [{"/a": b"1"}] * 2

    def test_used_twice_in_a_repo(self, make: Make, commit_of: Any, data: Data) -> None:
        file_set_id = make(("/a", b"1"))
        commit_of(data, file_set_id)
        commit_of(data, file_set_id)
        assert data.read("/a") == b"11"

    def test_an_empty_one_changes_nothing(self, make: Make, commit_of: Any, data: Data) -> None:
        data.put({"/a": b"1"})
        commit_of(data, make())
        assert data.files() == {"/a": b"1"}

    def test_files_say_which_commit_wrote_them(self, make: Make, commit_of: Any, data: Data) -> None:
        commit_id = commit_of(data, make(("/a", b"1")))
        assert data.inspect("/a").file.commit.id == commit_id

    def test_a_file_and_a_directory_of_one_name(self, make: Make, commit_of: Any, data: Data) -> None:
        commit_of(data, make(("/a", b"1")), make(("/a/b", b"2")))
        assert data.info().error == "file / directory path collision (/a/b)"

    def test_to_a_finished_commit(self, client: Client, make: Make, data: Data, refused: Refused) -> None:
        commit_id = data.put({"/a": b"1"})
        with refused(UNKNOWN, f"commit {data.name}@{commit_id} has already finished"):
            client.pfs.add_file_set(commit=data.commit(commit_id), file_set_id=make(("/b", b"2")))

    @pytest.mark.parametrize(
        ("file_set_id", "text"),
        [
            ("bogus", "parsing fileset.Token: too short to be Token len=5"),
            (33 * "0", "parsing fileset.Token: too long to be Token len=33"),
            (NOBODYS, "add file set: path does not exist"),
        ],
    )
    def test_an_id_of_no_file_set(
        self, client: Client, data: Data, refused: Refused, file_set_id: str, text: str
    ) -> None:
        data.start()
        with refused(UNKNOWN, re.escape(text)):
            client.pfs.add_file_set(commit=data.info().commit, file_set_id=file_set_id)

    def test_to_a_repo_that_is_missing(self, client: Client, make: Make, lab: Any, refused: Refused) -> None:
        nowhere = lab.data("nope")
        with refused(NOT_FOUND):
            client.pfs.add_file_set(commit=nowhere.commit("master"), file_set_id=make(("/a", b"1")))


class TestOfACommit:
    def test_its_files(self, client: Client, data: Data, held: Any) -> None:
        data.put({"/a": b"1"})
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        assert held(made).files() == {"/a": b"1", "/b": b"2"}

    def test_those_of_an_open_commit(self, client: Client, data: Data, held: Any) -> None:
        data.put({"/a": b"1"})
        data.start()
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        assert held(made).files() == {"/a": b"1", "/b": b"2"}

    def test_it_stays_as_it_was(self, client: Client, data: Data, held: Any) -> None:
        data.put({"/a": b"1"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        data.put({"/a": b"2"})
        assert held(made).files() == {"/a": b"1"}

    def test_it_can_be_added_to_another_repo(self, client: Client, new_repo: Any, commit_of: Any) -> None:
        one, other = new_repo(), new_repo()
        one.put({"/a": b"1"})
        commit_of(other, client.pfs.get_file_set(commit=one.commit()).file_set_id)
        assert other.files() == {"/a": b"1"}

    def test_what_it_changed(self, client: Client, data: Data, held: Any) -> None:
        data.put({"/a": b"1"})
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit(), type=DIFF).file_set_id
        assert held(made).files() == {"/b": b"2"}

    def test_what_it_deleted_is_deleted_by_its_changes(
        self, client: Client, new_repo: Any, commit_of: Any
    ) -> None:
        one, other = new_repo(), new_repo()
        for data in (one, other):
            data.put({"/a": b"1", "/b": b"2"})
        one.modify(["/a"])
        commit_of(other, client.pfs.get_file_set(commit=one.commit(), type=DIFF).file_set_id)
        assert other.files() == {"/b": b"2"}

    def test_of_a_missing_commit(self, client: Client, data: Data, refused: Refused) -> None:
        with refused(NOT_FOUND):
            client.pfs.get_file_set(commit=data.commit("master"))


class TestCompose:
    def compose(self, client: Client, *ids: str, ttl_seconds: int = 60) -> str:
        answer = client.pfs.compose_file_set(file_set_ids=list(ids), ttl_seconds=ttl_seconds)
        return str(answer.file_set_id)

    def test_files_of_both(self, client: Client, make: Make, held: Any) -> None:
        made = self.compose(client, make(("/a", b"1")), make(("/b", b"2")))
        assert held(made).files() == {"/a": b"1", "/b": b"2"}

    def test_a_path_of_both_is_joined(self, client: Client, make: Make, held: Any) -> None:
        made = self.compose(client, make(("/a", b"1")), make(("/a", b"2")))
        assert held(made).read("/a") == b"12"

    def test_the_later_deletes_from_the_earlier(self, client: Client, make: Make, held: Any) -> None:
        made = self.compose(client, make(("/a", b"1"), ("/b", b"2")), make("/a", ("/a", b"3")))
        assert held(made).files() == {"/a": b"3", "/b": b"2"}

    def test_deletions_of_both_work_on_the_parent(
        self, client: Client, make: Make, commit_of: Any, data: Data
    ) -> None:
        data.put({"/a": b"1", "/b": b"2", "/c": b"3"})
        commit_of(data, self.compose(client, make("/a"), make("/b", ("/b", b"new"))))
        assert data.files() == {"/b": b"new", "/c": b"3"}

    def test_of_none(self, client: Client, held: Any) -> None:
        assert held(self.compose(client)).walk() == []

    def test_its_parts_stay(self, client: Client, make: Make, held: Any) -> None:
        part = make(("/a", b"1"))
        self.compose(client, part, make("/a"))
        assert held(part).files() == {"/a": b"1"}

    def test_the_id_has_the_same_form(self, client: Client, make: Make) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{64}", self.compose(client, make(("/a", b"1"))))

    def test_compacted(self, client: Client, make: Make, held: Any) -> None:
        ids = [make(("/a", b"1")), make(("/b", b"2"))]
        answer = client.pfs.compose_file_set(file_set_ids=ids, ttl_seconds=60, compact=True)
        assert held(answer.file_set_id).files() == {"/a": b"1", "/b": b"2"}

    def test_of_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            self.compose(client, NOBODYS)


class TestShard:
    def shards(self, client: Client, file_set_id: str, **limits: int) -> list[tuple[str, str]]:
        answer = client.pfs.shard_file_set(file_set_id=file_set_id, **limits)
        return [(shard.lower, shard.upper) for shard in answer.shards]

    def test_a_small_one_is_one_shard(self, client: Client, make: Make) -> None:
        assert self.shards(client, make(("/a", b"1"), ("/b", b"2"))) == [("", "")]

    def test_an_empty_one_too(self, client: Client, make: Make) -> None:
        assert self.shards(client, make()) == [("", "")]

    def test_by_the_number_of_files(self, client: Client, make: Make) -> None:
        made = make(*((f"/{n}", b"1") for n in range(5)))
        assert self.shards(client, made, num_files=2) == [("", "/2"), ("/2", "/4"), ("/4", "")]

    def test_by_size(self, client: Client, make: Make) -> None:
        made = make(*((f"/{n}", b"1234") for n in range(4)))
        assert self.shards(client, made, size_bytes=8) == [("", "/2"), ("/2", "")]

    def test_the_ranges_hold_all_files_once(self, client: Client, make: Make, held: Any) -> None:
        made = make(*((f"/{n}", b"1") for n in range(5)))
        found = [
            path
            for lower, upper in self.shards(client, made, num_files=2)
            for path in held(made).glob("/*", path_range=pfs.PathRange(lower=lower, upper=upper))
        ]
        assert found == [f"/{n}" for n in range(5)]

    def test_of_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            self.shards(client, NOBODYS)


class TestTimeToLive:
    def test_it_can_be_renewed(self, client: Client, make: Make, held: Any) -> None:
        made = make(("/a", b"1"))
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=60)
        assert held(made).files() == {"/a": b"1"}

    @pytest.mark.parametrize("seconds", [1, 1800])
    def test_what_it_can_be_at_least_and_at_most(self, client: Client, make: Make, seconds: int) -> None:
        client.pfs.renew_file_set(file_set_id=make(("/a", b"1")), ttl_seconds=seconds)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, r"ttl \(0\) must be at least one second"),
            (-1, r"ttl \(-1000000000\) must be at least one second"),
            (1801, r"ttl \(1801000000000\) exceeds max ttl \(1800000000000\)"),
        ],
    )
    def test_bounds(self, client: Client, make: Make, refused: Refused, seconds: int, text: str) -> None:
        with refused(UNKNOWN, text):
            client.pfs.renew_file_set(file_set_id=make(("/a", b"1")), ttl_seconds=seconds)

    def test_an_id_that_is_none(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "parsing fileset.Token: too short"):
            client.pfs.renew_file_set(file_set_id="nope", ttl_seconds=60)

    def test_one_that_is_not_there(self, client: Client, refused: Refused) -> None:
        with refused(NOT_FOUND, f"fileset/{NOBODYS} not found"):
            client.pfs.renew_file_set(file_set_id=NOBODYS, ttl_seconds=60)

    @pytest.mark.embedded_only  # a real pachd takes it away at its next garbage collection
    def test_it_is_gone_when_its_time_is_over(self, client: Client, make: Make, held: Any) -> None:
        made = make(("/a", b"1"))
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=1)
        poll(lambda: _is_gone(held(made)))

    @pytest.mark.embedded_only
    def test_commits_keep_what_they_got(
        self, client: Client, make: Make, commit_of: Any, data: Data, held: Any
    ) -> None:
        made = make(("/a", b"1"))
        commit_of(data, made)
        client.pfs.renew_file_set(file_set_id=made, ttl_seconds=1)
        poll(lambda: _is_gone(held(made)))
        assert data.files() == {"/a": b"1"}


def _is_gone(data: Data) -> bool:
    try:
        data.walk()
    except grpc.RpcError as error:
        return bool(error.details() == "path does not exist")
    return False
