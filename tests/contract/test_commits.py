# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits: starting, finishing, naming, listing, waiting, as a real pachd 2.12 does it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

MISSING = "0123456789ab4cdef0123456789abcde"


# Start and finish


def test_a_commit_from_start_to_finish(data: Any) -> None:
    commit = data.start()
    assert re.fullmatch("[0-9a-f]{12}4[0-9a-f]{19}", commit)
    assert (data.state(commit), data.info(commit).origin.kind) == ("started", pfs.OriginKind.USER)
    data.put({"/a": b"12"}, at=commit)
    info = data.finish(commit)
    assert info.started <= info.finishing <= info.finished
    assert (info.error, info.details.size_bytes) == ("", 2)
    # pachd 2.12 fills in the branch in PPS answers only.
    assert "branch" not in info.commit.to_dict()
    assert data.api.inspect_branch(branch=data.branch()).head == info.commit


def test_parents_and_children(data: Any) -> None:
    first, second = data.put({"/a": b"1"}), data.put({"/b": b"1"})
    assert "parentCommit" not in data.info(first).to_dict()
    assert [child.id for child in data.info(first).child_commits] == [second]
    assert data.info(second).parent_commit.id == first


def test_a_commit_may_start_from_another_one(data: Any) -> None:
    first = data.put({"/a": b"1"})
    data.put({"/b": b"1"})
    data.api.start_commit(branch=data.branch("side"), parent=data.commit(first))
    data.finish("side")
    assert (data.ls(at="side"), data.ls()) == (["/a"], ["/a", "/b"])


def test_an_empty_commit_is_a_new_one_with_the_same_files(data: Any) -> None:
    before = data.put({"/a": b"1"})
    assert data.start() != before
    data.finish()
    assert (data.ls(), len(data.history())) == (["/a"], 2)


def test_start_while_the_head_is_open(data: Any, refused: Any) -> None:
    open_ = data.start()
    text = f"start commit in transaction: create commit: parent commit .*{open_} has not been finished"
    with refused(StatusCode.UNKNOWN, text):
        data.start()


def test_start_without_a_branch_or_repo(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "branch must be specified"):
        client.pfs.start_commit(branch=pfs.Branch(repo=data.repo))
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        client.pfs.start_commit(branch=pfs.Branch.from_uri("nope@master"))


def test_what_a_finished_commit_refuses(data: Any, refused: Any) -> None:
    commit = data.put({"/a": b"1"})
    text = f"^commit {data.name}@{commit} has already finished$"
    with refused(StatusCode.UNKNOWN, text):
        data.api.finish_commit(commit=data.commit(commit))
    with refused(StatusCode.UNKNOWN, text):
        data.put({"/b": b"1"}, at=commit)
    with refused(StatusCode.UNKNOWN, "^cannot clear finished commit$"):
        data.api.clear_commit(commit=data.commit(commit))


def test_the_description_given_at_the_end_wins(data: Any) -> None:
    for at_end, expected in (("", "start"), ("end", "end")):
        data.api.start_commit(branch=data.branch(), description="start")
        assert data.finish(description=at_end).description == expected


def test_a_commit_that_ends_in_an_error_stays_readable_and_is_not_inherited(data: Any) -> None:
    data.put({"/good": b"1"})
    failed = data.start()
    data.put({"/bad": b"1"})
    assert data.finish(error="boom").error == "boom"
    assert data.head() == failed
    assert data.ls() == ["/bad", "/good"]
    data.put({"/next": b"1"})
    assert data.ls() == ["/good", "/next"]


def test_clear_takes_out_what_was_written_into_an_open_commit(data: Any) -> None:
    data.put({"/a": b"1"})
    data.start()
    data.modify([("/b", b"1"), "/a"])
    assert data.ls() == ["/b"]
    data.api.clear_commit(commit=data.commit())
    data.finish()
    assert data.ls() == ["/a"]


# Names of commits


@pytest.mark.parametrize(
    ("name", "index"),
    [("master", 2), ("master^", 1), ("master^2", 0), ("master^^", 0), ("master.1", 0), ("master.3", 2)],
)
def test_ancestry_by_branch(data: Any, name: str, index: int) -> None:
    commits = [data.put({f"/{n}": b"1"}) for n in range(3)]
    assert data.info(name).commit.id == commits[index]


def test_ancestry_by_id(data: Any) -> None:
    commits = [data.put({f"/{n}": b"1"}) for n in range(3)]
    assert data.info(f"{commits[2]}^").commit.id == commits[1]
    assert data.info(f"{commits[1]}^1").commit.id == commits[0]
    assert data.ls(at=f"{commits[2]}^2") == ["/0"]


@pytest.mark.parametrize("name", ["master^3", "master.4", "master^1^2"])
def test_ancestry_that_leads_too_far(data: Any, refused: Any, name: str) -> None:
    for n in range(3):
        data.put({f"/{n}": b"1"})
    with refused(StatusCode.UNKNOWN, "invalid offset for ancestor"):
        data.info(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [(MISSING, StatusCode.NOT_FOUND), ("nope", StatusCode.NOT_FOUND), ("deadbeef^", StatusCode.ABORTED)],
)
def test_commits_that_are_not_there(data: Any, refused: Any, name: str, code: StatusCode) -> None:
    data.put({"/a": b"1"})
    with refused(code, "."):
        data.info(name)


