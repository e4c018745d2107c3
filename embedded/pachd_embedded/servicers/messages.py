# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the SDK's messages and what the domain speaks of."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
from betterproto import encode_varint, which_one_of
from pachyderm_sdk.api import pfs

from ..auth.caller import permitted
from ..auth.model import Resource, project_resource
from ..errors import unknown
from ..pfs.model import DEFAULT_PROJECT, BranchKey, Commit, CommitRef, Project, RepoKey
from ..pfs.snapshot import FileInfo
from ..pfs.triggers import Trigger

# What a time in a message is that its sender did not set.
UNSET_TIME = datetime.fromtimestamp(0, UTC)

# What each method gets beside its request; untyped, as gRPC brings no types.
Context: TypeAlias = grpc.ServicerContext


def when(seconds: float | None) -> datetime | None:
    """A time of the database as a message has it; None stays unset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def project_name(project: Any) -> str:
    return (project.name if project else "") or DEFAULT_PROJECT


def repo_key(repo: Any) -> RepoKey:
    if not repo:
        raise unknown("repo cannot be nil")
    return RepoKey(project_name(repo.project), repo.name, repo.type or "user")


def branch_key(branch: Any) -> BranchKey:
    if not branch:
        raise unknown("branch cannot be nil")
    return BranchKey(repo_key(branch.repo), branch.name)


def commit_ref(commit: Any) -> CommitRef:
    """A commit may name its repo itself or by its branch."""
    if not commit:
        raise unknown("commit cannot be nil")
    repo = commit.repo if commit.repo and commit.repo.name else commit.branch.repo if commit.branch else None
    return CommitRef(repo_key(repo), commit.id, commit.branch.name if commit.branch else "")


def optional_ref(commit: Any) -> CommitRef | None:
    return commit_ref(commit) if commit and (commit.id or commit.branch.name) else None


def trigger_of(message: Any) -> Trigger | None:
    """The trigger that a request gives a branch; None where it gives none."""
    return Trigger.of(message) if message._serialized_on_wire else None


def trigger_message(trigger: Trigger) -> Any:
    return pfs.Trigger(**asdict(trigger))


def picked_branch(picker: Any) -> BranchKey:
    return BranchKey(picked_repo(picker.name.repo), picker.name.name)


def picked_commit(picker: Any) -> CommitRef:
    """A CommitPicker as the reference that means the same."""
    # Its is_set is true of every field that was looked at once, as all are when it is encoded.
    kind, found = which_one_of(picker, "picker")
    if kind == "branch_head":
        key = picked_branch(found)
        return CommitRef(key.repo, branch=key.name)
    if kind == "id":
        return CommitRef(picked_repo(found.repo), id=found.id)
    if kind == "ancestor":
        start = picked_commit(found.start)
        return CommitRef(start.repo, id=f"{start.id or start.branch}^{found.offset}")
    if kind == "branch_root":
        key = picked_branch(found.branch)
        return CommitRef(key.repo, id=f"{key.name}.{found.offset + 1}")
    raise unknown("commit picker cannot be empty")


def picked_repo(picker: Any) -> RepoKey:
    return RepoKey(project_name(picker.name.project), picker.name.name, picker.name.type or "user")


def auth_info(resource: Resource) -> Any:
    """What the caller may do; unset while auth is off."""
    found = permitted(resource)
    return None if found is None else pfs.AuthInfo(permissions=found[0], roles=found[1])


def project_info(project: Project) -> Any:
    return pfs.ProjectInfo(
        project=pfs.Project(name=project.name),
        description=project.description,
        created_at=when(project.created),
        metadata=json.loads(project.metadata),
        auth_info=auth_info(project_resource(project.name)),
    )


def repo_message(key: RepoKey) -> Any:
    return pfs.Repo(name=key.name, type=key.type, project=pfs.Project(name=key.project))


def branch_message(key: BranchKey) -> Any:
    return pfs.Branch(repo=repo_message(key.repo), name=key.name)


def commit_message(commit: Commit) -> Any:
    return pfs.Commit(repo=repo_message(commit.repo), id=commit.id)


class FileInfoWriter:
    """FileInfo messages of one commit, in wire format.

    A listing repeats everything but path, size and hash, and the SDK takes 0.2 ms to serialize one
    FileInfo; so the repeated parts are serialized once. tests/embedded/test_messages.py holds this
    against the SDK's own serialization.
    """

    def __init__(self, commit: Commit) -> None:
        self._commit = _field(1, bytes(commit_message(commit)))
        self._committed = bytes(pfs.FileInfo(committed=when(commit.finishing))) if commit.finishing else b""

    def message(self, info: FileInfo) -> bytes:
        datum = _field(3, info.datum.encode()) if info.datum else b""
        file = self._commit + _field(2, info.api_path.encode()) + datum
        file_type = pfs.FileType.DIR if info.is_dir else pfs.FileType.FILE
        size = b"\x20" + encode_varint(info.size) if info.size else b""
        return _field(1, file) + b"\x10" + bytes([file_type]) + self._committed + size + _field(5, info.hash)

    def parsed(self, info: FileInfo) -> Any:
        return pfs.FileInfo.FromString(self.message(info))


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return bytes([number << 3 | 2]) + encode_varint(len(data)) + data
