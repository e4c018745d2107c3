# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_sync when an upload is broken off: what is left in the branch, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _connection, _local_tree, _sync_write
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachdError

from .conftest import Lab

MASTER = pfs.Branch.from_uri("data@master")


@pytest.fixture
def repo(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    return lab


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is written to while it is sent."""
    source = tmp_path / "growing"
    source.write_bytes(b"b" * 1000)
    monkeypatch.setattr(_local_tree, "FRAME_BYTES", 400)

    def write_meanwhile() -> None:
        with source.open("ab") as stream:
            stream.write(b"more")

    while_sending(monkeypatch, write_meanwhile)
    return source


def while_sending(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Has `action` done before each piece of a file goes out."""
    real = _sync_write.add_file

    def act_and_add(path: str, content: bytes) -> bytes:
        action()
        return real(path, content)

    monkeypatch.setattr(_sync_write, "add_file", act_and_add)


def refuse(monkeypatch: pytest.MonkeyPatch, method: str, code: str = "UNAVAILABLE") -> None:
    """Has pachd fail at each call of this method."""
    real = _connection._Calls._unary

    def unary(self: Any, name: str, call: Any, request: Any) -> Any:
        if name.endswith(f"/{method}"):
            raise PachdError(code, f"no {method} today")
        return real(self, name, call, request)

    monkeypatch.setattr(_connection._Calls, "_unary", unary)


def held(lab: Lab) -> list[tuple[str, list[str]]]:
    """The commits that hold something, and what."""
    commits = [info.commit for info in lab.client.pfs.list_commit(repo=MASTER.repo)]
    paths = [[info.file.path for info in lab.client.pfs.glob_file(commit=c, pattern="/**")] for c in commits]
    return [(commit.id, found) for commit, found in zip(commits, paths, strict=True) if found]


@pytest.mark.parametrize("description", [None, "text"])
@pytest.mark.parametrize("old", [True, False])
def test_file_that_changes_while_it_is_sent_leaves_no_commit(
    repo: Lab, growing: Path, description: str | None, old: bool
) -> None:
    if old:
        repo.put("/old", b"o")
    before = held(repo)
    result = repo.run("sync", src=str(growing), repo="data", description=description)
    assert result["msg"] == (
        f"default/data@master: {growing}: was changed while it was read; run again when nobody writes to it;"
        " nothing was committed"
    )
    assert held(repo) == before


def test_commit_that_cannot_be_dropped_is_named(
    repo: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    refuse(monkeypatch, "FinishCommit", "PERMISSION_DENIED")
    with monkeypatch.context() as undo:
        refuse(undo, "DropCommitSet")
        message = repo.run("sync", src=str(tmp_path / "a"), repo="data")["msg"]
    (info,) = repo.client.pfs.list_commit(repo=MASTER.repo)
    assert message == (
        f"default/data@master: no FinishCommit today; commit {info.commit.id} stays open until the next run"
        " drops it: no DropCommitSet today"
    )


def test_reason_of_pachd_is_kept_too(repo: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"a")
    refuse(monkeypatch, "FinishCommit", "PERMISSION_DENIED")
    result = repo.run("sync", src=str(tmp_path / "a"), repo="data", description="text")
    assert result["msg"] == "default/data@master: no FinishCommit today; nothing was committed"