def test_an_id_that_is_neither_one_nor_a_branch_is_aborted(data: Any, refused: Any) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.ABORTED, "deadbeef"):
        data.api.inspect_commit(commit=pfs.Commit(repo=data.repo, id="deadbeef"))


def test_a_commit_of_a_missing_repo(client: Client, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        client.pfs.inspect_commit(commit=pfs.Commit.from_uri(f"nope@{MISSING}"))
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        list(client.pfs.list_commit(repo=pfs.Repo.from_uri("nope")))


# Lists


def test_lists_of_commits(data: Any) -> None:
    a, b, c, d = (data.put({f"/{n}": b"1"}) for n in "abcd")
    assert data.history() == [d, c, b, a]
    assert data.history(reverse=True) == [a, b, c, d]
    assert data.history(number=2) == [d, c]
    assert data.history(number=2, reverse=True) == [a, b]
    assert data.history(to=data.commit(c)) == [c, b, a]
    assert data.history(to=data.commit(c), from_=data.commit(a)) == [c, b]
    assert data.history(to=data.commit(), number=1) == [d]


def test_a_list_counts_commits_of_the_origin_that_was_asked_for(data: Any) -> None:
    data.api.create_branch(branch=data.branch())
    a, b = data.put({"/a": b"1"}), data.put({"/b": b"1"})
    assert data.history(origin_kind=pfs.OriginKind.USER, number=2, reverse=True) == [a, b]
    assert len(data.history(origin_kind=pfs.OriginKind.AUTO)) == 1
    assert data.history(to=data.commit(), origin_kind=pfs.OriginKind.AUTO) == data.history()[2:]


def test_a_list_of_commits_started_before_a_time(data: Any) -> None:
    a, b, c = (data.put({f"/{n}": b"1"}) for n in "abc")
    middle = data.info(b).started
    assert data.history(started_time=middle) == [a]
    assert data.history(started_time=middle, reverse=True) == [c]


def test_bounds_that_a_list_refuses(data: Any, new_repo: Any, refused: Any) -> None:
    first = data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "cannot use `from` commit without `to` commit"):
        data.history(from_=data.commit(first))
    with refused(StatusCode.UNKNOWN, "cannot use 'Reverse' while also using 'From' or 'To'"):
        data.history(to=data.commit(first), reverse=True)
    other = new_repo()
    other.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "commits need to be from repo"):
        data.history(to=other.commit())


# Waiting


def test_wait_returns_once_the_commit_is_finished(data: Any, background: Any) -> None:
    commit = data.start()
    waited = background(data.api.wait_commit, data.commit(commit))
    assert data.state(commit) == "started"
    assert not waited.done()
    data.api.finish_commit(commit=data.commit(commit))
    assert "finished" in waited.result(10).to_dict()


def test_a_derived_commit_is_finished_after_its_parent(data: Any, new_repo: Any, background: Any) -> None:
    derived = new_repo()
    derived.derive(data)
    data.put({"/a": b"1"})
    first, second = derived.history(reverse=True)[-2:]
    derived.api.finish_commit(commit=derived.commit(second))
    assert derived.state(second) == "finishing"
    waited = background(derived.api.wait_commit, derived.commit(second))
    derived.finish(first)
    assert "finished" in waited.result(10).to_dict()


def test_wait_until_a_commit_is_ready(data: Any, new_repo: Any, background: Any) -> None:
    derived = new_repo()
    derived.derive(data)
    commit = data.start()

    def wait() -> str:
        derived.api.inspect_commit(commit=derived.commit(commit), wait=pfs.CommitState.READY)
        return str(data.state(commit))

    upstream = background(wait)
    # Each of these is a call that could have been answered before the wait.
    assert {derived.state(commit) for _ in range(20)} == {"started"}
    assert not upstream.done()
    data.finish(commit)
    assert upstream.result(10) == "finished"


def test_a_wait_ends_when_the_commit_is_deleted(data: Any, background: Any, refused: Any) -> None:
    commit = data.start()
    waited = background(data.api.wait_commit, data.commit(commit))
    data.api.drop_commit_set(commit_set=pfs.CommitSet(id=commit))
    with refused(StatusCode.NOT_FOUND, "."):
        waited.result(10)


def test_subscribe_gives_old_and_new_commits_of_a_branch(data: Any, background: Any) -> None:
    first = data.put({"/a": b"1"})
    data.put({"/x": b"1"}, at="side")
    stream = data.api.subscribe_commit(
        repo=data.repo, branch="master", state=pfs.CommitState.FINISHED, origin_kind=pfs.OriginKind.USER
    )
    assert next(stream).commit.id == first
    second = data.start()
    following = background(next, stream)
    data.finish(second)
    info = following.result(10)
    assert info.commit.id == second
    assert "finished" in info.to_dict()
    stream.close()


def test_subscribe_from_a_commit_leaves_it_out(data: Any) -> None:
    first, second = data.put({"/a": b"1"}), data.put({"/b": b"1"})
    stream = data.api.subscribe_commit(repo=data.repo, branch="master", from_=data.commit(first))
    assert next(stream).commit.id == second
    stream.close()


def test_subscribe_to_a_missing_repo(client: Client, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "nope"):
        next(client.pfs.subscribe_commit(repo=pfs.Repo.from_uri("nope"), branch="master"))
