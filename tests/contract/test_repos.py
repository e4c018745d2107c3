# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos, as a real pachd 2.12 answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs


def repo_in(project: pfs.Project, name: str) -> pfs.Repo:
    return pfs.Repo(name=name, type="user", project=project)


# Repos


def test_a_repo_is_there_once_created(client: Client, project: pfs.Project) -> None:
    repo = repo_in(project, "plain")
    client.pfs.create_repo(repo=repo, description="first")
    info = client.pfs.inspect_repo(repo=repo)
    assert (info.repo, info.description, info.branches, info.details.size_bytes) == (repo, "first", [], 0)
    assert info.created is not None


def test_a_repo_without_a_type_is_a_user_repo(client: Client, project: pfs.Project) -> None:
    client.pfs.create_repo(repo=repo_in(project, "short"))
    # The SDK fills it in, other clients do not.
    request = pfs.InspectRepoRequest(repo=repo_in(project, "short"))
    request.repo.type = ""
    assert client.pfs.inspect_repo(repo=request.repo).repo.type == "user"


def test_a_repo_without_a_project_is_in_the_default_one(client: Client, refused: Any) -> None:
    repo = pfs.Repo(name="contract-missing", type="user")
    repo.project = None
    with refused(StatusCode.NOT_FOUND, "^repo default/contract-missing not found$"):
        client.pfs.inspect_repo(repo=repo)


def test_an_existing_repo_is_not_created_again(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.ALREADY_EXISTS, f"^repo {data.name} already exists$"):
        client.pfs.create_repo(repo=data.repo)


def test_update_changes_the_description_and_creates_what_is_missing(
    client: Client, project: pfs.Project
) -> None:
    repo = repo_in(project, "updated")
    for description in ("one", "two"):
        client.pfs.create_repo(repo=repo, description=description, update=True)
        assert client.pfs.inspect_repo(repo=repo).description == description


@pytest.mark.parametrize("name", ["-", "_a", "9", "a-b_C", "n" * 1000, "master"])
def test_names_that_a_repo_may_have(client: Client, project: pfs.Project, name: str) -> None:
    client.pfs.create_repo(repo=repo_in(project, name))
    assert client.pfs.repo_exists(repo_in(project, name))


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "a@b", "é", "a\n"])
def test_names_that_a_repo_may_not_have(
    client: Client, project: pfs.Project, refused: Any, name: str
) -> None:
    allowed = "only alphanumeric characters, underscores, and dashes are allowed"
    with refused(StatusCode.UNKNOWN, rf"name \({name}\) invalid: {allowed}$"):
        client.pfs.create_repo(repo=repo_in(project, name))


def test_a_missing_repo_is_not_found(client: Client, project: pfs.Project, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, f"^repo {project.name}/nope not found$"):
        client.pfs.inspect_repo(repo=repo_in(project, "nope"))


@pytest.mark.parametrize("force", [False, True])
def test_deleting_a_missing_repo_says_that_nothing_was(
    client: Client, project: pfs.Project, force: bool
) -> None:
    assert not client.pfs.delete_repo(repo=repo_in(project, "nope"), force=force).deleted


def test_an_unknown_type(client: Client, project: pfs.Project, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "bogus"):
        client.pfs.create_repo(repo=pfs.Repo(name="typed", type="bogus", project=project))
    assert not client.pfs.repo_exists(repo_in(project, "typed"))


def test_a_system_repo_needs_its_user_repo(client: Client, project: pfs.Project, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "lonely"):
        client.pfs.create_repo(repo=pfs.Repo(name="lonely", type="spec", project=project))


def test_a_missing_project(client: Client, refused: Any) -> None:
    nop = pfs.Project(name="nop")
    with refused(StatusCode.NOT_FOUND, 'cannot find project "nop"'):
        client.pfs.create_repo(repo=repo_in(nop, "a"))
    with refused(StatusCode.NOT_FOUND, "repo nop/a not found"):
        client.pfs.inspect_repo(repo=repo_in(nop, "a"))
    assert list(client.pfs.list_repo(projects=[nop])) == []
    assert client.pfs.delete_repos(projects=[nop]).repos == []


def test_repos_are_listed_by_name(client: Client, project: pfs.Project) -> None:
    for name in ("b", "a", "_", "B"):
        client.pfs.create_repo(repo=repo_in(project, name))
    assert [info.repo.name for info in client.pfs.list_repo(projects=[project])] == ["B", "_", "a", "b"]


def test_pages_of_a_list_of_repos(client: Client, project: pfs.Project) -> None:
    for name in ("a", "b", "c"):
        client.pfs.create_repo(repo=repo_in(project, name))
    pages = [
        client.pfs.list_repo(projects=[project], page=pfs.RepoPage(page_size=2, page_index=index))
        for index in (0, 1, 2)
    ]
    assert [[info.repo.name for info in page] for page in pages] == [["a", "b"], ["c"], []]


def test_the_size_of_a_repo_is_that_of_the_head_of_its_master(client: Client, data: Any) -> None:
    data.put({"/a": b"12345"})
    data.put({"/b": b"678"}, at="other")
    assert client.pfs.inspect_repo(repo=data.repo).details.size_bytes == 5
    data.put({"/a": b"12345", "/d/b": b"6"})
    info = next(iter(client.pfs.list_repo(projects=[data.repo.project])))
    assert info.size_bytes_upper_bound == 11
    assert sorted(branch.name for branch in info.branches) == ["master", "other"]


def test_a_repo_with_a_branch_downstream_is_deleted_by_force_only(
    client: Client, new_repo: Callable[[], Any], refused: Any
) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    text = (
        f"^delete repo: delete branch {up.name}@master: branch .* cannot be deleted because"
        rf" it's in the direct provenance of \[{down.name}@master\]$"
    )
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.delete_repo(repo=up.repo)
    assert client.pfs.repo_exists(up.repo)
    assert client.pfs.delete_repo(repo=up.repo, force=True).deleted
    assert not client.pfs.repo_exists(up.repo)
    assert client.pfs.inspect_branch(branch=down.branch()).provenance == []


def test_a_repo_created_after_its_deletion_is_empty(client: Client, data: Any) -> None:
    data.put({"/a": b"1"})
    assert client.pfs.delete_repo(repo=data.repo).deleted
    client.pfs.create_repo(repo=data.repo)
    assert data.history() == []
    assert list(client.pfs.list_branch(repo=data.repo)) == []


def test_all_repos_of_a_project_are_deleted_downstream_first(client: Client, project: pfs.Project) -> None:
    up, down = repo_in(project, "up"), repo_in(project, "down")
    for repo in (up, down):
        client.pfs.create_repo(repo=repo)
    branches = [pfs.Branch(repo=repo, name="master") for repo in (up, down)]
    client.pfs.create_branch(branch=branches[1], provenance=branches[:1])
    assert {repo.name for repo in client.pfs.delete_repos(projects=[project]).repos} == {"up", "down"}
    assert list(client.pfs.list_repo(projects=[project])) == []


def test_the_summary_counts_repos_and_bytes(client: Client, project: pfs.Project) -> None:
    client.pfs.create_repo(repo=repo_in(project, "a"))
    commit = pfs.Commit.from_uri(f"{project.name}/a@master")
    client.pfs.put_file_from_bytes(commit=commit, path="/a", data=b"123")
    (summary,) = client.pfs.repos_summary(projects=[project.as_picker()]).summaries
    assert (summary.user_repo_count, summary.size_bytes) == (1, 3)
