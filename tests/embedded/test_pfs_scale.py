# SPDX-License-Identifier: GPL-3.0-or-later
"""What one more file costs in a repo of 100,000: rows read and written, which no busy machine changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.pfs.edits import Add, Delete
from pachd_embedded.pfs.entries import DEFAULT_DATUM, entry_key, entry_value
from pachd_embedded.pfs.model import BranchKey, CommitRef, RepoKey
from pachd_embedded.pfs.service import Pfs
from pachd_embedded.store.db import Database

FILES = 100_000
REPO = RepoKey("default", "data")
MASTER = CommitRef(REPO, branch="master")


class CountingDatabase(Database):
    """Counts the rows that are read and, of the tables that hold content, those that are written."""

    reads = 0

    def row(self, sql: str, *values: Any) -> Any:
        found = super().row(sql, *values)
        self.reads += found is not None
        return found

    def rows(self, sql: str, *values: Any) -> Any:
        found = super().rows(sql, *values)
        self.reads += len(found)
        return found

    def content_rows(self) -> int:
        tables = ("node", "chunk", "pfs_commit")
        return sum(super(CountingDatabase, self).rows(f"SELECT count(*) FROM {t}")[0][0] for t in tables)


@pytest.fixture(scope="module", params=["flat", "nested"])
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repo whose head has 100,000 files, in one directory or in 1,000."""
    directory: Path = tmp_path_factory.mktemp(request.param)
    nested = request.param == "nested"
    db = Database(directory)
    pfs = Pfs(db, directory)
    pfs.repos.create(REPO, "", update=False)
    pfs.files.modify(MASTER, [Add("/first", "", b"1")])
    first = pfs.lookup.get_commit(MASTER)
    with db.transaction():
        commit = pfs.commits.start(BranchKey(REPO, "master"), None, "")
        paths = (f"/{n % 1000:03}/{n:06}" if nested else f"/{n:06}" for n in range(FILES))
        chunks = pfs.files.snapshot(CommitRef(REPO, id=first.id))[1].entries("/first")[0].chunks
        files = {entry_key(path, DEFAULT_DATUM): entry_value(commit.id, chunks) for path in paths}
        pfs.commits.set_tree(commit.seq, pfs.trees.apply(commit.tree, files))
        pfs.commits.close(commit, "", "")
    db.close()
    return directory


@pytest.fixture
def db(directory: Path) -> Iterator[CountingDatabase]:
    """A database, and with it a tree cache, that has read nothing yet."""
    db = CountingDatabase(directory)
    yield db
    db.close()


@pytest.mark.parametrize(
    "change",
    [Add("/050/new", "", b"new"), Add("/new/", "", b"new"), Delete("/049999", ""), Delete("/049/049049", "")],
)
def test_one_change_touches_few_rows(db: CountingDatabase, directory: Path, change: Any) -> None:
    pfs = Pfs(db, directory)
    before = db.content_rows()
    db.reads = 0
    pfs.files.modify(MASTER, [change])
    head = pfs.lookup.get_commit(MASTER)
    assert (head.finished is not None, head.reason) == (True, "")
    # A commit, a chunk, and the nodes of a tree of three levels, of which a full one splits.
    assert db.content_rows() - before <= 6
    assert db.reads <= 60


def test_a_file_or_directory_is_read_alone(db: CountingDatabase, directory: Path) -> None:
    pfs = Pfs(db, directory)
    db.reads = 0
    _, snapshot = pfs.files.snapshot(MASTER)
    path = "/010010" if "flat" in directory.name else "/010"
    assert snapshot.inspect(path) is not None
    assert list(snapshot.glob(path)) == [snapshot.inspect(path)]
    assert list(snapshot.glob("/010*"))
    assert next(snapshot.walk(path)).path == path
    assert db.reads <= 60


def test_the_size_of_a_commit_is_known_without_its_files(db: CountingDatabase, directory: Path) -> None:
    pfs = Pfs(db, directory)
    head = pfs.lookup.get_commit(MASTER)
    db.reads = 0
    assert pfs.tree_size(head.tree) >= FILES - 10
    assert db.reads == 1


def test_what_changed_is_found_without_what_did_not(db: CountingDatabase, directory: Path) -> None:
    pfs = Pfs(db, directory)
    before = pfs.lookup.get_commit(MASTER)
    pfs.files.modify(MASTER, [Add("/zzz", "", b"1")])
    after = pfs.lookup.get_commit(MASTER)
    cold = Pfs(db, directory)
    db.reads = 0
    assert len(list(cold.trees.diff(before.tree, after.tree))) == 1
    assert db.reads <= 10
