# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects and repos, as a real pachd 2.12 answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs


@pytest.fixture
def project(client: Client) -> pfs.Project:
    names = {info.project.name for info in client.pfs.list_project()}
    project = pfs.Project(name=f"p{len(names)}")
    client.pfs.create_project(project=project)
    return project


def repo_in(project: pfs.Project, name: str) -> pfs.Repo:
    return pfs.Repo(name=name, type="user", project=project)


# Repos


def test_a_repo_is_there_once_created(client: Client) -> None:
    repo = pfs.Repo.from_uri("plain")
    client.pfs.create_repo(repo=repo, description="first")
    info = client.pfs.inspect_repo(repo=repo)
    assert (info.repo, info.description, info.branches, info.details.size_bytes) == (repo, "first", [], 0)
    assert info.created is not None


def test_a_repo_without_project_and_type_is_a_user_repo_of_the_default_project(client: Client) -> None:
    client.pfs.create_repo(repo=pfs.Repo(name="short"))
    # The SDK fills these in, other clients do not.
    request = pfs.InspectRepoRequest(repo=pfs.Repo(name="short"))
    request.repo.type, request.repo.project = "", None
    info = client.pfs.inspect_repo(repo=request.repo)
    assert (info.repo.type, info.repo.project.name) == ("user", "default")


def test_an_existing_repo_is_not_created_again(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.ALREADY_EXISTS, f"^repo default/{data.name} already exists$"):
        client.pfs.create_repo(repo=data.repo)


def test_update_changes_the_description_and_creates_what_is_missing(client: Client) -> None:
    repo = pfs.Repo.from_uri("updated")
    for description in ("one", "two"):
        client.pfs.create_repo(repo=repo, description=description, update=True)
        assert client.pfs.inspect_repo(repo=repo).description == description


@pytest.mark.parametrize("name", ["-", "_a", "9", "a-b_C", "n" * 1000, "master"])
def test_names_that_a_repo_may_have(client: Client, name: str) -> None:
    client.pfs.create_repo(repo=pfs.Repo(name=name))
    assert client.pfs.repo_exists(pfs.Repo(name=name))


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a/b", "a@b", "é", "a\n"])
def test_names_that_a_repo_may_not_have(client: Client, refused: Any, name: str) -> None:
    allowed = "only alphanumeric characters, underscores, and dashes are allowed"
    with refused(StatusCode.UNKNOWN, rf"name \({name}\) invalid: {allowed}$"):
        client.pfs.create_repo(repo=pfs.Repo(name=name))


def test_a_missing_repo(client: Client, refused: Any) -> None:
    nope = pfs.Repo.from_uri("nope")
    with refused(StatusCode.NOT_FOUND, "^repo default/nope not found$"):
        client.pfs.inspect_repo(repo=nope)
    for force in (False, True):
        assert not client.pfs.delete_repo(repo=nope, force=force).deleted


def test_an_unknown_type(client: Client, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "bogus"):
        client.pfs.create_repo(repo=pfs.Repo(name="typed", type="bogus"))
    assert not client.pfs.repo_exists(pfs.Repo(name="typed"))


def test_a_system_repo_needs_its_user_repo(client: Client, data: Any, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "lonely"):
        client.pfs.create_repo(repo=pfs.Repo(name="lonely", type="spec"))
    client.pfs.create_repo(repo=pfs.Repo(name=data.name, type="spec"))
    with refused(StatusCode.UNKNOWN, "cannot delete a repo associated with a pipeline"):
        client.pfs.delete_repo(repo=data.repo, force=True)


def test_a_missing_project(client: Client, refused: Any) -> None:
    nop = pfs.Project(name="nop")
    with refused(StatusCode.NOT_FOUND, 'cannot find project "nop"'):
        client.pfs.create_repo(repo=repo_in(nop, "a"))
    with refused(StatusCode.NOT_FOUND, "repo nop/a not found"):
        client.pfs.inspect_repo(repo=repo_in(nop, "a"))
    assert list(client.pfs.list_repo(projects=[nop])) == []
    assert client.pfs.delete_repos(projects=[nop]).repos == []


