# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync when pachd fails or others write: all of a tree is committed, or nothing of it.

Each of its calls, failed in turn, is in fault_rows.py.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import (
    _connection,
    _file_sets,
    _progress,
    _sync,
    _sync_head,
    _sync_write,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._connection import Pachd
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import (
    CONNECTION_SPEC,
    ConnectionOptions,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync_plan import Sync

from .conftest import Lab

MASTER = pfs.Branch.from_uri("data@master")
CONTENT = {"/a": b"a" * 600, "/sub/b": b"b" * 600}


@pytest.fixture
def repo(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    lab.put("/old", b"o")
    return lab


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree", CONTENT)


def make_tree(root: Path, contents: dict[str, bytes]) -> Path:
    for path, content in contents.items():
        file = root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


def sync(lab: Lab, tree: Path, **options: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"src": str(tree), "repo": "data", "delete": True, "timeout": 5.0}
    return lab.run("sync", **usual | options)


def open_commits(lab: Lab) -> list[str]:
    infos = lab.client.pfs.list_commit(repo=MASTER.repo)
    return [info.commit.id for info in infos if not info.finishing.timestamp()]


def test_one_of_several_streams_that_fails_ends_all(
    repo: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = large(tmp_path, monkeypatch)
    repo.server.faults.add(
        {"method": "CreateFileSet", "code": "RESOURCE_EXHAUSTED", "text": "full", "times": 1}
    )
    assert sync(repo, tree)["msg"] == "default/data@master: full; nothing was committed"
    assert repo.files() == {"/old": b"o"}
    result = sync(repo, tree)
    assert result["syncs"][0]["files"]["added"] == 3
    assert repo.files() == {f"/{path.name}": path.read_bytes() for path in tree.iterdir()}
    assert not sync(repo, tree)["changed"]


def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree that goes in two streams."""
    monkeypatch.setattr(_sync_write, "_WORTH_BYTES", 1)
    contents = {"/small": b"s", "/one": b"1" * 1_000_000, "/two": bytes(range(256)) * 4_000}
    return make_tree(tmp_path / "large", contents)


def test_large_files_go_side_by_side_into_one_commit(
    repo: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = large(tmp_path, monkeypatch)
    commits = len(list(repo.client.pfs.list_commit(repo=MASTER.repo)))
    seen = len(repo.mutations())
    sync(repo, tree)
    calls = repo.mutations()[seen:]
    assert calls == ["CreateFileSet"] * 3 + ["StartCommit"] + ["AddFileSet"] * 3 + ["FinishCommit"]
    assert len(list(repo.client.pfs.list_commit(repo=MASTER.repo))) == commits + 1


def test_file_sets_are_kept_while_others_are_on_their_way(
    repo: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = large(tmp_path, monkeypatch)
    monkeypatch.setattr(_file_sets, "_RENEW_SECONDS", 0.01)
    real_renew, real_add = _connection._Calls._unary, _sync_write.add_file
    renewed = threading.Event()

    def unary(self: Any, name: str, call: Any, request: Any) -> Any:
        answer = real_renew(self, name, call, request)
        if name.endswith("/RenewFileSet"):
            renewed.set()
        return answer

    def add_when_renewed(path: str, content: bytes) -> bytes:
        if path == "/two":
            assert renewed.wait(60)
        return real_add(path, content)

    monkeypatch.setattr(_connection._Calls, "_unary", unary)
    monkeypatch.setattr(_sync_write, "add_file", add_when_renewed)
    assert sync(repo, tree)["changed"]


def test_what_a_killed_sync_left_open_is_dropped(repo: Lab, tree: Path) -> None:
    commit = repo.client.pfs.start_commit(
        branch=MASTER, description="pachyderm_sync is writing this commit 0123456789abcdef"
    )
    warning = (
        f"default/data@master: commit {commit.id} was left open by a sync that was broken off; it is dropped"
    )
    predicted = repo.run("sync", check=True, src=str(tree), repo="data", delete=True, timeout=1.0)
    assert open_commits(repo) == [commit.id]
    result = sync(repo, tree, timeout=1.0)
    for one in (predicted, result):
        assert one["warnings"] == [warning]
        assert [(a["action"], a["kind"]) for a in one["actions"]] == [
            ("drop", "commit"),
            ("commit", "branch"),
        ]
    assert predicted["diff"] == result["diff"]
    assert open_commits(repo) == []
    assert repo.files() == CONTENT


def test_a_commit_that_is_dropped_although_nothing_else_differs(repo: Lab, tree: Path) -> None:
    sync(repo, tree)
    repo.client.pfs.start_commit(branch=MASTER, description="pachyderm_sync is writing this commit 0")
    result = sync(repo, tree, timeout=1.0)
    assert [a["action"] for a in result["actions"]] == ["drop"]
    assert result["syncs"][0]["changed"]
    assert open_commits(repo) == []
    assert not sync(repo, tree)["changed"]


def test_syncs_that_meet_mix_nothing(repo: Lab, tmp_path: Path) -> None:
    """Each commit holds one of the trees and nothing else, also where all have the same names."""
    trees = {
        number: {f"/{name}": b"%d" % number * 100 for name in ("same", f"own{number}", "sub/x")}
        for number in range(4)
    }
    start = threading.Barrier(len(trees))
    given = {key: spec.get("default") for key, spec in CONNECTION_SPEC.items()}

    def bring(number: int) -> str:
        root = make_tree(tmp_path / str(number), trees[number])
        one = Sync(str(root), "default", "data", "master", "/", delete=True)
        with Pachd(ConnectionOptions.parse(given | {"pachd_address": repo.address})) as pachd:
            start.wait()
            outcome = _sync.run_syncs(pachd, [one], check_mode=False)
        return str(outcome.values["syncs"][0]["commit"])

    with ThreadPoolExecutor(len(trees)) as threads:
        commits = list(threads.map(bring, trees))
    assert len(set(commits)) == len(trees)
    for number, commit in enumerate(commits):
        assert files_of(repo, commit) == trees[number]
    assert open_commits(repo) == []


def test_a_commit_that_is_dropped_while_it_is_looked_at(
    repo: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _sync_head.branch_head
    seen: list[Any] = []

    def head_of_one_that_is_too_late(pachd: Any, branch: Any) -> Any:
        if seen:
            return real(pachd, branch)
        commit = repo.client.pfs.start_commit(branch=MASTER, description=_sync_head.OPEN_MARK)
        seen.append(real(pachd, branch))
        repo.client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit.id))
        return seen[0]

    monkeypatch.setattr(_sync_head, "branch_head", head_of_one_that_is_too_late)
    assert sync(repo, tree)["changed"]
    assert repo.files() == CONTENT


def files_of(lab: Lab, commit_id: str) -> dict[str, bytes]:
    commit = pfs.Commit(repo=MASTER.repo, id=commit_id)
    infos = lab.client.pfs.glob_file(commit=commit, pattern="/**")
    paths = [info.file.path for info in infos if info.file_type == pfs.FileType.FILE]
    return {path: lab.client.pfs.pfs_file(pfs.File(commit=commit, path=path)).read() for path in paths}


def test_who_is_always_too_late_says_so(repo: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _sync.read_head
    numbers = iter(range(100))

    def read_and_lose(*args: Any, **options: Any) -> Any:
        head = real(*args, **options)
        repo.put("/theirs", b"%d" % next(numbers))
        return head

    monkeypatch.setattr(_sync, "read_head", read_and_lose)
    monkeypatch.setattr(_sync, "_ATTEMPTS", 3)
    message = sync(repo, tree)["msg"]
    assert message == (
        "default/data@master: others commit to it all the time; after 3 attempts nothing was committed"
    )
    assert repo.files() == {"/old": b"o", "/theirs": b"2"}


def test_progress_is_told(repo: Lab, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPULAB_PROGRESS", str(tmp_path / "told"))
    monkeypatch.setattr(_progress, "EVERY_SECONDS", 0.0)
    sync(repo, tree)
    last = json.loads((tmp_path / "told").read_text().splitlines()[-1])
    assert (last["what"], last["done"], last["total"]) == ("upload to default/data@master", 1200, 1200)
