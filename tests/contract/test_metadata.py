# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata service: keys and values on projects, repos, branches, commits, pipelines and the cluster."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import metadata, pfs, pps

from tests.contract.lab import Data, Lab

Refused = Callable[..., Any]
Values = dict[str, str]

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
UNKNOWN = grpc.StatusCode.UNKNOWN


class Things:
    """What can be annotated: how an Edit names it, and what it shows."""

    def __init__(self, client: Client, lab: Lab, data: Data) -> None:
        self.client = client
        self.lab = lab
        self.data = data
        self.in_project = pfs.ProjectPicker(name=lab.project)

    def repo_picker(self) -> pfs.RepoPicker:
        name = pfs.RepoPickerRepoName(project=self.in_project, name=self.data.repo.name, type="user")
        return pfs.RepoPicker(name=name)

    def branch_picker(self) -> pfs.BranchPicker:
        return pfs.BranchPicker(name=pfs.BranchPickerBranchName(repo=self.repo_picker(), name="master"))

    def target(self, kind: str) -> dict[str, Any]:
        if kind == "project":
            return {kind: self.in_project}
        if kind == "repo":
            return {kind: self.repo_picker()}
        if kind == "branch":
            return {kind: self.branch_picker()}
        if kind == "commit":
            return {kind: pfs.CommitPicker(branch_head=self.branch_picker())}
        name = pps.PipelinePickerPipelineName(project=self.in_project, name="annotated")
        return {kind: pps.PipelinePicker(name=name)}

    def values(self, kind: str) -> Values:
        if kind == "project":
            return dict(self.client.pfs.inspect_project(project=pfs.Project(name=self.lab.project)).metadata)
        if kind == "repo":
            return dict(self.client.pfs.inspect_repo(repo=self.data.repo).metadata)
        if kind == "branch":
            return dict(self.client.pfs.inspect_branch(branch=self.data.branch()).metadata)
        if kind == "commit":
            return dict(self.data.info().metadata)
        return dict(self.lab.pipeline_info("annotated").metadata)

    def edit(self, kind: str, *operations: dict[str, Any]) -> None:
        edits = [metadata.Edit(**self.target(kind), **operation) for operation in operations]
        self.client.metadata.edit_metadata(edits=edits)


def add(key: str, value: str) -> dict[str, Any]:
    return {"add_key": metadata.EditAddKey(key=key, value=value)}


def edit(key: str, value: str) -> dict[str, Any]:
    return {"edit_key": metadata.EditEditKey(key=key, value=value)}


def delete(key: str) -> dict[str, Any]:
    return {"delete_key": metadata.EditDeleteKey(key=key)}


def replace(**values: str) -> dict[str, Any]:
    return {"replace": metadata.EditReplace(replacement=values)}


@pytest.fixture
def things(client: Client, lab: Lab, data: Data) -> Things:
    data.put({"/a": b"1"})
    return Things(client, lab, data)


@pytest.fixture
def annotated(things: Things, request: pytest.FixtureRequest) -> tuple[Things, str]:
    kind = request.param
    if kind == "pipeline":
        things.lab.pipeline(things.data.repo.name, "true", name="annotated")
    return things, kind


every_kind = pytest.mark.parametrize(
    "annotated", ["project", "repo", "branch", "commit", "pipeline"], indirect=True
)


@every_kind
def test_none_at_first(annotated: tuple[Things, str]) -> None:
    things, kind = annotated
    assert things.values(kind) == {}


@every_kind
def test_a_key_is_added(annotated: tuple[Things, str]) -> None:
    things, kind = annotated
    things.edit(kind, add("key", "value"), add("other", ""))
    assert things.values(kind) == {"key": "value", "other": ""}


@every_kind
def test_a_key_that_is_there_cannot_be_added(annotated: tuple[Things, str], refused: Refused) -> None:
    things, kind = annotated
    things.edit(kind, add("key", "value"))
    with refused(FAILED_PRECONDITION, 'add_key target key "key" already exists; use edit_key instead'):
        things.edit(kind, add("key", "other"))
    assert things.values(kind) == {"key": "value"}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (edit("key", "new"), {"key": "new"}),
        (edit("fresh", "new"), {"key": "value", "fresh": "new"}),
        (delete("key"), {}),
        (delete("nope"), {"key": "value"}),
        (replace(a="1", b="2"), {"a": "1", "b": "2"}),
        (replace(), {}),
    ],
    ids=["edit", "edit of a new key", "delete", "delete of a missing key", "replace", "replace by nothing"],
)
def test_changes(things: Things, operation: dict[str, Any], expected: Values) -> None:
    things.edit("repo", add("key", "value"))
    things.edit("repo", operation)
    assert things.values("repo") == expected


