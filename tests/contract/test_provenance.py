# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks along the provenance of branches and commits, and what taking commits out does to it."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import Data, Lab, pfs_input

MISSING = "0123456789ab4cdef0123456789abcde"


@pytest.fixture
def diamond(new_repo: Any) -> tuple[Data, Data, Data, Data]:
    """a; b and c from it; d from both. The head of each is of one set, and open but for that of a."""
    a, b, c, d = (new_repo() for _ in range(4))
    for down, *upstream in ((b, a), (c, a), (d, b, c)):
        down.derive(*upstream)
    for data in (b, c, d):
        data.finish()
    a.put({"/a": b"1"})
    return a, b, c, d


def branch_names(infos: Any) -> list[str]:
    return [info.branch.repo.name for info in infos]


def commit_names(infos: Any) -> list[str]:
    return [info.commit.repo.name for info in infos]


def names(*repos: Data) -> list[str]:
    return [data.repo.name for data in repos]


def picker(data: Data) -> pfs.BranchPicker:
    return data.branch().as_picker()


def commit_picker(data: Data, at: str = "master") -> pfs.CommitPicker:
    return pfs.CommitPicker.from_uri(f"{data.name}@{at}")


def finish_all(*repos: Data) -> None:
    for data in repos:
        if data.state() == "started":
            data.finish()


# Walks


@pytest.mark.parametrize(
    ("depth", "expected"), [(0, "dbca"), (1, "dbc"), (2, "dbca")], ids=["all", "1 step", "2 steps"]
)
def test_branches_upstream(client: Client, diamond: Any, depth: int, expected: str) -> None:
    *_, d = diamond
    found = branch_names(client.pfs.walk_branch_provenance(start=[picker(d)], max_depth=depth))
    assert found[0] == d.repo.name
    assert sorted(found) == sorted(names(*(diamond["abcd".index(letter)] for letter in expected)))


@pytest.mark.parametrize(
    ("depth", "expected"), [(0, "abcd"), (1, "abc"), (2, "abcd")], ids=["all", "1 step", "2 steps"]
)
def test_branches_downstream(client: Client, diamond: Any, depth: int, expected: str) -> None:
    a = diamond[0]
    found = branch_names(client.pfs.walk_branch_subvenance(start=[picker(a)], max_depth=depth))
    assert found[0] == a.repo.name
    assert sorted(found) == sorted(names(*(diamond["abcd".index(letter)] for letter in expected)))


def test_a_walk_gives_at_most_as_many_as_it_is_asked_for(client: Client, diamond: Any) -> None:
    a, *_, d = diamond
    assert len(list(client.pfs.walk_branch_provenance(start=[picker(d)], max_branches=2))) == 2
    assert len(list(client.pfs.walk_commit_subvenance(start=[commit_picker(a)], max_commits=3))) == 3


def test_a_branch_met_on_two_ways_comes_once(client: Client, diamond: Any) -> None:
    a, *_, d = diamond
    found = branch_names(client.pfs.walk_branch_provenance(start=[picker(d)]))
    assert found.count(a.repo.name) == 1


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_commits_upstream_and_downstream(client: Client, diamond: Any, depth: int) -> None:
    a, b, c, d = diamond
    upstream = commit_names(client.pfs.walk_commit_provenance(start=[commit_picker(d)], max_depth=depth))
    downstream = commit_names(client.pfs.walk_commit_subvenance(start=[commit_picker(a)], max_depth=depth))
    assert sorted(upstream) == sorted(names(b, c, d) if depth == 1 else names(a, b, c, d))
    assert sorted(downstream) == sorted(names(a, b, c) if depth == 1 else names(a, b, c, d))


def test_a_walk_from_an_older_commit_is_of_its_time(client: Client, diamond: Any) -> None:
    a, _, _, d = diamond
    old = a.head()
    finish_all(*diamond[1:])
    a.put({"/b": b"1"})
    for start, expected in ((old, old), (a.head(), a.head())):
        found = client.pfs.walk_commit_provenance(start=[commit_picker(d, start)])
        assert {info.commit.id for info in found} == {expected}


