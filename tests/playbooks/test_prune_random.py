# SPDX-License-Identifier: GPL-3.0-or-later
"""Random runs of two labs, and of somebody of neither: prune deletes what its lab made, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Set
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .conftest import Lab
from .pipelines import spec

# Each thing, as (kind, name), and the one that it needs. "#" is a number, each example has another one.
Key = tuple[str, str]
NEEDS: dict[Key, Key | None] = {
    ("projects", "p#"): None,
    ("repos", "default/a#"): None,
    ("repos", "default/b#"): None,
    ("repos", "p#/c#"): ("projects", "p#"),
    ("pipelines", "default/x#"): ("repos", "default/a#"),
    ("pipelines", "default/y#"): ("pipelines", "default/x#"),
    ("branches", "default/b#@m"): ("repos", "default/b#"),
    ("branches", "default/x#@m"): ("pipelines", "default/x#"),
}
LABS = ("mine", "theirs")

things = st.sampled_from(list(NEEDS))
runs = st.tuples(st.sampled_from(LABS), st.sets(things), st.booleans(), st.booleans())
others = st.tuples(st.sampled_from(["make", "write", "delete"]), things)
numbers = itertools.count()


class World:
    """Who made what there is, which labs declare it, and into which repos somebody wrote."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.number = str(next(numbers))
        self.maker: dict[Key, str] = {}
        self.declared_by: dict[Key, set[str]] = {key: set() for key in NEEDS}
        self.written: set[Key] = set()

    def name(self, key: Key) -> str:
        return key[1].replace("#", self.number)

    def there(self) -> dict[Key, Any]:
        """What there is, each with what must stay as it is."""
        pachd = self.lab.client
        found: dict[Key, Any] = {("projects", one.project.name): "" for one in pachd.pfs.list_project()}
        for repo in pachd.pfs.list_repo(type="user"):
            name = f"{repo.repo.project.name}/{repo.repo.name}"
            found["repos", name] = repo.created
            for branch in pachd.pfs.list_branch(repo=repo.repo):
                found["branches", f"{name}@{branch.branch.name}"] = branch.head.id
        for pipeline in pachd.pps.list_pipeline():
            name = f"{pipeline.pipeline.project.name}/{pipeline.pipeline.name}"
            found["pipelines", name] = pipeline.version, pipeline.stopped
        return {key: found[key[0], self.name(key)] for key in NEEDS if (key[0], self.name(key)) in found}

    def declare(self, key: Key, **options: Any) -> list[dict[str, str]]:
        """What the module of this kind did."""
        kind, name = key[0], self.name(key)
        project, _slash, rest = name.rpartition("/")
        repo, _at, branch = rest.partition("@")
        if kind == "projects":
            result = self.lab.run("project", name=name, **options)
        elif kind == "repos":
            result = self.lab.run("repo", project=project, name=repo, **options)
        elif kind == "branches":
            result = self.lab.run("branch", repo=repo, name=branch, **options)
        elif options:
            result = self.lab.run("pipeline", name=repo, **options)
        else:
            needed = NEEDS[key]
            assert needed
            result = self.lab.run("pipeline", pipeline=spec(repo, self.name(needed).split("/")[1]))
        # What others need is not deleted.
        actions: list[dict[str, str]] = result.get("actions", [])
        assert options or "msg" not in result, result
        return actions

    def make(self, keys: Set[Key], maker: str) -> list[dict[str, str]]:
        """Those that are not there yet, and whose need is met."""
        actions = []
        there = set(self.there())
        for key, needed in NEEDS.items():
            if key in keys - there and (needed is None or needed in there):
                actions += self.declare(key)
                self.maker[key] = maker
                there.add(key)
        return actions

    def other(self, what: str, key: Key) -> None:
        """Somebody of no lab does something."""
        if what == "make":
            self.make({key}, "somebody")
        elif what == "delete":
            self.declare(key, state="absent")
            self.forget()
        elif key[0] == "repos" and key in self.there():
            self.lab.put("/f", b"f", f"{self.name(key)}")
            self.written.add(key)

    def forget(self) -> None:
        """Whoever made what is gone: it is gone."""
        gone = set(NEEDS) - set(self.there())
        for key in gone:
            self.maker.pop(key, None)
            self.declared_by[key].clear()
        self.written -= gone

    def run(self, who: str, declared: Set[Key], prune: bool, data: bool) -> None:
        """A run of a lab, and what must hold after it."""
        actions = self.make(declared, who)
        before = self.there()
        options: dict[str, Any] = {"lab": f"{who}{self.number}", "prune": prune, "data": data}
        for kind in ("projects", "repos", "branches", "pipelines"):
            options[kind] = [self.name(key) for key in declared if key[0] == kind]
        predicted = self.lab.run("prune", check=True, actions=actions, **options)
        assert self.there() == before
        assert self.lab.run("prune", actions=actions, **options) == predicted
        assert "msg" not in predicted, predicted
        assert not self.lab.run("prune", **options)["changed"]
        after = self.there()
        for key, seen in before.items():
            if key in after:
                assert after[key] == seen
            else:
                self.check_gone(key, who, declared, after)
                assert prune
                assert data or key not in self.written
        assert set(after) <= set(before)
        self.forget()
        for key in after:
            if key in declared:
                self.declared_by[key].add(who)
            elif prune:
                self.declared_by[key].discard(who)

    def check_gone(self, key: Key, who: str, declared: Set[Key], after: dict[Key, Any]) -> None:
        assert not self.declared_by[key] - {who}
        needed = NEEDS[key]
        if key[0] == "branches" and needed not in after:
            return  # It is in a repo that went.
        assert self.maker[key] == who
        assert key not in declared


@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.one_of(runs, runs, others), min_size=2, max_size=8))
def test_a_lab_deletes_only_what_it_made(lab: Lab, steps: list[Any]) -> None:
    world = World(lab)
    for step in steps:
        if step[0] in LABS:
            world.run(*step)
        else:
            world.other(*step)
