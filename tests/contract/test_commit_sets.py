# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits that share an id across repos; squashing and dropping them."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

MISSING = "0123456789ab4cdef0123456789abcde"


def ids(infos: Any) -> list[tuple[str, str]]:
    return [(info.commit.repo.as_uri(), info.commit.id) for info in infos]


# Sets


def test_a_set_is_listed_upstream_first(client: Client, new_repo: Any) -> None:
    a, b, c = new_repo(), new_repo(), new_repo()
    b.derive(a)
    c.derive(a, b)
    commit = a.put({"/a": b"1"})
    found = ids(client.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=commit)))
    assert found == [(a.name, commit), (b.name, commit), (c.name, commit)]


def test_a_set_comes_after_the_commits_that_it_depends_on(client: Client, new_repo: Any) -> None:
    a, b, down = new_repo(), new_repo(), new_repo()
    old = b.put({"/b": b"1"})
    down.derive(a, b)
    commit = a.put({"/a": b"1"})
    # No alias commit is made in b: the derived commit names the one that b had.
    assert b.history() == [old]
    assert {c.id for c in down.info(commit).direct_provenance} == {old, commit}
    assert [c.repo.as_uri() for c in b.info().direct_subvenance] == [down.name, down.name]
    found = ids(client.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=commit)))
    assert sorted(found[:2]) == sorted([(b.name, old), (a.name, commit)])
    assert found[2:] == [(down.name, commit)]


def test_a_wait_for_a_set_gives_finished_commits_first(
    client: Client, new_repo: Any, background: Any
) -> None:
    up, slow, quick = new_repo(), new_repo(), new_repo()
    for down in (slow, quick):
        down.derive(up)
        down.finish()
    commit = up.put({"/a": b"1"})
    quick.finish(commit)
    stream = client.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=commit), wait=True)
    first = [background(next, stream).result(10) for _ in range(2)]
    assert ids(first) == [(up.name, commit), (quick.name, commit)]
    last = background(next, stream)
    slow.finish(commit)
    assert ids([last.result(10)]) == [(slow.name, commit)]


def test_sets_are_listed_newest_first(client: Client, new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    commits = [up.put({f"/{n}": b"1"}) for n in range(2)]
    sets = list(client.pfs.list_commit_set(project=up.repo.project))
    assert [found.commit_set.id for found in sets] == [*commits[::-1], down.history(reverse=True)[0]]
    assert ids(sets[0].commits) == [(up.name, commits[1]), (down.name, commits[1])]
    assert list(client.pfs.list_commit_set(project=pfs.Project(name="nope"))) == []


def test_a_missing_set(client: Client, refused: Any) -> None:
    missing = pfs.CommitSet(id=MISSING)
    with refused(StatusCode.NOT_FOUND, MISSING):
        list(client.pfs.inspect_commit_set(commit_set=missing))
    client.pfs.squash_commit_set(commit_set=missing)
    client.pfs.drop_commit_set(commit_set=missing)


# Squash and drop


def test_squash_keeps_the_files(client: Client, data: Any) -> None:
    first, second, third = (data.put({f"/{n}": b"1"}) for n in "abc")
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=second))
    assert data.history() == [third, first]
    assert data.info(third).parent_commit.id == first
    assert data.ls() == ["/a", "/b", "/c"]
    assert data.ls(at=first) == ["/a"]


def test_squash_of_the_root(client: Client, data: Any) -> None:
    first, second = data.put({"/a": b"1"}), data.put({"/b": b"1"})
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=first))
    assert data.history() == [second]
    assert "parentCommit" not in data.info().to_dict()
    assert data.ls() == ["/a", "/b"]


def test_the_head_is_not_squashed(client: Client, data: Any, refused: Any) -> None:
    head = data.put({"/a": b"1"})
    text = (
        "cannot squash a commit that has no children as that would cause data loss,"
        f" use the drop operation instead: {data.name}@{head}"
    )
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=head))
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.squash_commit(commit=data.commit(head))
    assert data.ls() == ["/a"]


def test_a_commit_is_not_squashed_into_an_open_child(client: Client, data: Any, refused: Any) -> None:
    first = data.put({"/a": b"1"})
    child = data.start()
    with refused(StatusCode.UNKNOWN, f"cannot squash until child commit .*{child} is finished"):
        client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=first))