def test_walks_from_what_is_missing(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "not found"):
        list(client.pfs.walk_branch_provenance(start=[picker(data)]))
    with refused(StatusCode.NOT_FOUND, "not found"):
        list(client.pfs.walk_commit_provenance(start=[commit_picker(data, MISSING)]))
    with refused(StatusCode.NOT_FOUND, "not found"):
        list(client.pfs.walk_commit_subvenance(start=[commit_picker(data, MISSING)]))


def test_a_branch_tells_its_whole_provenance_and_the_direct_one(client: Client, diamond: Any) -> None:
    a, b, c, d = diamond
    below = client.pfs.inspect_branch(branch=d.branch())
    assert sorted(branch.repo.name for branch in below.provenance) == sorted(names(a, b, c))
    assert sorted(branch.repo.name for branch in below.direct_provenance) == sorted(names(b, c))
    top = client.pfs.inspect_branch(branch=a.branch())
    assert sorted(branch.repo.name for branch in top.subvenance) == sorted(names(b, c, d))


def test_a_diamond_gets_one_commit_of_a_set_in_each_repo(diamond: Any) -> None:
    a, b, c, d = diamond
    assert {data.head() for data in diamond} == {a.head()}
    assert {commit.id for commit in d.info().direct_provenance} == {a.head()}
    assert sorted(commit.repo.name for commit in d.info().direct_provenance) == sorted(names(b, c))


def test_provenance_that_is_replaced(client: Client, new_repo: Any) -> None:
    one, other, down = (new_repo() for _ in range(3))
    for data in (one, other):
        data.put({"/a": b"1"})
    down.derive(one)
    down.finish()
    down.derive(other)
    assert [commit.id for commit in down.info().direct_provenance] == [other.head()]
    before = down.head()
    one.put({"/b": b"1"})
    assert down.head() == before


def test_provenance_that_is_taken_away_makes_no_commit(client: Client, new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    up.put({"/a": b"1"})
    down.derive(up)
    before = down.head()
    client.pfs.create_branch(branch=down.branch())
    assert down.head() == before
    assert client.pfs.inspect_branch(branch=down.branch()).direct_provenance == []


# Sets


def drop(client: Client, commit_id: str) -> None:
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit_id))


def squash(client: Client, commit_id: str) -> None:
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=commit_id))


def test_dropping_a_set_takes_every_head_back(client: Client, diamond: Any) -> None:
    a, *below = diamond
    before = {data.repo.name: data.head() for data in below}
    finish_all(*below)
    first = a.head()
    commit = a.put({"/b": b"1"})
    assert {data.head() for data in diamond} == {commit}
    drop(client, commit)
    assert {data.repo.name: data.head() for data in below} == before
    assert (a.head(), a.ls()) == (first, ["/a"])


def test_dropping_the_only_set_begins_anew_with_one_that_is_derived_from_itself(
    client: Client, new_repo: Any
) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)  # makes the branch upstream as well
    only = up.head()
    assert down.head() == only
    drop(client, only)
    assert up.head() == down.head() != only
    assert [commit.id for commit in down.info().direct_provenance] == [up.head()]
    assert (up.state(), down.state()) == ("finished", "started")


def test_squashing_a_set_keeps_all_files_in_every_repo(client: Client, diamond: Any) -> None:
    a, b, *_ = diamond
    b.put({"/b": b"1"})
    finish_all(*diamond[1:])
    first = a.head()
    a.put({"/c": b"1"})
    finish_all(*diamond[1:])
    squash(client, first)
    assert all(first not in data.history() for data in diamond)
    assert (a.ls(), b.ls()) == (["/a", "/c"], ["/b"])