def test_edits_are_made_in_order(things: Things) -> None:
    things.edit("repo", add("key", "1"), edit("key", "2"), delete("other"), add("other", "3"))
    assert things.values("repo") == {"key": "2", "other": "3"}


def test_no_edits_at_all(client: Client) -> None:
    assert client.metadata.edit_metadata(edits=[]) == metadata.EditMetadataResponse()


def test_targets_of_several_kinds_at_once(things: Things) -> None:
    edits = [metadata.Edit(**things.target(kind), **add("key", kind)) for kind in ("repo", "branch")]
    things.client.metadata.edit_metadata(edits=edits)
    assert [things.values(kind) for kind in ("repo", "branch")] == [{"key": "repo"}, {"key": "branch"}]


def test_all_or_nothing(things: Things, refused: Refused) -> None:
    with refused(FAILED_PRECONDITION, "apply edits: edit #1: "):
        things.edit("repo", add("key", "1"), add("key", "2"))
    assert things.values("repo") == {}


def test_each_edit_that_fails_is_told(things: Things, refused: Refused) -> None:
    with refused(FAILED_PRECONDITION, r"edit #1: (.|\n)*edit #2: "):
        things.edit("repo", add("key", "1"), add("key", "2"), add("key", "3"))


def test_a_target_that_is_missing(things: Things, refused: Refused) -> None:
    picker = pfs.RepoPicker(name=pfs.RepoPickerRepoName(project=things.in_project, name="nope"))
    with refused(UNKNOWN, "apply edits: edit #0: .*not found"):
        things.client.metadata.edit_metadata(edits=[metadata.Edit(repo=picker, **add("key", "value"))])


@pytest.mark.parametrize("operation", [add("", "1"), edit("", "1"), delete(""), replace(**{"": "1"})])
def test_a_key_cannot_be_empty(things: Things, refused: Refused, operation: dict[str, Any]) -> None:
    with refused(INVALID_ARGUMENT):
        things.edit("repo", operation)


def test_an_edit_names_its_target(client: Client, refused: Refused) -> None:
    with refused(INVALID_ARGUMENT):
        client.metadata.edit_metadata(edits=[metadata.Edit(**add("key", "value"))])


def test_an_edit_does_something(things: Things, refused: Refused) -> None:
    with refused(INVALID_ARGUMENT):
        things.edit("repo", {})


def test_a_new_commit_has_none_of_its_parents(things: Things) -> None:
    things.edit("commit", add("key", "value"))
    things.data.put({"/b": b"2"})
    assert things.values("commit") == {}


def test_a_commit_by_id(things: Things) -> None:
    older = things.data.head()
    things.data.put({"/b": b"2"})
    by_id = pfs.CommitPicker(id=pfs.CommitPickerCommitByGlobalId(repo=things.repo_picker(), id=older))
    things.client.metadata.edit_metadata(edits=[metadata.Edit(commit=by_id, **add("key", "value"))])
    assert (things.data.info(older).metadata, things.values("commit")) == ({"key": "value"}, {})


def test_an_update_of_a_repo_keeps_them(things: Things) -> None:
    things.edit("repo", add("key", "value"))
    things.client.pfs.create_repo(repo=things.data.repo, description="new", update=True)
    assert things.values("repo") == {"key": "value"}


def test_lists_show_them(things: Things) -> None:
    things.edit("repo", add("key", "value"))
    listed = things.client.pfs.list_repo(projects=[pfs.Project(name=things.lab.project)], type="user")
    assert [info.metadata for info in listed] == [{"key": "value"}]


@pytest.mark.cluster_wide
def test_the_cluster(client: Client) -> None:
    key = f"contract-{uuid.uuid4().hex}"
    target = {"cluster": metadata.ClusterPicker()}
    before = dict(client.admin.inspect_cluster().metadata)
    client.metadata.edit_metadata(edits=[metadata.Edit(**target, **add(key, "value"))])
    assert client.admin.inspect_cluster().metadata == {**before, key: "value"}
    client.metadata.edit_metadata(edits=[metadata.Edit(**target, **delete(key))])
    assert client.admin.inspect_cluster().metadata == before
