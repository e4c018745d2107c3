# SPDX-License-Identifier: GPL-3.0-or-later
"""FileInfoWriter writes what the SDK itself does; a picker that was encoded means what it did."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from pachyderm_sdk.api import pfs

from pachd_embedded.pfs.model import Commit, CommitRef, Origin, RepoKey
from pachd_embedded.pfs.snapshot import FileInfo
from pachd_embedded.servicers.messages import FileInfoWriter, picked_commit

COMMIT = Commit(
    seq=1,
    id="0123456789ab4cdef0123456789abcde",
    repo=RepoKey("lab", "data"),
    repo_id=1,
    branch="master",
    parent=None,
    origin=Origin.USER,
    description="",
    started=1.0,
    finishing=1_790_000_000.123456,
    finished=1_790_000_000.5,
    error="",
    invalid="",
    based=True,
    tree=None,
)
FILE = FileInfo("/a", False, "default", 1, bytes(range(32)))


def serialized(commit: Commit, info: FileInfo) -> bytes:
    project = pfs.Project(name=commit.repo.project)
    repo = pfs.Repo(name=commit.repo.name, type=commit.repo.type, project=project)
    file = pfs.File(commit=pfs.Commit(repo=repo, id=commit.id), path=info.api_path, datum=info.datum)
    message = pfs.FileInfo(
        file=file,
        file_type=pfs.FileType.DIR if info.is_dir else pfs.FileType.FILE,
        size_bytes=info.size,
        hash=info.hash,
    )
    if commit.finishing is not None:
        message.committed = datetime.fromtimestamp(commit.finishing, UTC)
    return bytes(message)


@pytest.mark.parametrize(
    "info",
    [
        FILE,
        dataclasses.replace(FILE, size=0),
        dataclasses.replace(FILE, size=127),
        dataclasses.replace(FILE, size=128),
        dataclasses.replace(FILE, size=1 << 45),
        dataclasses.replace(FILE, path="/" + "n" * 200),
        dataclasses.replace(FILE, datum="d" * 64),
        FileInfo("/", True, "", 0, bytes(32)),
        FileInfo("/d/e", True, "", 300, bytes(32)),
    ],
)
@pytest.mark.parametrize(
    "commit",
    [
        COMMIT,
        dataclasses.replace(COMMIT, finishing=None),
        dataclasses.replace(COMMIT, finishing=1_790_000_000.0),
        dataclasses.replace(COMMIT, repo=RepoKey("default", "r" * 200, "meta")),
    ],
)
def test_messages_are_those_of_the_sdk(commit: Commit, info: FileInfo) -> None:
    writer = FileInfoWriter(commit)
    assert writer.message(info) == serialized(commit, info)
    assert writer.parsed(info) == pfs.FileInfo.FromString(serialized(commit, info))


DATA = pfs.RepoPicker(name=pfs.RepoPickerRepoName(project=pfs.ProjectPicker(name="lab"), name="data"))
MASTER = pfs.BranchPicker(name=pfs.BranchPickerBranchName(repo=DATA, name="master"))
HEAD = pfs.CommitPicker(branch_head=MASTER)
BY_ID = pfs.CommitPicker(id=pfs.CommitPickerCommitByGlobalId(repo=DATA, id=COMMIT.id))


@pytest.mark.parametrize(
    ("picker", "name"),
    [
        (HEAD, {"branch": "master"}),
        (BY_ID, {"id": COMMIT.id}),
        (pfs.CommitPicker(ancestor=pfs.CommitPickerAncestorOf(offset=2, start=HEAD)), {"id": "master^2"}),
        (
            pfs.CommitPicker(branch_root=pfs.CommitPickerBranchRoot(offset=1, branch=MASTER)),
            {"id": "master.2"},
        ),
    ],
    ids=["branch_head", "id", "ancestor", "branch_root"],
)
def test_a_picker_that_was_encoded_means_what_it_did(picker: pfs.CommitPicker, name: dict[str, str]) -> None:
    received = pfs.CommitPicker.FromString(bytes(picker))
    for _time in range(2):
        assert picked_commit(received) == CommitRef(RepoKey("lab", "data"), **name)
        bytes(received)