def test_a_set_with_an_open_child_is_not_squashed(client: Client, diamond: Any, refused: Any) -> None:
    a = diamond[0]
    finish_all(*diamond[1:])
    first = a.head()
    a.put({"/c": b"1"})
    with refused(StatusCode.UNKNOWN, "cannot squash until child commit .* is finished"):
        squash(client, first)
    assert first in a.history()


@pytest.mark.parametrize("verb", [drop, squash], ids=["drop", "squash"])
def test_sets_that_depend_on_a_set_by_others_are_named(
    client: Client, new_repo: Any, refused: Any, verb: Any
) -> None:
    """x is read by y in a later set, and y by z in a later one again."""
    x, y, z, v, w = (new_repo() for _ in range(5))
    first = x.put({"/a": b"1"})
    y.derive(x, v)
    y.finish()
    second = v.put({"/a": b"1"})
    y.finish()
    z.derive(y, w)
    z.finish()
    third = w.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, f"(?s)subvenant commit sets: .*({second}.*{third}|{third}.*{second})"):
        verb(client, first)
    assert x.head() == first


def test_a_set_that_updated_a_pipeline_stays(client: Client, lab: Lab, refused: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    created = lab.job(pipeline).job.id
    for verb in (drop, squash):
        with refused(StatusCode.UNKNOWN, "cannot squash commit .* because it updated a pipeline"):
            verb(client, created)


def test_dropping_an_input_takes_the_output_back_and_leaves_the_job(client: Client, lab: Lab) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    before = lab.job(pipeline).job.id
    commit = lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"
    drop(client, commit)
    assert lab.data(pipeline).head() == before
    assert lab.files(pipeline) == {"/a": "1"}
    assert lab.state(pipeline, commit) == "SUCCESS"
    lab.put(repo, {"c": "3"})
    assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"
    assert lab.files(pipeline) == {"/a": "1", "/c": "3"}


def test_squashing_an_input_leaves_output_and_job(client: Client, lab: Lab) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    lab.job(pipeline)
    middle = lab.put(repo, {"b": "2"})
    lab.job(pipeline, middle)
    last = lab.put(repo, {"c": "3"})
    lab.job(pipeline, last)
    squash(client, middle)
    assert middle not in lab.data(repo).history()
    assert middle not in lab.data(pipeline).history()
    assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3"}
    assert [lab.state(pipeline, job) for job in (middle, last)] == ["SUCCESS", "SUCCESS"]
    lab.put(repo, {"d": "4"})
    assert lab.counts(pipeline) == "SUCCESS p1 s3 t4"


def test_a_chain_of_pipelines_is_walked(client: Client, lab: Lab) -> None:
    repo = lab.repo(a="1")
    first = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    second = lab.pipeline(pfs_input(first), f"cp /pfs/{first}/* /pfs/out/")
    lab.job(second)
    found = client.pfs.walk_branch_provenance(start=[lab.data(second).branch().as_picker()])
    kinds = {(info.branch.repo.name, info.branch.repo.type) for info in found}
    assert kinds == {
        (second, "user"),
        (first, "user"),
        (repo, "user"),
        (second, "spec"),
        (first, "spec"),
    }


# fsck


def test_fsck_has_nothing_to_say_after_all_of_that(client: Client, diamond: Any, lab: Lab) -> None:
    """Only lines about this test's own repos count: the pachd may have others."""
    a, *below = diamond
    finish_all(*below)
    a.put({"/b": b"1"})
    drop(client, a.head())
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    lab.job(pipeline)
    for options in ({}, {"fix": True}):
        said = [f"{answer.error}{answer.fix}" for answer in client.pfs.fsck(**options)]
        assert [line for line in said if lab.project in line] == []


def test_fsck_finds_no_stale_output(client: Client, lab: Lab) -> None:
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    lab.job(pipeline)
    lab.put(repo, delete="/a")
    assert lab.counts(pipeline) == "SUCCESS s1 t1"
    said = [answer.error for answer in client.pfs.fsck(zombie_all=True)]
    assert [line for line in said if lab.project in line or "/a" in line] == []
