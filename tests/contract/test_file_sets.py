# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: made, read, added to commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import Data, modification

Refused = Callable[..., Any]
Make = Callable[..., str]

UNKNOWN = grpc.StatusCode.UNKNOWN
NOT_FOUND = grpc.StatusCode.NOT_FOUND

# A well-formed id of no file set.
NOBODYS = "0" * 32

DIFF = pfs.GetFileSetRequestFileSetType.DIFF


class TestCreate:
    def test_the_id_has_a_token_and_a_digest(self, new_file_set: Make) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{64}", new_file_set(("/a", b"1")))

    def test_each_has_a_token_of_its_own(self, new_file_set: Make) -> None:
        first, second = (new_file_set(("/a", b"1")).partition(".") for _ in range(2))
        assert first[0] != second[0]
        assert first[2] == second[2]

    def test_other_content_has_another_digest(self, new_file_set: Make) -> None:
        assert new_file_set(("/a", b"1")).partition(".")[2] != new_file_set(("/a", b"2")).partition(".")[2]

    def test_an_empty_one(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set()).walk() == []

    def test_a_commit_cannot_be_named(self, client: Client, data: Data, refused: Refused) -> None:
        with refused(UNKNOWN, "cannot set commit"):
            client.pfs.create_file_set(iter([pfs.ModifyFileRequest(set_commit=data.commit())]))

    @pytest.mark.parametrize("path", ["/a*", "/../a", ""])
    def test_paths_are_checked(self, new_file_set: Make, refused: Refused, path: str) -> None:
        with refused(UNKNOWN, r"path \("):
            new_file_set((path, b"1"))

    def test_a_stream_that_breaks_makes_none(self, client: Client) -> None:
        def broken() -> Iterator[pfs.ModifyFileRequest]:
            yield modification(("/a", b"1"))
            raise ZeroDivisionError

        with pytest.raises(grpc.RpcError):
            client.pfs.create_file_set(broken())

    def test_no_repo_is_made(self, client: Client, new_file_set: Make) -> None:
        new_file_set(("/a", b"1"))
        assert "__filesets__" not in [info.repo.name for info in client.pfs.list_repo(type="")]

    def test_the_name_of_their_repo_is_reserved(self, client: Client, refused: Refused) -> None:
        with refused(UNKNOWN, "__filesets__ is a reserved name"):
            client.pfs.create_repo(repo=pfs.Repo.from_uri("__filesets__"))


