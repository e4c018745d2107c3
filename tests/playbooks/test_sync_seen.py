# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync of what was found in the branch before: when it is not listed again, and when it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _connection, _hash_cache, _hash_files

from .conftest import Lab
from .test_sync import counts, sync

MASTER = pfs.Branch.from_uri("data@master")


@pytest.fixture(autouse=True)
def _hashes_are_kept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hash_cache, "SETTLE_SECONDS", -60)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"a")
    (root / "sub" / "b").write_bytes(b"b" * 1000)
    return root


@pytest.fixture
def seen(lab: Lab, tree: Path) -> Lab:
    """A lab whose branch was found to hold the tree."""
    bring(lab, tree)
    return lab


def bring(lab: Lab, tree: Path) -> None:
    lab.run("repo", name="data")
    for changed in (True, False):
        assert lab.run("sync", src=str(tree), repo="data")["changed"] is changed


def listings(lab: Lab) -> int:
    return lab.calls().count("GlobFile")


def test_what_is_as_it_was_is_not_listed_again(seen: Lab, tree: Path) -> None:
    before = listings(seen)
    for checksum in ("cached", "always"):
        result = sync(seen, tree, checksum=checksum)
        assert not result["changed"]
        assert counts(result) == (0, 0, 0, 2)
        assert result["syncs"][0]["commit"] == seen.client.pfs.inspect_branch(branch=MASTER).head.id
    assert listings(seen) == before


def test_check_mode_finds_it_too(lab: Lab, tree: Path) -> None:
    lab.run("repo", name="data")
    lab.run("sync", src=str(tree), repo="data")
    lab.run("sync", check=True, src=str(tree), repo="data")
    before = listings(lab)
    assert not lab.run("sync", src=str(tree), repo="data")["changed"]
    assert listings(lab) == before


def same_size_and_mtime(tree: Path) -> None:
    before = (tree / "a").stat()
    (tree / "a").write_bytes(b"A")
    os.utime(tree / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


def swapped(tree: Path) -> None:
    """The same names, sizes and inodes, the other way round."""
    (tree / "c").write_bytes(b"C")
    os.rename(tree / "a", tree / "x")
    os.rename(tree / "c", tree / "a")
    os.rename(tree / "x", tree / "c")


@pytest.mark.parametrize("checksum", ["cached", "always"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (same_size_and_mtime, (0, 1, 0, 1)),
        (lambda tree: (tree / "a").rename(tree / "renamed"), (1, 0, 1, 1)),
        (lambda tree: (tree / "new").touch(), (1, 0, 0, 2)),
        (lambda tree: (tree / "a").unlink(), (0, 0, 1, 1)),
        (swapped, (1, 1, 0, 1)),
    ],
)
def test_what_changes_here_is_seen(
    lab: Lab, tree: Path, checksum: str, change: Callable[[Path], object], expected: tuple[int, ...]
) -> None:
    lab.run("repo", name="data")
    for _run in range(2):
        sync(lab, tree, delete=True, checksum=checksum)
    change(tree)
    assert counts(sync(lab, tree, delete=True, checksum=checksum)) == expected
    assert lab.files() == {f"/{p.relative_to(tree)}": p.read_bytes() for p in tree.rglob("*") if p.is_file()}


def overwrite(lab: Lab) -> None:
    lab.put("/a", b"X")


def remove(lab: Lab) -> None:
    with lab.client.pfs.commit(branch=MASTER) as commit:
        commit.delete_file(path="/a")
    commit.wait()


def drop_head(lab: Lab) -> None:
    """The branch goes back to an older commit."""
    head = lab.client.pfs.inspect_branch(branch=MASTER).head
    lab.client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=head.id))


def make_anew(lab: Lab) -> None:
    lab.client.pfs.delete_repo(repo=MASTER.repo)
    lab.run("repo", name="data")


@pytest.mark.parametrize("checksum", ["cached", "always"])
@pytest.mark.parametrize("change", [overwrite, remove, drop_head, make_anew])
def test_what_others_change_there_is_seen(
    seen: Lab, tree: Path, checksum: str, change: Callable[[Lab], None]
) -> None:
    change(seen)
    assert sync(seen, tree, checksum=checksum)["changed"]
    assert seen.files() == {"/a": b"a", "/sub/b": b"b" * 1000}


def test_what_another_put_into_the_commit_itself_is_seen(
    lab: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a commit is open, others may put into it; so who wrote it does not know what it holds."""
    lab.run("repo", name="data")
    with monkeypatch.context() as undo:
        put_before_the_end(lab, undo)
        assert lab.run("sync", src=str(tree), repo="data")["changed"]
    assert lab.files()["/a"] == b"aX"
    assert counts(sync(lab, tree)) == (0, 1, 0, 1)
    assert lab.files()["/a"] == b"a"


def put_before_the_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _connection._Calls._unary

    def unary(self: Any, name: str, call: Any, request: Any, *rest: Any) -> Any:
        if name.endswith("/FinishCommit"):
            lab.client.pfs.put_file_from_bytes(commit=request.commit, path="/a", data=b"X", append=True)
        return real(self, name, call, request, *rest)

    monkeypatch.setattr(_connection._Calls, "_unary", unary)


def test_other_options_are_another_comparison(seen: Lab, tree: Path) -> None:
    seen.put("/old", b"o")
    for _run in range(2):
        assert not sync(seen, tree)["changed"]
    assert counts(sync(seen, tree, delete=True)) == (0, 0, 1, 2)
    assert counts(sync(seen, tree, dest="/d")) == (2, 0, 0, 0)


def test_another_repo_branch_or_project_is_another_comparison(seen: Lab, tree: Path) -> None:
    seen.run("project", name="vision")
    seen.run("repo", repos=[{"name": "more"}, {"name": "data", "project": "vision"}])
    for other in ({"repo": "more"}, {"branch": "dev"}, {"project": "vision"}):
        assert counts(sync(seen, tree, **other)) == (2, 0, 0, 0)


@pytest.fixture
def other_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    made = Lab(tmp_path / "other", capsys)
    yield made
    made.server.stop(grace=0)


def test_two_labs_with_one_cache_keep_apart(seen: Lab, other_lab: Lab, tree: Path) -> None:
    bring(other_lab, tree)
    before = listings(seen), listings(other_lab)
    for lab in (seen, other_lab, seen):
        assert not sync(lab, tree)["changed"]
    assert (listings(seen), listings(other_lab)) == before
    other_lab.put("/a", b"X")
    assert not sync(seen, tree)["changed"]
    assert counts(sync(other_lab, tree)) == (0, 1, 0, 1)


@pytest.mark.parametrize("content", [b"", b"x" * 64])
def test_with_a_damaged_note_all_is_listed(seen: Lab, tree: Path, cache: Path, content: bytes) -> None:
    (note,) = (cache / "gpulab.pachyderm" / "seen").iterdir()
    note.write_bytes(content)
    before = listings(seen)
    assert not sync(seen, tree)["changed"]
    assert listings(seen) > before


def test_what_no_comparison_needs_is_not_read(seen: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file is not read to be hashed, only to be sent."""
    (tree / "new").write_bytes(b"n")
    monkeypatch.setattr(_hash_files, "hash_one", lambda path: pytest.fail(f"{path} was read"))
    assert counts(sync(seen, tree)) == (1, 0, 0, 2)