def test_drop_takes_the_files_along(client: Client, data: Any) -> None:
    first, second = data.put({"/a": b"1"}), data.put({"/b": b"1"})
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=second))
    assert (data.history(), data.head(), data.ls()) == ([first], first, ["/a"])


def test_a_commit_with_children_is_not_dropped(client: Client, data: Any, refused: Any) -> None:
    first = data.put({"/a": b"1"})
    data.put({"/b": b"1"})
    text = f"cannot drop a commit that has children: {data.name}@{first}"
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=first))
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.drop_commit(commit=data.commit(first))


def test_a_branch_whose_only_commit_is_dropped_gets_a_new_empty_head(client: Client, data: Any) -> None:
    only = data.put({"/a": b"1"})
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=only))
    assert data.history() == [data.head()] != [only]
    info = data.info()
    assert (info.origin.kind, data.state(), data.ls()) == (pfs.OriginKind.AUTO, "finished", [])


def test_a_derived_branch_whose_only_commit_is_dropped_keeps_its_provenance(
    client: Client, new_repo: Any
) -> None:
    up, down = new_repo(), new_repo()
    up.put({"/a": b"1"})
    down.derive(up)
    client.pfs.drop_commit(commit=down.commit())
    assert [commit.id for commit in down.info().direct_provenance] == [up.head()]


@pytest.mark.parametrize("verb", ["squash", "drop"])
def test_a_set_that_others_were_derived_from_stays(
    client: Client, new_repo: Any, refused: Any, verb: str
) -> None:
    up, down = new_repo(), new_repo()
    commit = up.put({"/a": b"1"})
    down.derive(up)
    with refused(StatusCode.UNKNOWN, f'commit set ".*{commit}.*" cannot be dropped because it has subvenant'):
        getattr(client.pfs, f"{verb}_commit_set")(commit_set=pfs.CommitSet(id=commit))


@pytest.mark.parametrize("verb", ["squash", "drop"])
def test_one_commit_with_others_derived_from_it(
    client: Client, new_repo: Any, refused: Any, verb: str
) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    down.finish()
    commit = up.put({"/a": b"1"})
    down.finish()
    if verb == "squash":
        up.put({"/b": b"1"})
        down.finish()
    call = getattr(client.pfs, f"{verb}_commit")
    with refused(StatusCode.UNKNOWN, f"cannot {verb} commit .* with subvenance without recursive"):
        call(commit=up.commit(commit))
    call(commit=up.commit(commit), recursive=True)
    assert commit not in up.history()
    assert commit not in down.history()


# Walks along provenance


def test_walks_between_commits(client: Client, new_repo: Any) -> None:
    a, b, c = new_repo(), new_repo(), new_repo()
    b.derive(a)
    c.derive(b)
    commit = a.put({"/a": b"1"})
    start = [pfs.CommitPicker.from_uri(f"{c.name}@{commit}")]
    assert ids(client.pfs.walk_commit_provenance(start=start)) == [(r.name, commit) for r in (c, b, a)]
    nearest = client.pfs.walk_commit_provenance(start=start, max_depth=1)
    assert ids(nearest) == [(r.name, commit) for r in (c, b)]
    start = [pfs.CommitPicker.from_uri(f"{a.name}@master")]
    assert ids(client.pfs.walk_commit_subvenance(start=start)) == [(r.name, commit) for r in (a, b, c)]
    one = client.pfs.walk_commit_subvenance(start=start, max_commits=1)
    assert ids(one) == [(a.name, commit)]


def test_pickers_name_ancestors_and_the_root(client: Client, data: Any) -> None:
    commits = [data.put({f"/{n}": b"1"}) for n in range(3)]
    pickers = [
        (pfs.CommitPicker.from_uri(f"{data.name}@{name}"), n) for name, n in (("master^2", 0), ("master", 2))
    ]
    pickers += [
        (
            pfs.CommitPicker(
                branch_root=pfs.CommitPickerBranchRoot(offset=n, branch=data.branch().as_picker())
            ),
            n,
        )
        for n in range(3)
    ]
    for picker, index in pickers:
        (info,) = client.pfs.walk_commit_provenance(start=[picker])
        assert info.commit.id == commits[index], picker