class TestRead:
    def test_content(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1"), ("/d/b", b"22"))).files() == {"/a": b"1", "/d/b": b"22"}

    def test_by_the_token_alone(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1")).partition(".")[0]).files() == {"/a": b"1"}

    def test_list(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1"), ("/d/b", b"22"))).ls() == ["/a", "/d/"]

    def test_glob(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1"), ("/b", b"2"))).glob("/a*") == ["/a"]

    def test_inspect(self, new_file_set: Make, file_set: Any, data: Data) -> None:
        data.put({"/d/a": b"123"})
        info = file_set(new_file_set(("/d/a", b"123"))).inspect("/d/")
        assert (info.size_bytes, info.hash) == (3, data.inspect("/d/").hash)

    def test_a_path_twice_is_appended(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1"), ("/b", b""), ("/a", b"2"))).read("/a") == b"12"

    def test_add_then_delete_is_gone(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/a", b"1"), "/a", ("/b", b"2"))).walk() == ["/", "/b"]

    def test_a_deleted_directory_is_gone(self, new_file_set: Make, file_set: Any) -> None:
        assert file_set(new_file_set(("/d/a", b"1"), ("/e", b"2"), "/d/")).walk() == ["/", "/e"]

    def test_copied_from_a_commit(self, new_file_set: Make, file_set: Any, data: Data) -> None:
        data.put({"/d/a": b"1", "/d/b": b"2"})
        copy = pfs.CopyFile(dst="/c", src=data.file("/d"))
        assert file_set(new_file_set(copy)).files() == {"/c/a": b"1", "/c/b": b"2"}

    def test_a_copy_of_it_in_a_commit(self, new_file_set: Make, file_set: Any, data: Data) -> None:
        source = file_set(new_file_set(("/a", b"1"))).file("/a")
        data.modify([pfs.CopyFile(dst="/b", src=source)])
        assert data.files() == {"/b": b"1"}

    def test_what_is_not_in_it(self, new_file_set: Make, file_set: Any, refused: Refused) -> None:
        with refused(NOT_FOUND, "file /nope not found in repo default/__filesets__ at commit "):
            file_set(new_file_set(("/a", b"1"))).read("/nope")

    def test_an_id_that_is_none(self, file_set: Any, refused: Refused) -> None:
        with refused(UNKNOWN, "parsing fileset.Token: too short"):
            file_set("nope").read("/a")

    def test_one_that_is_not_there(self, file_set: Any, refused: Refused) -> None:
        with refused(UNKNOWN, "path does not exist"):
            file_set(NOBODYS).read("/a")


class TestAdd:
    def test_its_files_are_in_the_commit(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        commit_of_file_sets(data, new_file_set(("/a", b"1"), ("/d/b", b"2")))
        assert data.files() == {"/a": b"1", "/d/b": b"2"}

    def test_they_can_be_read_before_it_is_finished(
        self, client: Client, new_file_set: Make, data: Data
    ) -> None:
        data.start()
        client.pfs.add_file_set(commit=data.info().commit, file_set_id=new_file_set(("/a", b"1")))
        assert data.files() == {"/a": b"1"}

    def test_by_the_name_of_the_branch(self, client: Client, new_file_set: Make, data: Data) -> None:
        data.start()
        client.pfs.add_file_set(commit=data.commit("master"), file_set_id=new_file_set(("/a", b"1")))
        assert data.files() == {"/a": b"1"}

    def test_hashes_are_those_of_files_that_were_put(
        self, new_file_set: Make, commit_of_file_sets: Any, new_repo: Any
    ) -> None:
        content, put, added = bytes(range(256)) * 4, new_repo(), new_repo()
        put.put({"/a": content})
        commit_of_file_sets(added, new_file_set(("/a", content)))
        assert added.inspect("/a").hash == put.inspect("/a").hash

    def test_several_in_one_commit(self, new_file_set: Make, commit_of_file_sets: Any, data: Data) -> None:
        commit_of_file_sets(data, new_file_set(("/a", b"1")), new_file_set(("/b", b"2")))
        assert data.files() == {"/a": b"1", "/b": b"2"}

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_path_of_two_is_joined_in_the_order_of_adding(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data, order: tuple[int, int]
    ) -> None:
        sets, parts = [new_file_set(("/a", b"first")), new_file_set(("/a", b"second"))], [b"first", b"second"]
        commit_of_file_sets(data, *(sets[n] for n in order))
        assert data.read("/a") == b"".join(parts[n] for n in order)

    def test_a_path_of_the_parent_is_appended_to(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"old"})
        commit_of_file_sets(data, new_file_set(("/a", b"new")))
        assert data.read("/a") == b"oldnew"

    def test_delete_works_on_the_parent(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"old", "/b": b"stays"})
        commit_of_file_sets(data, new_file_set("/a"))
        assert data.files() == {"/b": b"stays"}

    def test_delete_and_add_replace_what_the_parent_has(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"old"})
        commit_of_file_sets(data, new_file_set("/a", ("/a", b"new")))
        assert data.read("/a") == b"new"

    def test_add_then_delete_also_deletes_from_the_parent(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"old"})
        commit_of_file_sets(data, new_file_set(("/a", b"new"), "/a"))
        assert data.files() == {}

    def test_a_deletion_works_on_what_an_earlier_one_added(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        commit_of_file_sets(data, new_file_set(("/a", b"1")), new_file_set("/a", ("/a", b"2")))
        assert data.read("/a") == b"2"

    def test_used_in_several_commits(
        self, new_file_set: Make, commit_of_file_sets: Any, new_repo: Any
    ) -> None:
        file_set_id, repos = new_file_set(("/a", b"1")), [new_repo(), new_repo()]
        for data in repos:
            commit_of_file_sets(data, file_set_id)
        assert [data.files() for data in repos] == [{"/a": b"1"}] * 2

    def test_used_twice_in_a_repo(self, new_file_set: Make, commit_of_file_sets: Any, data: Data) -> None:
        file_set_id = new_file_set(("/a", b"1"))
        commit_of_file_sets(data, file_set_id)
        commit_of_file_sets(data, file_set_id)
        assert data.read("/a") == b"11"

    def test_an_empty_one_changes_nothing(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        data.put({"/a": b"1"})
        commit_of_file_sets(data, new_file_set())
        assert data.files() == {"/a": b"1"}

    def test_files_say_which_commit_wrote_them(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        commit_id = commit_of_file_sets(data, new_file_set(("/a", b"1")))
        assert data.inspect("/a").file.commit.id == commit_id

    def test_a_file_and_a_directory_of_one_name(
        self, new_file_set: Make, commit_of_file_sets: Any, data: Data
    ) -> None:
        commit_of_file_sets(data, new_file_set(("/a", b"1")), new_file_set(("/a/b", b"2")))
        assert data.info().error == "file / directory path collision (/a/b)"

    def test_to_a_finished_commit(
        self, client: Client, new_file_set: Make, data: Data, refused: Refused
    ) -> None:
        commit_id = data.put({"/a": b"1"})
        with refused(UNKNOWN, f"commit {data.name}@{commit_id} has already finished"):
            client.pfs.add_file_set(commit=data.commit(commit_id), file_set_id=new_file_set(("/b", b"2")))

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

    def test_to_a_repo_that_is_missing(
        self, client: Client, new_file_set: Make, lab: Any, refused: Refused
    ) -> None:
        nowhere = lab.data("nope")
        with refused(NOT_FOUND):
            client.pfs.add_file_set(commit=nowhere.commit("master"), file_set_id=new_file_set(("/a", b"1")))


class TestOfACommit:
    def test_its_files(self, client: Client, data: Data, file_set: Any) -> None:
        data.put({"/a": b"1"})
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        assert file_set(made).files() == {"/a": b"1", "/b": b"2"}

    def test_those_of_an_open_commit(self, client: Client, data: Data, file_set: Any) -> None:
        data.put({"/a": b"1"})
        data.start()
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        assert file_set(made).files() == {"/a": b"1", "/b": b"2"}

    def test_it_stays_as_it_was(self, client: Client, data: Data, file_set: Any) -> None:
        data.put({"/a": b"1"})
        made = client.pfs.get_file_set(commit=data.commit()).file_set_id
        data.put({"/a": b"2"})
        assert file_set(made).files() == {"/a": b"1"}

    def test_it_can_be_added_to_another_repo(
        self, client: Client, new_repo: Any, commit_of_file_sets: Any
    ) -> None:
        one, other = new_repo(), new_repo()
        one.put({"/a": b"1"})
        commit_of_file_sets(other, client.pfs.get_file_set(commit=one.commit()).file_set_id)
        assert other.files() == {"/a": b"1"}

    def test_what_it_changed(self, client: Client, data: Data, file_set: Any) -> None:
        data.put({"/a": b"1"})
        data.put({"/b": b"2"})
        made = client.pfs.get_file_set(commit=data.commit(), type=DIFF).file_set_id
        assert file_set(made).files() == {"/b": b"2"}

    def test_what_it_deleted_is_deleted_by_its_changes(
        self, client: Client, new_repo: Any, commit_of_file_sets: Any
    ) -> None:
        one, other = new_repo(), new_repo()
        for data in (one, other):
            data.put({"/a": b"1", "/b": b"2"})
        one.modify(["/a"])
        commit_of_file_sets(other, client.pfs.get_file_set(commit=one.commit(), type=DIFF).file_set_id)
        assert other.files() == {"/b": b"2"}

    def test_of_a_missing_commit(self, client: Client, data: Data, refused: Refused) -> None:
        with refused(NOT_FOUND):
            client.pfs.get_file_set(commit=data.commit("master"))