def test_repos_are_listed_by_name_and_type(client: Client, project: pfs.Project) -> None:
    for name in ("b", "a", "_", "B"):
        client.pfs.create_repo(repo=repo_in(project, name))
    client.pfs.create_repo(repo=pfs.Repo(name="b", type="meta", project=project))

    def listed(**options: Any) -> list[str]:
        found = client.pfs.list_repo(projects=[project], **options)
        return [f"{info.repo.name}.{info.repo.type}" for info in found]

    assert listed(type="user") == ["B.user", "_.user", "a.user", "b.user"]
    assert listed() == ["B.user", "_.user", "a.user", "b.meta", "b.user"]
    assert listed(page=pfs.RepoPage(page_size=2, page_index=1)) == ["a.user", "b.meta"]


def test_the_size_of_a_repo_is_that_of_the_head_of_its_master(client: Client, data: Any) -> None:
    data.put({"/a": b"12345"})
    data.put({"/b": b"678"}, at="other")
    assert client.pfs.inspect_repo(repo=data.repo).details.size_bytes == 5
    data.put({"/a": b"12345", "/d/b": b"6"})
    info = next(info for info in client.pfs.list_repo() if info.repo.name == data.name)
    assert info.size_bytes_upper_bound == 11
    assert sorted(branch.name for branch in info.branches) == ["master", "other"]


def test_a_repo_with_a_branch_downstream_is_deleted_by_force_only(
    client: Client, new_repo: Callable[[], Any], refused: Any
) -> None:
    up, down = new_repo(), new_repo()
    down.derive(up)
    text = (
        f"^delete repo: delete branch default/{up.name}@master: branch .* cannot be deleted because"
        rf" it's in the direct provenance of \[default/{down.name}@master\]$"
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


# Projects


def test_projects_are_listed_as_they_were_created(client: Client) -> None:
    before = [info.project.name for info in client.pfs.list_project()]
    assert before[0] == "default"
    for name in ("zz", "aa"):
        client.pfs.create_project(project=pfs.Project(name=name))
    assert [info.project.name for info in client.pfs.list_project()] == [*before, "zz", "aa"]


@pytest.mark.parametrize("name", ["default", "twice"])
def test_an_existing_project(client: Client, refused: Any, name: str) -> None:
    client.pfs.create_project(project=pfs.Project(name=name), update=name == "default")
    with refused(StatusCode.ALREADY_EXISTS, f"project {name} already exists"):
        client.pfs.create_project(project=pfs.Project(name=name))


def test_update_of_a_project(client: Client, project: pfs.Project, refused: Any) -> None:
    client.pfs.create_project(project=project, description="new", update=True)
    assert client.pfs.inspect_project(project=project).description == "new"
    with refused(StatusCode.NOT_FOUND, "nop"):
        client.pfs.create_project(project=pfs.Project(name="nop"), update=True)


def test_missing_projects(client: Client, refused: Any) -> None:
    for call in (client.pfs.inspect_project, client.pfs.delete_project):
        with refused(StatusCode.NOT_FOUND, 'project "nop" not found'):
            call(project=pfs.Project(name="nop"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a b", "only alphanumeric characters, underscores, and dashes are allowed"),
        ("-a", "must start with an alphanumeric character"),
        ("_a", "must start with an alphanumeric character"),
        ("n" * 52, "is 1 characters longer than the 51 max"),
    ],
)
def test_names_that_a_project_may_not_have(client: Client, refused: Any, name: str, text: str) -> None:
    with refused(StatusCode.UNKNOWN, f"^invalid project name: .*{text}"):
        client.pfs.create_project(project=pfs.Project(name=name))


def test_a_project_name_of_51_characters(client: Client) -> None:
    client.pfs.create_project(project=pfs.Project(name="n" * 51))
    assert client.pfs.project_exists(pfs.Project(name="n" * 51))


def test_a_project_with_repos_is_not_deleted(client: Client, project: pfs.Project, refused: Any) -> None:
    for name in ("r1", "r2"):
        client.pfs.create_repo(repo=repo_in(project, name))
    name = project.name
    text = f"^cannot delete project {name}: repo {name}/r1 still exists\nrepo {name}/r2 still exists$"
    with refused(StatusCode.FAILED_PRECONDITION, text):
        client.pfs.delete_project(project=project)
    with refused(StatusCode.UNKNOWN, "foreign key"):
        client.pfs.delete_project(project=project, force=True)
    client.pfs.delete_repos(projects=[project])
    client.pfs.delete_project(project=project)
    assert not client.pfs.project_exists(project)
