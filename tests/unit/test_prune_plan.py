# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab may delete: what it made, declares no more, and nobody else needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.gpulab.pachyderm.plugins.module_utils._prune_plan import (
    CREATED,
    DECLARED,
    HOME,
    Key,
    Lab,
    Thing,
    plan_announcement,
    plan_prune,
)

KEYS: list[Key] = [
    ("project", "p"),
    *((kind, f"p/{name}") for kind in ("repo", "pipeline") for name in ("a", "b", "c")),
    ("branch", "p/a@m"),
    ("branch", "p/b@m"),
]
VERBS = ("announce", "mark", "withdraw")
keys = st.sampled_from(KEYS)
marks = st.dictionaries(st.sampled_from(["mine", "theirs"]), st.sampled_from([CREATED, DECLARED]))
things = st.builds(
    Thing, marks, st.lists(st.frozensets(keys, min_size=1, max_size=2), max_size=2).map(tuple), st.booleans()
)
labs = st.builds(Lab, st.just("mine"), st.frozensets(keys), st.frozensets(keys), st.booleans(), st.booleans())


def goes_with_a_repo(key: Key, gone: set[Key]) -> bool:
    return key[0] == "branch" and not gone.isdisjoint({(kind, key[1][:-2]) for kind in ("repo", "pipeline")})


@given(labs, st.dictionaries(keys, things))
def test_nothing_is_deleted_that_the_lab_did_not_make(lab: Lab, actual: dict[Key, Thing]) -> None:
    plan = plan_prune(lab, actual)
    gone = [(action.kind, action.name) for action in plan.actions if action.verb == "delete"]
    assert lab.prune or not gone
    assert len(gone) == len(set(gone))
    with_repos = {*gone, *(key for key in actual if goes_with_a_repo(key, set(gone)))}
    for key in gone:
        thing = actual[key]
        assert thing.marks == {"mine": CREATED}
        assert key not in lab.declared
        assert lab.data or not thing.has_data
        for reader in thing.readers:
            assert reader & with_repos
    for key in with_repos:
        assert "theirs" not in actual[key].marks
    for action in plan.actions:
        key = (action.kind, action.name)
        if action.verb == "release":
            assert "mine" in actual[key].marks
            assert key not in lab.declared
        if action.verb == "mark":
            assert key in lab.declared


@given(labs, st.dictionaries(keys, things))
def test_what_the_lab_made_and_dropped_goes_or_is_told(lab: Lab, actual: dict[Key, Thing]) -> None:
    plan = plan_prune(lab, actual)
    gone = {(action.kind, action.name) for action in plan.actions if action.verb == "delete"}
    for key, thing in actual.items():
        if lab.prune and thing.marks == {"mine": CREATED} and key not in lab.declared:
            with_repo = goes_with_a_repo(key, gone)
            told = any(f"{key[0]} {key[1]} is no longer declared" in text for text in plan.warnings)
            assert key in gone or with_repo or told


def test_readers_go_first_and_branches_with_their_repo() -> None:
    mine = {"mine": CREATED}
    pipeline, repo, branch, project = (
        ("pipeline", "p/a"),
        ("repo", "p/b"),
        ("branch", "p/b@m"),
        ("project", "p"),
    )
    actual = {
        project: Thing(mine, (frozenset({repo}), frozenset({pipeline}))),
        repo: Thing(mine, (frozenset({pipeline}),)),
        branch: Thing(mine),
        pipeline: Thing(mine),
    }
    plan = plan_prune(Lab("mine", frozenset(), frozenset(), prune=True), actual)
    assert [(a.kind, a.name) for a in plan.actions] == [pipeline, repo, project]


@given(labs, st.dictionaries(keys, things), st.frozensets(keys))
def test_what_a_killed_run_made_is_the_labs_and_nothing_else(
    lab: Lab, actual: dict[Key, Thing], announced: frozenset[Key]
) -> None:
    actual = {**actual, HOME: Thing()}
    plan = plan_announcement(lab, actual, announced)
    done = {verb: {(a.kind, a.name) for a in plan.actions if a.verb == verb} for verb in VERBS}
    assert done["mark"] == {key for key in announced & set(actual) if "mine" not in actual[key].marks}
    noted = (announced - done["mark"] - done["withdraw"]) | done["announce"]
    assert noted == lab.declared - set(actual)
    assert sum(map(len, done.values())) == len(plan.actions)
    # Without a kill, all notes go with the end of the run.
    ended = plan_prune(lab, actual, noted)
    taken = [a for a in ended.actions if a.before == {"mark": "announced"}]
    assert {(a.kind, a.name) for a in taken} == noted


def test_without_the_default_project_nothing_is_noted() -> None:
    lab = Lab("mine", frozenset({("repo", "p/a")}), frozenset())
    assert plan_announcement(lab, {}, ()).actions == ()
