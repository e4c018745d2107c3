# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync: which files count, and when they are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _hash_cache, _hash_files

from .conftest import Lab
from .test_sync import counts, sync


@pytest.fixture
def repo(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    return lab


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "tmp").mkdir(parents=True)
    (root / "a.csv").write_bytes(b"a")
    (root / "b.txt").write_bytes(b"b")
    (root / "tmp" / "c.csv").write_bytes(b"c")
    return root


def test_delete_leaves_alone_what_does_not_count(repo: Lab, tree: Path) -> None:
    for path in ("/old.csv", "/old.txt", "/tmp/old.csv"):
        repo.put(path, b"o")
    result = sync(repo, tree, include=["*.csv"], exclude=["tmp/"], delete=True)
    assert counts(result) == (1, 0, 1, 0)
    assert sorted(repo.files()) == ["/a.csv", "/old.txt", "/tmp/old.csv"]
    assert counts(sync(repo, tree, include=[], delete=True, allow_empty=True)) == (0, 0, 0, 0)
    assert counts(sync(repo, tree, dest="/tmp", delete=True, exclude=["old.*", "tmp"])) == (2, 0, 0, 0)
    assert counts(sync(repo, tree, delete=True)) == (2, 0, 4, 1)


def test_what_does_not_count_may_be_anything(repo: Lab, tree: Path) -> None:
    (tree / "käse").touch()
    (tree / "tmp" / "link").symlink_to("nothing")
    os.mkfifo(tree / "pipe")
    assert "käse" in sync(repo, tree)["msg"]
    assert counts(sync(repo, tree, exclude=["käse", "/pipe", "tmp"])) == (2, 0, 0, 0)
    assert "holds no file" in sync(repo, tree, include=["nothing"])["msg"]


def test_what_does_not_count_is_still_in_the_way(repo: Lab, tree: Path) -> None:
    repo.put("/tmp", b"a file")
    result = sync(repo, tree, exclude=["/tmp"], dest="/")
    assert counts(result) == (2, 0, 0, 0)
    refused = sync(repo, tree, include=["*.csv"], delete=True)
    assert "/tmp is a file there, and /tmp/c.csv needs a directory" in refused["msg"]


@pytest.mark.parametrize("key", ["include", "exclude"])
def test_patterns_want_a_directory(repo: Lab, tree: Path, key: str) -> None:
    message = sync(repo, tree / "a.csv", **{key: ["*.csv"]})["msg"]
    assert f"{key}: {tree}/a.csv is a file; {key} needs a directory as src" in message
    assert f"syncs[0].{key}[0]: '/' names nothing" in sync_list(repo, tree, **{key: ["/"]})["msg"]


def sync_list(lab: Lab, tree: Path, **options: Any) -> dict[str, Any]:
    return lab.run("sync", repo="data", syncs=[{"src": str(tree), **options}])


def test_options_of_items_come_before_those_beside_the_list(repo: Lab, tree: Path) -> None:
    options: dict[str, Any] = {"include": ["*.txt"], "exclude": ["tmp"]}
    result = repo.run(
        "sync",
        repo="data",
        syncs=[
            {"src": str(tree), "include": ["*.csv"], "dest": "/one"},
            {"src": str(tree), "exclude": [], "dest": "/two"},
        ],
        **options,
    )
    assert [one["paths"]["added"] for one in result["syncs"]] == [["/one/a.csv"], ["/two/b.txt"]]


def test_unchanged_files_are_not_read_again(repo: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hash_cache, "SETTLE_SECONDS", -60)
    real = _hash_files.hash_one
    read: list[str] = []

    def noted(path: str) -> Any:
        read.append(path.removeprefix(f"{tree}/"))
        return real(path)

    monkeypatch.setattr(_hash_files, "hash_one", noted)
    for expected in ([], ["a.csv", "b.txt", "tmp/c.csv"], []):
        read.clear()
        repo.run("sync", src=str(tree), repo="data")
        assert sorted(read) == expected
    (tree / "b.txt").write_bytes(b"B")
    # As rsync and tar do: the time that it had.
    os.utime(tree / "b.txt", ns=(0, (tree / "a.csv").stat().st_mtime_ns))
    assert counts(repo.run("sync", src=str(tree), repo="data")) == (0, 1, 0, 2)
    assert read == ["b.txt"]
