# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-coded messages are those of the SDK."""

from __future__ import annotations

import datetime

import pytest
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils._wire import (
    RemoteFile,
    add_file,
    delete_file,
    read_file_info,
    reading,
    set_commit,
)

COMMIT = pfs.Commit(repo=pfs.Repo(name="data", type="user", project=pfs.Project(name="default")), id="a" * 32)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 300_000])
def test_put(size: int) -> None:
    content = bytes(size)
    assert bytes(pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a b", raw=content))) == add_file(
        "/a b", content
    )


def test_only_some_fields_are_read() -> None:
    branch = pfs.Branch(repo=COMMIT.repo, name="master")
    info = pfs.BranchInfo(branch=branch, head=COMMIT, direct_provenance=[branch, branch], metadata={"a": "b"})
    read = reading(pfs.BranchInfo, "branch", "direct_provenance")
    assert read(bytes(info)) == pfs.BranchInfo(branch=branch, direct_provenance=[branch, branch])
    assert read(b"") == pfs.BranchInfo()


def test_commit_and_delete() -> None:
    assert bytes(pfs.ModifyFileRequest(set_commit=COMMIT)) == set_commit(bytes(COMMIT))
    assert bytes(pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path="/a"))) == delete_file("/a")


@pytest.mark.parametrize(
    ("kind", "path", "size"),
    [(pfs.FileType.FILE, "/a", 0), (pfs.FileType.FILE, "/b/c", 5_000_000_000), (pfs.FileType.DIR, "/b/", 12)],
)
def test_file_info(kind: pfs.FileType, path: str, size: int) -> None:
    info = pfs.FileInfo(
        file=pfs.File(commit=COMMIT, path=path, datum="default"),
        file_type=kind,
        committed=datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC),
        size_bytes=size,
        hash=b"h" * 32,
    )
    assert read_file_info(bytes(info)) == RemoteFile(path, size, b"h" * 32, kind == pfs.FileType.DIR)


def test_cut_off_message_is_an_error() -> None:
    whole = bytes(pfs.FileInfo(file=pfs.File(path="/abc"), hash=b"h" * 32))
    for length in (1, 5, len(whole) - 1):
        with pytest.raises(ValueError, match="cut off"):
            read_file_info(whole[:length])
