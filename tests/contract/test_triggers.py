# SPDX-License-Identifier: GPL-3.0-or-later
"""Branch triggers: which heads a branch gets from the one that it follows, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, transaction

from tests.contract.lab import Data, Lab, pfs_input


def follow(data: Data, branch: str = "slow", source: str = "master", **conditions: Any) -> None:
    trigger = pfs.Trigger(branch=source, **conditions)
    data.api.create_branch(branch=data.branch(branch), trigger=trigger)


def puts(data: Data, count: int, size: int = 1, branch: str = "slow") -> list[int | None]:
    """Makes commits of `size` bytes on master; after each, which of them is the head of the branch."""
    made: list[Any] = []
    seen: list[int | None] = []
    for _ in range(count):
        made.append(data.put({f"/{len(made)}-{size}": b"x" * size}))
        head = data.head(branch)
        seen.append(made.index(head) + 1 if head in made else None)
    return seen


# Conditions


@pytest.mark.parametrize(
    ("commits", "count", "heads"),
    [
        (1, 3, [1, 2, 3]),
        (2, 5, [1, 1, 3, 3, 5]),
        (3, 6, [None, 2, 2, 2, 5, 5]),
    ],
)
def test_commits_are_counted_with_the_one_that_was_there(
    data: Any, commits: int, count: int, heads: list[int | None]
) -> None:
    data.put({"/before": b""})
    follow(data, commits=commits)
    assert puts(data, count) == heads


@pytest.mark.parametrize(
    ("commits", "heads"), [(2, [None, 2, 2, 4, 4]), (3, [None, None, 3, 3, 3])], ids=["2", "3"]
)
def test_the_empty_commit_that_a_branch_begins_with_does_not_count(
    data: Any, commits: int, heads: list[int | None]
) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, commits=commits)
    assert puts(data, 5) == heads


def test_a_size_is_what_came_together_since_the_last_time(data: Any) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, size="100B")
    assert puts(data, 6, size=40) == [None, None, 3, 3, 3, 6]


@pytest.mark.parametrize("size", ["1000", "1000B", "1KB", "1k", "1 kB", "0.001MB", "1KiB"])
def test_sizes_count_in_thousands(data: Any, size: str) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, size=size)
    assert puts(data, 1, size=999) == [None]
    assert puts(data, 1, size=1) == [1]


def test_any_of_the_conditions_fires(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=3, size="100B")
    assert puts(data, 5, size=40) == [None, 2, 2, 2, 5]


def test_with_all_each_condition_has_to_be_met(data: Any) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, commits=2, size="100B", all=True)
    # 100 bytes are there with the 3rd commit, when there are more than two.
    assert puts(data, 6, size=40) == [None, None, 3, 3, 3, 6]


def test_without_a_condition_it_never_fires(data: Any) -> None:
    data.put({"/before": b""})
    follow(data)
    assert puts(data, 2) == [None, None]


def test_a_rate_limit_that_is_long_over_lets_a_commit_through_and_then_waits(data: Any) -> None:
    follow_from = data.put({"/before": b""})
    data.api.create_branch(branch=data.branch("slow"), head=data.commit(follow_from))
    follow(data, rate_limit_spec="@every 1s")
    # Ticks are on full seconds: commits go on until one is later than the next tick.
    for n in range(1000):
        if data.put({"/n": str(n).encode()}) == data.head("slow"):
            break
    else:
        pytest.fail("it never fired")
    follow(data, rate_limit_spec="@yearly")
    assert puts(data, 1) == [None]


def test_a_cron_trigger_takes_the_head_over_at_each_tick(data: Any, eventually: Any) -> None:
    data.put({"/before": b""})
    follow(data, cron_spec="@every 1s")
    for n in range(2):
        commit = data.put({f"/{n}": b""})
        eventually(lambda commit=commit: data.head("slow") == commit)


def test_a_cron_trigger_does_not_look_at_commits(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, cron_spec="@yearly", commits=1, size="1B")
    assert puts(data, 2) == [None, None]


@pytest.mark.parametrize("condition", [{"rate_limit_spec": "@never"}, {"cron_spec": "@never"}])
def test_never(data: Any, condition: dict[str, str]) -> None:
    data.put({"/before": b""})
    follow(data, **condition)
    assert puts(data, 1) == [None]


# Heads


def test_the_branch_begins_with_an_empty_commit_of_its_own(data: Any) -> None:
    commit = data.put({"/a": b"1"})
    follow(data, commits=1)
    assert data.head("slow") != commit
    assert data.info(data.head("slow")).origin.kind == pfs.OriginKind.AUTO
    assert data.ls(at=data.head("slow")) == []


def test_the_head_is_the_very_commit_of_the_source(data: Any) -> None:
    follow_from = data.put({"/before": b""})
    follow(data, commits=1)
    commit = data.put({"/a": b"1"})
    assert data.head("slow") == commit
    assert data.history() == [commit, *data.history()[1:]]
    assert len([c for c in data.history() if c not in (commit, follow_from)]) == 1


def test_an_open_commit_does_not_fire(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=1)
    before = data.head("slow")
    commit = data.start()
    assert data.head("slow") == before
    data.finish()
    assert data.head("slow") == commit


def test_a_commit_that_ended_in_an_error_does_not_fire(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=1)
    before = data.head("slow")
    data.start()
    data.finish(error="no good")
    assert data.head("slow") == before


def test_a_commit_that_cannot_be_read_does_not_fire(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=1)
    before = data.head("slow")
    assert data.put({"/a": b"1", "/a/b": b"1"}) != before
    assert data.head("slow") == before


def test_a_commit_of_another_branch_does_not_fire(data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=1)
    before = data.head("slow")
    data.put({"/a": b"1"}, at="other")
    assert data.head("slow") == before


def test_a_chain_fires_as_far_as_its_conditions_are_met(data: Any) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, "b", size="100B")
    follow(data, "c", source="b", size="200B")
    commits, heads = list[str](), list[list[int | None]]()
    for n in range(4):
        commits.append(data.put({f"/{n}": b"x" * 50}))
        heads.append([commits.index(h) + 1 if h in commits else None for h in map(data.head, "bc")])
    assert heads == [[None, None], [2, None], [2, None], [4, 4]]


def test_several_branches_follow_one(data: Any) -> None:
    data.api.create_branch(branch=data.branch())
    follow(data, "b", commits=1)
    follow(data, "c", commits=2)
    first = data.put({"/1": b""})
    assert (data.head("b"), data.head("c") == first) == (first, False)
    second = data.put({"/2": b""})
    assert (data.head("b"), data.head("c")) == (second, second)


def test_a_trigger_is_shown(client: Client, data: Any) -> None:
    data.put({"/before": b""})
    conditions: dict[str, Any] = {"all": True, "rate_limit_spec": "@daily", "size": "1MB", "commits": 3}
    follow(data, **conditions)
    info = client.pfs.inspect_branch(branch=data.branch("slow"))
    assert info.trigger == pfs.Trigger(branch="master", **conditions)
    assert "trigger" not in client.pfs.inspect_branch(branch=data.branch()).to_dict()


def test_a_trigger_stays_until_another_is_given(client: Client, data: Any) -> None:
    data.put({"/before": b""})
    follow(data, commits=2)
    client.pfs.create_branch(branch=data.branch("slow"))
    assert client.pfs.inspect_branch(branch=data.branch("slow")).trigger.commits == 2
    follow(data, size="1KB")
    trigger = client.pfs.inspect_branch(branch=data.branch("slow")).trigger
    assert (trigger.commits, trigger.size) == (0, "1KB")


def test_what_is_derived_from_the_branch_gets_a_commit_set_of_its_own(new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    up.api.create_branch(branch=up.branch())
    follow(up, commits=2)
    down.api.create_branch(branch=down.branch(), provenance=[up.branch("slow")])
    down.finish()
    before = down.head()
    first = up.put({"/1": b""})
    assert down.head() == before
    second = up.put({"/2": b""})
    assert down.head() not in (before, first, second)
    assert [commit.id for commit in down.info().direct_provenance] == [second]


def test_a_commit_that_a_transaction_finishes_fires_after_it(client: Client, new_repo: Any) -> None:
    up, down = new_repo(), new_repo()
    up.api.create_branch(branch=up.branch())
    follow(up, commits=1)
    down.api.create_branch(branch=down.branch(), provenance=[up.branch("slow")])
    down.finish()
    commit = up.start()
    finish = pfs.FinishCommitRequest(commit=up.commit(commit))
    info = client.transaction.batch_transaction(
        requests=[transaction.TransactionRequest(finish_commit=finish)]
    )
    up.api.wait_commit(up.commit(commit))
    assert up.head("slow") == commit
    assert down.head() not in (commit, info.transaction.id)
    assert [other.id for other in down.info().direct_provenance] == [commit]


# Deferred processing, with pipelines


def test_a_head_moved_by_hand_makes_one_job_of_all_that_came_together(lab: Lab) -> None:
    repo = lab.repo(a="1")
    data = lab.data(repo)
    lab.pfs.create_branch(branch=data.branch("dev"), head=data.commit())
    lab.pfs.create_branch(branch=data.branch("prod"), head=data.commit())
    pipeline = lab.pipeline(pfs_input(repo, branch="prod"), f"cp /pfs/{repo}/* /pfs/out/")
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    for name in ("b", "c"):
        lab.put(repo, {name: name}, branch="dev")
    assert len(lab.jobs(pipeline)) == 1
    lab.pfs.create_branch(branch=data.branch("prod"), head=data.commit("dev"))
    assert lab.counts(pipeline) == "SUCCESS p2 s1 t3"
    assert len(lab.jobs(pipeline)) == 2
    assert lab.files(pipeline) == {"/a": "1", "/b": "b", "/c": "c"}


def test_a_head_moved_back_gives_the_old_output_again(lab: Lab) -> None:
    repo = lab.repo(a="1")
    data = lab.data(repo)
    first = data.head()
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"
    lab.pfs.create_branch(branch=data.branch(), head=data.commit(first))
    assert lab.counts(pipeline) == "SUCCESS s1 t1"
    assert lab.files(pipeline) == {"/a": "1"}


def test_an_input_with_a_trigger_follows_the_branch_that_it_names(lab: Lab) -> None:
    repo = lab.repo(a="1")
    source = pfs_input(repo, trigger={"branch": "master", "commits": 2})
    pipeline = lab.pipeline(source, f"cp /pfs/{repo}/* /pfs/out/ || true")
    branch = f"{pipeline}-trigger-1"
    info = lab.pfs.inspect_branch(branch=lab.data(repo).branch(branch))
    assert (info.trigger.branch, info.trigger.commits) == ("master", 2)
    assert lab.counts(pipeline) == "SUCCESS t0"  # the branch begins empty
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    lab.put(repo, {"c": "3"})
    assert len(lab.jobs(pipeline)) == 2
    lab.put(repo, {"d": "4"})
    assert lab.counts(pipeline) == "SUCCESS p2 s2 t4"
    assert lab.pipeline_info(pipeline).details.input.pfs.branch == branch


def test_an_input_may_name_its_branch_and_have_a_trigger(lab: Lab) -> None:
    repo = lab.repo(a="1")
    source = pfs_input(repo, branch="nightly", trigger={"branch": "master", "commits": 1})
    pipeline = lab.pipeline(source, f"cp /pfs/{repo}/* /pfs/out/ || true")
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    assert lab.data(repo).head("nightly") == lab.data(repo).head()


def test_two_inputs_of_a_repo_have_triggers_of_their_own(lab: Lab) -> None:
    repo = lab.repo(a="1")
    inputs = [
        pfs_input(repo, glob="/", name=name, trigger={"branch": "master", "commits": n})
        for n, name in ((1, "fast"), (2, "slow"))
    ]
    pipeline = lab.pipeline({"cross": inputs}, "ls /pfs/fast >/pfs/out/fast", "ls /pfs/slow >/pfs/out/slow")
    branches = {info.branch.name for info in lab.pfs.list_branch(repo=lab.data(repo).repo)}
    assert branches == {"master", f"{pipeline}-trigger-1", f"{pipeline}-trigger-2"}
    lab.put(repo, {"b": "2"})
    lab.put(repo, {"c": "3"})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.files(pipeline) == {"/fast": "a\nb\nc\n", "/slow": "a\nb\n"}


def test_an_input_whose_trigger_names_no_branch_is_refused(lab: Lab, refused: Any) -> None:
    repo = lab.repo(a="1")
    with refused(StatusCode.NOT_FOUND, "nope"):
        lab.pipeline(pfs_input(repo, trigger={"branch": "nope", "commits": 1}), "true")
    assert list(lab.pps.list_pipeline(projects=[lab.owner])) == []


# Refusals


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        ({"branch": "master", "size": "big"}, "size"),
        ({"branch": "master", "size": "-1B"}, "size"),
        ({"branch": "master", "size": "1XB"}, "size"),
        ({"branch": "master", "rate_limit_spec": "often"}, "rate limit spec"),
        ({"branch": "master", "rate_limit_spec": "@sometimes"}, "rate limit spec"),
        ({"branch": "master", "commits": -1}, "negative number of commits"),
        ({"branch": "master", "cron_spec": "* *"}, "cron spec"),
        ({"branch": "master", "cron_spec": "61 * * * *"}, "cron spec"),
        ({"branch": "slow", "commits": 1}, "triggers cannot form a loop"),
        ({"commits": 1}, "must specify a branch"),
    ],
)
def test_a_bad_trigger(data: Any, refused: Any, trigger: dict[str, Any], text: str) -> None:
    data.put({"/before": b""})
    with refused(StatusCode.UNKNOWN, text):
        data.api.create_branch(branch=data.branch("slow"), trigger=pfs.Trigger(**trigger))
    assert [info.branch.name for info in data.api.list_branch(repo=data.repo)] == ["master"]


def test_a_loop_over_several_branches(data: Any, refused: Any) -> None:
    data.put({"/before": b""})
    follow(data, "b", source="master", commits=1)
    follow(data, "c", source="b", commits=1)
    with refused(StatusCode.UNKNOWN, "triggers cannot form a loop"):
        follow(data, "master", source="c", commits=1)


def test_the_source_must_exist(data: Any, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "nope"):
        follow(data, source="nope", commits=1)


def test_a_trigger_or_provenance(new_repo: Any, refused: Any) -> None:
    up, data = new_repo(), new_repo()
    data.put({"/before": b""})
    up.put({"/before": b""})
    with refused(StatusCode.UNKNOWN, "both provenance and a trigger"):
        data.api.create_branch(
            branch=data.branch("slow"),
            provenance=[up.branch()],
            trigger=pfs.Trigger(branch="master", commits=1),
        )


@pytest.mark.parametrize(
    ("branch", "text"), [("master", "it is triggered by branches"), ("slow", "it triggers branches")]
)
def test_neither_side_of_a_trigger_is_deleted_but_by_force(
    data: Any, refused: Any, branch: str, text: str
) -> None:
    data.put({"/before": b""})
    follow(data, commits=1)
    with refused(StatusCode.UNKNOWN, text):
        data.api.delete_branch(branch=data.branch(branch))
    data.api.delete_branch(branch=data.branch(branch), force=True)
    (left,) = data.api.list_branch(repo=data.repo)
    assert "trigger" not in left.to_dict()
