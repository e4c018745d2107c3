# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync and the paths that are hard to compare: odd but allowed ones, and those of two syncs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab


@pytest.fixture
def repo(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    return lab


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    r"""A tree with a backslash in a file's name and in a directory's. In a glob, a\b means ab."""
    root = tmp_path / "odd"
    (root / "d\\e").mkdir(parents=True)
    (root / "a\\b").write_bytes(b"a b")
    (root / "d\\e" / "f").write_bytes(b"d e f")
    return root


def contents(lab: Lab) -> dict[str, bytes]:
    """Path and content of each file; in one archive, since the path of a read is a glob."""
    everything = pfs.File(commit=pfs.Commit.from_uri("data@master"), path="/")
    with lab.client.pfs.pfs_tar_file(everything) as archive:
        return {
            f"/{member.name}": archive.extractfile(member).read() for member in archive if member.isfile()
        }


@pytest.mark.parametrize(
    ("source", "dest", "delete", "expected"),
    [
        ("a\\b", "/", False, {"/a\\b": b"a b"}),
        ("a\\b", "/x\\y", False, {"/x\\y": b"a b"}),
        ("a\\b", "/x\\y/", False, {"/x\\y/a\\b": b"a b"}),
        ("", "/", False, {"/a\\b": b"a b", "/d\\e/f": b"d e f"}),
        ("", "/", True, {"/a\\b": b"a b", "/d\\e/f": b"d e f"}),
        ("", "/x\\y", False, {"/x\\y/a\\b": b"a b", "/x\\y/d\\e/f": b"d e f"}),
        ("", "/x\\y", True, {"/x\\y/a\\b": b"a b", "/x\\y/d\\e/f": b"d e f"}),
        ("", "/x\\", True, {"/x\\/a\\b": b"a b", "/x\\/d\\e/f": b"d e f"}),
    ],
)
def test_backslash_is_a_character_like_others(
    repo: Lab, odd: Path, source: str, dest: str, delete: bool, expected: dict[str, bytes]
) -> None:
    options: dict[str, Any] = {"src": str(odd / source), "repo": "data", "dest": dest, "delete": delete}
    assert repo.run("sync", **options)["changed"]
    assert contents(repo) == expected
    assert not repo.run("sync", **options)["changed"]
    (odd / "a\\b").write_bytes(b"new")
    assert repo.run("sync", **options)["syncs"][0]["files"]["updated"] == 1
    assert contents(repo) == expected | {path: b"new" for path in expected if expected[path] == b"a b"}


def test_backslash_is_that_character_only(repo: Lab, odd: Path) -> None:
    """What has another character at its place belongs to somebody else."""
    repo.put("/xzy/keep", b"k")
    repo.put("/azb", b"k")
    result = repo.run("sync", src=str(odd), repo="data", dest="/x\\y", delete=True)
    assert result["syncs"][0]["files"] == {"added": 2, "updated": 0, "deleted": 0, "unchanged": 0}
    assert repo.run("sync", src=str(odd / "a\\b"), repo="data")["syncs"][0]["files"]["added"] == 1
    assert {"/xzy/keep", "/azb", "/a\\b"} < set(contents(repo))


def test_file_with_a_backslash_is_in_the_way(repo: Lab, odd: Path) -> None:
    repo.put("/x\\y", b"x")
    result = repo.run("sync", src=str(odd), repo="data", dest="/x\\y/z")
    assert "/x\\y is a file there, and /x\\y/z/a\\b needs a directory" in result["msg"]


@pytest.mark.parametrize(("dest", "path"), [("//x//y", "/x/y/"), ("x/y//", "/x/y/"), ("//", "/")])
def test_slashes_too_many_in_dest(repo: Lab, odd: Path, dest: str, path: str) -> None:
    options: dict[str, Any] = {"src": str(odd / "d\\e"), "repo": "data", "dest": dest}
    assert repo.run("sync", **options)["syncs"][0]["paths"]["added"] == [f"{path}f"]
    assert not repo.run("sync", **options)["changed"]
    assert contents(repo) == {f"{path}f": b"d e f"}


@pytest.mark.parametrize("turned", [False, True])
def test_file_of_one_sync_where_another_needs_a_directory(repo: Lab, odd: Path, turned: bool) -> None:
    """pachd finds such a conflict only when the second commit is made."""
    syncs: list[dict[str, Any]] = [
        {"src": str(odd / "d\\e" / "f"), "repo": "data", "dest": "/x"},
        {"src": str(odd), "repo": "data", "dest": "/x/y"},
    ]
    seen = repo.mutations()
    result = repo.run("sync", syncs=syncs[::-1] if turned else syncs)
    file, directory = (1, 0) if turned else (0, 1)
    assert f"/x of default/data@master is a file of syncs[{file}]" in result["msg"]
    assert f"/x/y/a\\b of syncs[{directory}] needs a directory there" in result["msg"]
    assert repo.mutations() == seen


def test_same_paths_in_two_branches_are_no_conflict(repo: Lab, odd: Path) -> None:
    file = {"src": str(odd / "d\\e" / "f"), "repo": "data", "dest": "/x"}
    assert repo.run("sync", syncs=[file, {"src": str(odd), "repo": "data", "branch": "b", "dest": "/x"}])[
        "changed"
    ]
