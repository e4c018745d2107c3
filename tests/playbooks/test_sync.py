# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync: what comes into a branch, and what is refused before anything does."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _sync

from .conftest import Lab


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"a")
    (root / "empty").touch()
    (root / "sub" / "b").write_bytes(b"b" * 1000)
    return root


@pytest.fixture
def repo(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    return lab


def sync(lab: Lab, tree: Path, **options: Any) -> dict[str, Any]:
    """A sync after its check-mode twin, which must predict the same."""
    options = {"src": str(tree), "repo": "data", **options}
    predicted = lab.run("sync", check=True, **options)
    result = lab.run("sync", **options)
    if "syncs" in result:
        for one in (*predicted["syncs"], *result["syncs"]):
            if one["changed"]:
                one["commit"] = ""
    assert predicted == result
    return result


def counts(result: dict[str, Any]) -> tuple[int, int, int, int]:
    files = result["syncs"][0]["files"]
    return files["added"], files["updated"], files["deleted"], files["unchanged"]


def test_tree_comes_into_the_branch_once(repo: Lab, tree: Path) -> None:
    assert counts(sync(repo, tree)) == (3, 0, 0, 0)
    assert repo.files() == {"/a": b"a", "/empty": b"", "/sub/b": b"b" * 1000}
    seen = repo.mutations()
    again = sync(repo, tree)
    assert not again["changed"]
    assert again["actions"] == []
    assert counts(again) == (0, 0, 0, 3)
    assert repo.mutations() == seen


def test_changed_files_are_overwritten_not_appended(repo: Lab, tree: Path) -> None:
    sync(repo, tree)
    (tree / "a").write_bytes(b"x")
    (tree / "sub" / "b").write_bytes(b"longer" * 1000)
    result = sync(repo, tree)
    assert counts(result) == (0, 2, 0, 1)
    assert result["syncs"][0]["paths"]["updated"] == ["/a", "/sub/b"]
    assert repo.files() == {"/a": b"x", "/empty": b"", "/sub/b": b"longer" * 1000}


def test_each_change_is_one_commit_with_one_upload(repo: Lab, tree: Path) -> None:
    repo.run("sync", src=str(tree), repo="data")
    assert repo.mutations()[1:] == ["CreateFileSet", "StartCommit", "AddFileSet", "FinishCommit"]
    commits = list(repo.client.pfs.list_commit(repo=pfs.Repo.from_uri("data")))
    assert len(commits) == 1


def test_delete_makes_the_branch_hold_exactly_the_tree(repo: Lab, tree: Path) -> None:
    repo.put("/old/c", b"c")
    assert counts(sync(repo, tree)) == (3, 0, 0, 0)
    assert "/old/c" in repo.files()
    assert counts(sync(repo, tree, delete=True)) == (0, 0, 1, 3)
    assert sorted(repo.files()) == ["/a", "/empty", "/sub/b"]


def test_delete_stays_below_dest(repo: Lab, tree: Path) -> None:
    repo.put("/keep", b"k")
    repo.put("/here/gone", b"g")
    repo.put("/hereafter", b"h")
    assert counts(sync(repo, tree, dest="/here", delete=True)) == (3, 0, 1, 0)
    assert sorted(repo.files()) == ["/here/a", "/here/empty", "/here/sub/b", "/hereafter", "/keep"]


def test_directory_and_file_may_change_places_with_delete(repo: Lab, tree: Path) -> None:
    sync(repo, tree)
    (tree / "a").unlink()
    (tree / "a").mkdir()
    (tree / "a" / "deep").write_bytes(b"d")
    (tree / "sub" / "b").unlink()
    (tree / "sub").rmdir()
    (tree / "sub").write_bytes(b"s")
    refused = sync(repo, tree)
    assert "/a is a file there, and /a/deep needs a directory" in refused["msg"]
    assert "/sub is a directory there and a file here" in refused["msg"]
    assert counts(sync(repo, tree, delete=True)) == (2, 0, 2, 1)
    assert repo.files() == {"/a/deep": b"d", "/empty": b"", "/sub": b"s"}


def test_file_above_dest_is_never_deleted(repo: Lab, tree: Path) -> None:
    repo.put("/x", b"x")
    result = sync(repo, tree, dest="/x/y", delete=True)
    assert "/x is a file there, and /x/y/a needs a directory" in result["msg"]
    assert repo.files() == {"/x": b"x"}


@pytest.mark.parametrize(
    ("dest", "path"), [("/", "/a"), ("/d/", "/d/a"), ("/d/name", "/d/name"), ("n", "/n")]
)
def test_single_file(repo: Lab, tree: Path, dest: str, path: str) -> None:
    repo.put("/other", b"o")
    assert counts(sync(repo, tree / "a", dest=dest)) == (1, 0, 0, 0)
    assert repo.files() == {"/other": b"o", path: b"a"}
    assert not sync(repo, tree / "a", dest=dest)["changed"]


def test_big_files(repo: Lab, tmp_path: Path) -> None:
    """More than one message, and more than one chunk."""
    root = tmp_path / "big"
    root.mkdir()
    (root / "zeros").write_bytes(bytes(20_000_001))
    (root / "noise").write_bytes(os.urandom(1_500_000))
    assert counts(sync(repo, root)) == (2, 0, 0, 0)
    assert repo.files()["/noise"] == (root / "noise").read_bytes()
    assert not sync(repo, root)["changed"]


def test_file_built_from_pieces_is_uploaded_at_most_once(repo: Lab, tmp_path: Path) -> None:
    root = tmp_path / "pieces"
    root.mkdir()
    content = os.urandom(1_800_000)
    (root / "f").write_bytes(content)
    repo.put("/f", content[:900_000])
    repo.put("/f", content[900_000:], append=True)
    sync(repo, root)
    assert not sync(repo, root)["changed"]
    assert repo.files() == {"/f": content}


def test_commit_of_another_writer_in_between(repo: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put on a file that somebody else has just made would append to it; ours must win all the same."""
    real = _sync.read_head
    others = iter([b"their a"])

    def read_then_wait(*args: Any, **options: Any) -> Any:
        head = real(*args, **options)
        for content in others:
            repo.put("/a", content)
            repo.put("/theirs", b"t")
        return head

    monkeypatch.setattr(_sync, "read_head", read_then_wait)
    assert counts(repo.run("sync", src=str(tree), repo="data")) == (3, 0, 0, 0)
    assert repo.files() == {"/a": b"a", "/empty": b"", "/sub/b": b"b" * 1000, "/theirs": b"t"}


def test_description_is_that_of_the_commit(repo: Lab, tree: Path) -> None:
    sync(repo, tree, description="from the lab")
    (info,) = repo.client.pfs.list_commit(repo=pfs.Repo.from_uri("data"))
    assert info.description == "from the lab"
    assert not sync(repo, tree, description="another")["changed"]


def test_branch_and_project(lab: Lab, tree: Path) -> None:
    lab.run("project", name="vision")
    lab.run("repo", name="data", project="vision")
    result = sync(lab, tree, project="vision", branch="dev")
    assert result["actions"] == [{"action": "commit", "kind": "branch", "name": "vision/data@dev"}]


def test_list_of_syncs(lab: Lab, tree: Path) -> None:
    lab.run("repo", repos=[{"name": "data"}, {"name": "more"}])
    options: dict[str, Any] = {
        "delete": True,
        "syncs": [
            {"src": str(tree), "repo": "data"},
            {"src": str(tree / "sub"), "repo": "more", "dest": "/x"},
            {"src": str(tree / "a"), "repo": "more", "dest": "/y/", "delete": False},
        ],
    }
    result = lab.run("sync", **options)
    assert [one["files"]["added"] for one in result["syncs"]] == [3, 1, 1]
    assert sorted(lab.files("more")) == ["/x/b", "/y/a"]
    assert not lab.run("sync", **options)["changed"]


def test_diff_names_paths_and_sizes(repo: Lab, tree: Path) -> None:
    sync(repo, tree)
    (tree / "a").write_bytes(b"aa")
    (tree / "empty").unlink()
    (tree / "new").write_bytes(b"n")
    diff = sync(repo, tree, delete=True)["diff"]
    assert diff["before"] == {"branch default/data@master": {"/a": "1 bytes", "/empty": "0 bytes"}}
    assert diff["after"] == {"branch default/data@master": {"/a": "2 bytes, new content", "/new": "1 bytes"}}


def test_missing_repo(lab: Lab, tree: Path) -> None:
    options: dict[str, Any] = {"src": str(tree), "repo": "soon"}
    predicted = lab.run("sync", check=True, **options)
    assert counts(predicted) == (3, 0, 0, 0)
    assert predicted["warnings"] == ["repo default/soon does not exist yet; it is taken as an empty one"]
    assert "repo default/soon does not exist; create it first" in lab.run("sync", **options)["msg"]


def link(target: str) -> Callable[[Path], None]:
    return lambda root: (root / "bad").symlink_to(target)


def odd_name(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).touch()


def bound_socket(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root)  # a socket's path may only be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("bad")
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (link("nothing"), "bad: is a link to nothing"),
        (link("sub"), "bad: is a link to a directory"),
        (link("/etc/passwd"), "bad: is a link to /etc/passwd, outside of the tree"),
        (lambda root: os.mkfifo(root / "bad"), "bad: is a named pipe; only regular files can be uploaded"),
        (bound_socket, "bad: is a socket; only regular files can be uploaded"),
        (odd_name("what?"), "what?: PFS refuses this name: globbing character (?) not allowed in path"),
        (odd_name("käse"), "käse: PFS refuses this name: only printable ASCII characters allowed"),
        (odd_name("two\nlines"), "two\\nlines': PFS refuses this name: only printable ASCII"),
    ],
)
def test_what_cannot_be_uploaded_is_named(
    repo: Lab, tree: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(tree)
    seen = repo.mutations()
    assert message in sync(repo, tree)["msg"]
    assert repo.mutations() == seen


def test_link_to_a_file_of_the_tree_is_followed(repo: Lab, tree: Path) -> None:
    (tree / "link").symlink_to("sub/b")
    sync(repo, tree)
    assert repo.files()["/link"] == b"b" * 1000


def test_missing_and_empty_source(repo: Lab, tmp_path: Path) -> None:
    assert f"src: {tmp_path / 'no'}: No such file or directory" in sync(repo, tmp_path / "no")["msg"]
    (tmp_path / "void").mkdir()
    assert "void: holds no file" in sync(repo, tmp_path / "void")["msg"]
    repo.put("/old", b"o")
    assert counts(sync(repo, tmp_path / "void", allow_empty=True, delete=True)) == (0, 0, 1, 0)
    assert repo.files() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dest": "/a*"}, "dest: path (/a*) invalid: globbing character (*) not allowed"),
        ({"dest": "/a/../b"}, "dest: path (/a/../b) invalid: relative file paths are not allowed"),
        ({"branch": "a.b"}, 'branch: branch name "a.b": only letters'),
        ({"repo": None}, "repo: is required"),
    ],
)
def test_bad_options(repo: Lab, tree: Path, options: dict[str, Any], message: str) -> None:
    assert message in sync(repo, tree, **options)["msg"]


def test_delete_wants_a_directory(repo: Lab, tree: Path) -> None:
    assert "a is a file; delete needs a directory" in sync(repo, tree / "a", delete=True)["msg"]


def test_syncs_that_undo_each_other_are_refused(repo: Lab, tree: Path) -> None:
    one = {"src": str(tree), "repo": "data"}
    twice = repo.run("sync", syncs=[one, one])
    assert "syncs[1]: /a of default/data@master is written by syncs[0] too" in twice["msg"]
    deleting = repo.run("sync", syncs=[one | {"dest": "/x"}, one | {"delete": True}])
    assert (
        "syncs[1]: delete would remove /x/a of default/data@master, which syncs[0] writes" in deleting["msg"]
    )


def test_open_commit_is_named(repo: Lab, tree: Path) -> None:
    commit = repo.client.pfs.start_commit(branch=pfs.Branch.from_uri("data@master"))
    assert f"default/data@master: commit {commit.id} is still open" in sync(repo, tree)["msg"]


def test_head_with_an_error_is_rewritten(repo: Lab, tree: Path) -> None:
    branch = pfs.Branch.from_uri("data@master")
    commit = repo.client.pfs.start_commit(branch=branch)
    repo.client.pfs.put_file_from_bytes(commit=commit, path="/junk", data=b"j")
    repo.client.pfs.finish_commit(commit=commit, error="boom")
    repo.client.pfs.wait_commit(commit)
    result = sync(repo, tree, delete=True)
    assert result["warnings"] == ["default/data@master: its head has an error: boom; it is rewritten"]
    assert sorted(repo.files()) == ["/a", "/empty", "/sub/b"]
    assert not sync(repo, tree, delete=True)["changed"]
