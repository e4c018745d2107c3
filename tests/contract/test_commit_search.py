# SPDX-License-Identifier: GPL-3.0-or-later
"""FindCommits and ForgetCommit; the storage's own calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import Data

Refused = Callable[..., Any]

UNKNOWN = grpc.StatusCode.UNKNOWN
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def find(data: Data, path: str, at: str = "master", limit: int = 0) -> list[str]:
    """The ids of the commits that were found."""
    answers = list(data.api.find_commits(start=data.info(at).commit, file_path=path, limit=limit))
    return [answer.found_commit.id for answer in answers[:-1]]


def searched(data: Data, path: str, limit: int = 0) -> tuple[str, int]:
    """The last commit that was looked at, and how many were."""
    *_, last = data.api.find_commits(start=data.info().commit, file_path=path, limit=limit)
    return last.last_searched_commit.id, last.commits_searched


class TestFindCommits:
    def test_those_that_wrote_it_newest_first(self, data: Data) -> None:
        first = data.put({"/a": b"1"})
        data.put({"/b": b"1"})
        third = data.put({"/a": b"2"})
        assert find(data, "/a") == [third, first]

    def test_one_that_deleted_it(self, data: Data) -> None:
        first = data.put({"/a": b"1"})
        data.modify(["/a"])
        assert find(data, "/a") == [data.head(), first]

    def test_from_an_older_commit(self, data: Data) -> None:
        first = data.put({"/a": b"1"})
        data.put({"/a": b"2"})
        assert find(data, "/a", at=first) == [first]

    def test_at_most_so_many(self, data: Data) -> None:
        data.put({"/a": b"1"})
        second = data.put({"/a": b"2"})
        assert find(data, "/a", limit=1) == [second]

    def test_the_last_answer_is_where_the_search_ended(self, data: Data) -> None:
        first = data.put({"/a": b"1"})
        data.put({"/b": b"2"})
        assert searched(data, "/a") == (first, 2)

    def test_a_limit_ends_the_search(self, data: Data) -> None:
        data.put({"/a": b"1"})
        second = data.put({"/a": b"2"})
        assert searched(data, "/a", limit=1) == (second, 1)

    def test_a_file_that_never_was(self, data: Data) -> None:
        first = data.put({"/a": b"1"})
        assert find(data, "/nope") == []
        assert searched(data, "/nope") == (first, 1)

    @pytest.mark.parametrize("path", ["a", "/d", "/d/"])
    def test_only_the_path_of_a_file_as_it_is_stored(self, data: Data, path: str) -> None:
        data.put({"/a": b"1", "/d/a": b"2"})
        assert find(data, path) == []

    def test_a_commit_that_is_open(self, data: Data, refused: Refused) -> None:
        data.start()
        with refused(grpc.StatusCode.UNAVAILABLE, "not finished"):
            find(data, "/a")

    def test_a_commit_that_is_missing(self, data: Data, refused: Refused) -> None:
        with refused(NOT_FOUND):
            list(data.api.find_commits(start=data.commit(32 * "0"), file_path="/a"))


def picker(data: Data, commit_id: str) -> pfs.CommitPicker:
    project = pfs.ProjectPicker(name=data.repo.project.name)
    repo = pfs.RepoPicker(name=pfs.RepoPickerRepoName(project=project, name=data.repo.name, type="user"))
    return pfs.CommitPicker(id=pfs.CommitPickerCommitByGlobalId(repo=repo, id=commit_id))


def forget(data: Data, commit_id: str) -> None:
    data.api.forget_commit(commit=picker(data, commit_id))


@pytest.fixture
def derived(new_repo: Any) -> tuple[Data, str, str]:
    """A repo that depends on another, an older commit of it and its head; both have a file "/a"."""
    upstream, below = new_repo(), new_repo()
    below.derive(upstream)
    below.finish()
    ids = []
    for content in (b"1", b"2"):
        upstream.put({"/a": content})
        below.put({"/a": content})
        ids.append(below.finish().commit.id)
    return below, ids[0], ids[1]


class TestForgetCommit:
    def test_its_files_are_gone(self, derived: tuple[Data, str, str], refused: Refused) -> None:
        data, older, _ = derived
        forget(data, older)
        with refused(UNKNOWN, "the commit is forgotten"):
            data.read("/a", at=older)

    def test_nor_are_they_a_file_set(self, derived: tuple[Data, str, str], refused: Refused) -> None:
        data, older, _ = derived
        forget(data, older)
        with refused(UNKNOWN, "the commit is forgotten"):
            data.api.get_file_set(commit=data.commit(older))

    def test_it_is_listed_all_the_same(self, derived: tuple[Data, str, str]) -> None:
        data, older, head = derived
        forget(data, older)
        assert data.history()[:2] == [head, older]

    def test_later_commits_keep_theirs(self, derived: tuple[Data, str, str]) -> None:
        data, older, _ = derived
        forget(data, older)
        assert data.read("/a") == b"12"

    def test_not_the_head_of_a_branch(self, derived: tuple[Data, str, str], refused: Refused) -> None:
        data, _, head = derived
        with refused(UNKNOWN, "the branch head cannot be a forgotten commit"):
            forget(data, head)

    def test_no_branch_can_be_pointed_at_it(self, derived: tuple[Data, str, str], refused: Refused) -> None:
        data, older, _ = derived
        forget(data, older)
        with refused(UNKNOWN, "the branch head cannot be a forgotten commit"):
            data.api.create_branch(branch=data.branch("old"), head=data.commit(older))

    def test_not_while_a_child_is_open(self, derived: tuple[Data, str, str], refused: Refused) -> None:
        data, older, _ = derived
        data.api.start_commit(branch=data.branch("side"), parent=data.commit(older))
        with refused(UNKNOWN, "Forget Commit: direct descendants must be closed"):
            forget(data, older)

    def test_not_what_users_wrote(self, data: Data, refused: Refused) -> None:
        first = data.put({"/a": b"1"})
        data.put({"/a": b"2"})
        with refused(UNKNOWN, "Forget Commit: the commit to be forgotten must be in an output repo"):
            forget(data, first)


class TestStorage:
    def test_it_tells_how_many_chunks_there_are(self, client: Client, data: Data) -> None:
        data.put({"/a": b"1"})
        assert client.pfs.check_storage().chunk_object_count > 0

    def test_their_content_is_what_it_was(self, client: Client, data: Data) -> None:
        data.put({"/a": b"1"})
        assert client.pfs.check_storage(read_chunk_data=True).chunk_object_count > 0

    def test_nothing_is_beyond_the_last_id(self, client: Client, data: Data) -> None:
        data.put({"/a": b"1"})
        assert client.pfs.check_storage(chunk_begin=33 * b"\xff").chunk_object_count == 0
