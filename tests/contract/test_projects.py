# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: what is taken for a name, what is refused, and what deleting one asks for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

NEW = pfs.Project(name="contract-missing")


def test_a_project_keeps_its_description(client: Client, project: Any) -> None:
    client.pfs.create_project(project=project, description="what it is for", update=True)
    assert client.pfs.inspect_project(project=project).description == "what it is for"


def test_a_project_is_made_once(client: Client, project: Any, refused: Any) -> None:
    with refused(StatusCode.ALREADY_EXISTS, project.name):
        client.pfs.create_project(project=project)


def test_the_default_project_is_there(client: Client, refused: Any) -> None:
    assert client.pfs.inspect_project(project=pfs.Project(name="default")).project.name == "default"
    with refused(StatusCode.ALREADY_EXISTS, "default"):
        client.pfs.create_project(project=pfs.Project(name="default"))


@pytest.mark.parametrize("call", ["inspect_project", "delete_project", "update"])
def test_a_missing_project_is_not_found(client: Client, refused: Any, call: str) -> None:
    with refused(StatusCode.NOT_FOUND, ""):
        if call == "update":
            client.pfs.create_project(project=NEW, update=True)
        else:
            getattr(client.pfs, call)(project=NEW)


@pytest.mark.parametrize("name", ["-a", "_a", "a b", "a.b", "a/b", "é", "a" * 52])
def test_names_that_no_project_may_have(client: Client, refused: Any, name: str) -> None:
    with refused(StatusCode.UNKNOWN, "."):
        client.pfs.create_project(project=pfs.Project(name=name))


@pytest.mark.parametrize("name", ["0{}", "a_b-{}", "A{}"])
def test_names_that_a_project_may_have(client: Client, name: str) -> None:
    project = pfs.Project(name=name.format(uuid.uuid4().hex[:12]))
    client.pfs.create_project(project=project)
    try:
        assert project in [info.project for info in client.pfs.list_project()]
    finally:
        client.pfs.delete_project(project=project)


def test_a_project_with_a_repo_is_not_deleted(client: Client, project: Any, data: Any, refused: Any) -> None:
    with refused(StatusCode.FAILED_PRECONDITION, f"repo {data.name} still exists"):
        client.pfs.delete_project(project=project)


def test_projects_are_listed_in_the_order_of_their_making(client: Client, new_project: Any) -> None:
    made = [new_project().name for _ in range(3)]
    listed = [info.project.name for info in client.pfs.list_project()]
    assert [name for name in listed if name in made] == made


def test_repos_of_one_name_in_two_projects_are_two(client: Client, new_project: Any) -> None:
    repos = [pfs.Repo(name="data", type="user", project=new_project()) for _ in range(2)]
    for repo in repos:
        client.pfs.create_repo(repo=repo, description=repo.project.name)
    assert [client.pfs.inspect_repo(repo=repo).description for repo in repos] == [
        r.project.name for r in repos
    ]
