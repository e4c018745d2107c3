# SPDX-License-Identifier: GPL-3.0-or-later
"""Branches and their provenance, as a real pachd 2.12 does it."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

MISSING = "0123456789ab4cdef0123456789abcde"


def names(branches: Any) -> list[str]:
    return [f"{branch.repo.as_uri()}@{branch.name}" for branch in branches]


# Create


def test_a_new_branch_has_an_empty_finished_head(client: Client, data: Any) -> None:
    client.pfs.create_branch(branch=data.branch())
    info = data.info()
    assert (info.origin.kind, data.state(), data.ls()) == (pfs.OriginKind.AUTO, "finished", [])
    client.pfs.create_branch(branch=data.branch())
    assert data.history() == [info.commit.id]


@pytest.mark.parametrize("name", ["a", "-", "_", "1", "n" * 300, "0123456789ab5cdef0123456789abcde"])
def test_names_that_a_branch_may_have(client: Client, data: Any, name: str) -> None:
    client.pfs.create_branch(branch=data.branch(name))
    assert client.pfs.branch_exists(data.branch(name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", r"name \(\) invalid: only alphanumeric"),
        ("a b", r"name \(a b\) invalid: only alphanumeric"),
        ("a/b", r"name \(a/b\) invalid: only alphanumeric"),
        ("master^", r"name \(master\^\) invalid: only alphanumeric"),
        (MISSING, "branch name cannot be a UUID V4"),
    ],
)
def test_names_that_a_branch_may_not_have(
    client: Client, data: Any, refused: Any, name: str, text: str
) -> None:
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.create_branch(branch=data.branch(name))
    assert list(client.pfs.list_branch(repo=data.repo)) == []


@pytest.mark.parametrize("head", ["master^", "other"])
def test_the_head_may_be_an_older_commit_or_another_branch(client: Client, data: Any, head: str) -> None:
    first = data.put({"/a": b"1"})
    client.pfs.create_branch(branch=data.branch("other"), head=data.commit(first))
    data.put({"/b": b"1"})
    client.pfs.create_branch(branch=data.branch(), head=data.commit(head))
    assert (data.head(), data.ls()) == (first, ["/a"])


def test_a_new_branch_on_an_old_commit(client: Client, data: Any) -> None:
    first = data.put({"/a": b"1"})
    data.put({"/b": b"1"})
    client.pfs.create_branch(branch=data.branch("old"), head=data.commit(first))
    assert (data.head("old"), data.ls(at="old"), len(data.history())) == (first, ["/a"], 2)


def test_heads_that_a_branch_may_not_have(client: Client, data: Any, new_repo: Any, refused: Any) -> None:
    other = new_repo()
    other.put({"/a": b"1"})
    with refused(StatusCode.NOT_FOUND, MISSING):
        client.pfs.create_branch(branch=data.branch(), head=data.commit(MISSING))
    with refused(StatusCode.UNKNOWN, "branch and head commit must belong to the same repo"):
        client.pfs.create_branch(branch=data.branch(), head=other.commit())
    with refused(StatusCode.NOT_FOUND, "nope"):
        client.pfs.create_branch(branch=pfs.Branch.from_uri("nope@master"))
    assert list(client.pfs.list_branch(repo=data.repo)) == []


def test_branches_are_listed_newest_first(client: Client, data: Any) -> None:
    for name in ("b", "c", "a"):
        client.pfs.create_branch(branch=data.branch(name))

    def listed(**options: Any) -> list[str]:
        return [info.branch.name for info in client.pfs.list_branch(repo=data.repo, **options)]

    assert (listed(), listed(reverse=True)) == (["a", "c", "b"], ["b", "c", "a"])


def test_missing_branches(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "nope"):
        client.pfs.inspect_branch(branch=data.branch("nope"))
    for force in (False, True):
        with refused(StatusCode.NOT_FOUND, "nope"):
            client.pfs.delete_branch(branch=data.branch("nope"), force=force)
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        list(client.pfs.list_branch(repo=pfs.Repo.from_uri("nope")))


# Provenance


def test_provenance_of_branches(client: Client, new_repo: Any) -> None:
    a, b, c = new_repo(), new_repo(), new_repo()
    b.derive(a)
    c.derive(b)
    info = client.pfs.inspect_branch(branch=c.branch())
    assert names(info.direct_provenance) == [f"{b.name}@master"]
    assert sorted(names(info.provenance)) == sorted([f"{a.name}@master", f"{b.name}@master"])
    info = client.pfs.inspect_branch(branch=a.branch())
    assert names(info.subvenance) == [f"{b.name}@master", f"{c.name}@master"]
    start = [pfs.BranchPicker.from_uri(f"{a.name}@master")]
    walked = names(info.branch for info in client.pfs.walk_branch_subvenance(start=start, max_depth=1))
    assert walked == [f"{a.name}@master", f"{b.name}@master"]
    start = [pfs.BranchPicker.from_uri(f"{c.name}@master")]
    walked = names(info.branch for info in client.pfs.walk_branch_provenance(start=start, max_branches=2))
    assert walked == [f"{c.name}@master", f"{b.name}@master"]


def test_creating_provenance_opens_a_commit_downstream(new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    up.put({"/a": b"1"})
    down.derive(up)
    assert (down.state(), down.info().origin.kind) == ("started", pfs.OriginKind.AUTO)
    assert [commit.id for commit in down.info().direct_provenance] == [up.head()]
    before = down.head()
    down.derive(up)
    assert down.head() == before


def test_a_missing_branch_upstream_is_created_but_not_a_repo(
    client: Client, new_repo: Any, refused: Any
) -> None:
    up, down = new_repo(), new_repo()
    client.pfs.create_branch(branch=down.branch(), provenance=[up.branch("new")])
    assert up.state("new") == "finished"
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        client.pfs.create_branch(branch=down.branch("b"), provenance=[pfs.Branch.from_uri("nope@master")])


def test_provenance_that_is_refused(client: Client, new_repo: Any, refused: Any) -> None:
    a, b = new_repo(), new_repo()
    text = f"repo {a.name} cannot be in the provenance of its own branch"
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.create_branch(branch=a.branch(), provenance=[a.branch("other")])
    b.derive(a)
    with refused(StatusCode.INTERNAL, "cycle detected because .* is already in the subvenance of"):
        a.derive(b)
    assert client.pfs.inspect_branch(branch=a.branch()).provenance == []


def test_a_commit_upstream_opens_one_with_the_same_id_on_each_branch_below(new_repo: Any) -> None:
    a, b, c = new_repo(), new_repo(), new_repo()
    b.derive(a)
    c.derive(a, b)
    commit = a.put({"/a": b"1"})
    for down in (b, c):
        assert (down.head(), down.state(), down.info().origin.kind) == (
            commit,
            "started",
            pfs.OriginKind.AUTO,
        )
        assert down.history().count(commit) == 1


def test_a_derived_commit_is_written_and_finished_by_its_owner(new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    up.put({"/a": b"1"})
    down.finish(down.history()[1])
    # ModifyFile by branch goes into the open head, although the branch is derived.
    down.put({"/out": b"1"})
    down.finish()
    assert (down.ls(), len(down.history())) == (["/out"], 2)


def test_a_derived_branch_starts_no_commits_of_its_own(new_repo: Any, refused: Any) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    down.finish()
    text = f"cannot start a commit on an output branch: {down.name}@master"
    with refused(StatusCode.UNKNOWN, text):
        down.start()
    with refused(StatusCode.UNKNOWN, text):
        down.put({"/a": b"1"})
    assert len(down.history()) == 1


def test_a_derived_commit_is_not_read_before_its_base_is_finished(new_repo: Any, refused: Any) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    first = down.head()
    second = up.put({"/a": b"1"})
    text = f"base commit {down.name}@{first} for commit {down.name}@{second} unfinished"
    with refused(StatusCode.UNKNOWN, text):
        down.ls()
    with refused(StatusCode.UNKNOWN, text):
        down.put({"/x": b"1"})
    down.finish(first)
    assert down.ls() == []


# Delete


def test_a_deleted_branch_leaves_its_commits(client: Client, data: Any) -> None:
    commit = data.put({"/a": b"1"})
    client.pfs.delete_branch(branch=data.branch())
    assert list(client.pfs.list_branch(repo=data.repo)) == []
    assert (data.history(), data.ls(at=commit)) == ([commit], ["/a"])


def test_a_branch_in_provenance_is_deleted_by_force_only(client: Client, new_repo: Any, refused: Any) -> None:
    a, b, down = new_repo(), new_repo(), new_repo()
    down.derive(a, b)
    text = rf"cannot be deleted because it's in the direct provenance of \[{down.name}@master\]"
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.delete_branch(branch=a.branch())
    client.pfs.delete_branch(branch=a.branch(), force=True)
    assert names(client.pfs.inspect_branch(branch=down.branch()).provenance) == [f"{b.name}@master"]
    client.pfs.delete_branch(branch=b.branch(), force=True)
    assert client.pfs.inspect_branch(branch=down.branch()).provenance == []
