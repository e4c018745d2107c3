# SPDX-License-Identifier: GPL-3.0-or-later
"""The persistent tree against a dict, and what an edit of a large tree costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.store.db import Database
from pachd_embedded.store.tree import MAX_ENTRIES, Root, TreeStore

Model = dict[str, int]


class CountingDatabase(Database):
    """Counts the rows that are asked for."""

    reads = 0

    def row(self, sql: str, *values: Any) -> Any:
        self.reads += 1
        return super().row(sql, *values)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[CountingDatabase]:
    db = CountingDatabase(tmp_path)
    yield db
    db.close()


@pytest.fixture
def trees(db: Database) -> TreeStore:
    return TreeStore(db, weigh=int)


def nodes(db: Database) -> int:
    return int(db.rows("SELECT count(*) FROM node")[0][0])


def build(db: Database, trees: TreeStore, entries: Model) -> Root:
    with db.transaction():
        return trees.apply(None, entries)


def assert_holds(trees: TreeStore, root: Root, model: Model) -> None:
    assert list(trees.scan(root)) == sorted(model.items())
    assert trees.weight(root) == sum(model.values())


def random_edits(rng: random.Random, model: Model) -> dict[str, int | None]:
    """Of one of the kinds that occur: some anywhere, a run of new ones, a range deleted, all deleted."""
    kind = rng.choice(["anywhere", "anywhere", "new", "range", "all"])
    if kind == "new":
        start = rng.randrange(10_000)
        return {f"{n:05}": rng.randrange(100) for n in range(start, start + rng.randrange(2000))}
    if kind == "range":
        low, high = sorted(f"{rng.randrange(10_000):05}" for _ in range(2))
        return {key: None for key in model if low <= key < high}
    if kind == "all" and rng.random() < 0.3:
        return dict.fromkeys(model)
    keys = [f"{rng.randrange(10_000):05}" for _ in range(rng.choice([1, 3, 300]))]
    return {key: rng.choice([None, rng.randrange(100)]) for key in keys}


@pytest.mark.parametrize("seed", range(4))
def test_random_edits(db: Database, trees: TreeStore, seed: int) -> None:
    rng = random.Random(seed)
    root: Root = None
    model: Model = {}
    for _ in range(40):
        edits = random_edits(rng, model)
        with db.transaction():
            new = trees.apply(root, edits)
        before = dict(model)
        for key, value in edits.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        assert_holds(trees, new, model)
        assert_holds(trees, root, before)
        changed = {key for key in before.keys() | model.keys() if before.get(key) != model.get(key)}
        assert list(trees.diff(root, new)) == [(k, before.get(k), model.get(k)) for k in sorted(changed)]
        for number in rng.sample(range(10_000), 20):
            assert trees.get(new, f"{number:05}") == model.get(f"{number:05}")
        root = new


def test_scans_start_anywhere(db: Database, trees: TreeStore) -> None:
    model = {f"{n:04}": n for n in range(0, 2000, 2)}
    root = build(db, trees, model)
    for start in ("", "0000", "0001", "0255", "0256", "1998", "1999", "x"):
        assert list(trees.scan(root, start)) == [item for item in sorted(model.items()) if item[0] >= start]
    assert [key for key, _ in trees.scan_prefix(root, "19")] == [f"{n}" for n in range(1900, 2000, 2)]


def test_keys_are_in_the_order_of_code_points(db: Database, trees: TreeStore) -> None:
    keys = ["", "a", "a\0x", "a b", "a-b", "a/b", "aé", "\U0001f600", "\ue000"]
    root = build(db, trees, dict.fromkeys(keys, 1))
    assert [key for key, _ in trees.scan(root)] == sorted(keys)


def test_an_empty_tree_is_none(db: Database, trees: TreeStore) -> None:
    root = build(db, trees, {"a": 1})
    with db.transaction():
        assert trees.apply(root, {"a": None}) is None
        assert trees.apply(None, {"a": None}) is None
        assert trees.apply(root, {}) == root
    assert (trees.weight(None), list(trees.scan(None)), list(trees.diff(None, None))) == (0, [], [])


def test_a_tree_shrinks_with_its_content(db: CountingDatabase, trees: TreeStore) -> None:
    root = build(db, trees, {f"{n:05}": 1 for n in range(20_000)})
    with db.transaction():
        for start in range(50):
            root = trees.apply(root, {f"{n:05}": None for n in range(start, 20_000, 50) if n != 7})
    cold = TreeStore(db, weigh=int)
    db.reads = 0
    assert list(cold.scan(root)) == [("00007", 1)]
    assert db.reads == 1


@pytest.fixture
def large(db: Database, trees: TreeStore) -> Root:
    return build(db, trees, {f"/{n:06}": n for n in range(100_000)})


@pytest.mark.parametrize("edit", [{"/050000x": 1}, {"/": 1}, {"/x": 1}, {"/099999": None}])
def test_one_edit_of_100_000_entries_touches_few_nodes(
    db: CountingDatabase, large: Root, edit: dict[str, int | None]
) -> None:
    before = nodes(db)
    cold = TreeStore(db, weigh=int)
    db.reads = 0
    with db.transaction():
        new = cold.apply(large, edit)
    assert nodes(db) - before <= 4
    assert db.reads <= 12
    db.reads = 0
    assert len(list(cold.diff(large, new))) == 1
    assert cold.weight(new) == cold.weight(large) + sum(value or -99_999 for value in edit.values())
    assert db.reads <= 10


def test_equal_content_is_stored_once(db: Database, trees: TreeStore) -> None:
    model = {f"{n:05}": n for n in range(5000)}
    root = build(db, trees, model)
    before = nodes(db)
    assert build(db, trees, model) == root
    assert nodes(db) == before
    assert before >= 5000 / MAX_ENTRIES
