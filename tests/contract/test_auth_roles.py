# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, role bindings and groups: what they are, where they are kept, and who gets which by itself."""

from __future__ import annotations

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import auth, pfs
from pachyderm_sdk.api.auth import Permission, ResourceType

from tests.contract.auth_lab import CLUSTER, AuthLab, fresh, names
from tests.contract.fixtures import Refused
from tests.contract.lab import Data


def roles_for(lab: AuthLab, permission: Permission) -> dict[str, auth.Role]:
    found = lab.api.get_roles_for_permission(permission=permission).roles
    return {role.name: role for role in found}


# Definitions


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ("REPO_READ", {"repoReader", "repoWriter", "repoOwner", "projectOwner", "clusterAdmin"}),
        ("REPO_WRITE", {"repoWriter", "repoOwner", "projectOwner", "clusterAdmin"}),
        ("REPO_DELETE", {"repoOwner", "projectOwner", "clusterAdmin"}),
        ("PIPELINE_LIST_JOB", {"repoReader", "repoWriter", "repoOwner", "projectOwner", "clusterAdmin"}),
        ("PROJECT_CREATE_REPO", {"projectWriter", "projectOwner", "clusterAdmin"}),
        ("PROJECT_LIST_REPO", {"projectViewer", "projectWriter", "projectOwner", "clusterAdmin"}),
        ("PROJECT_CREATE", {"projectCreator", "clusterAdmin"}),
        ("CLUSTER_CREATE_SECRET", {"secretAdmin", "clusterAdmin"}),
        ("CLUSTER_GET_PACHD_LOGS", {"debugger", "pachdLogReader", "clusterAdmin"}),
        ("CLUSTER_GET_LOKI_LOGS", {"debugger", "lokiLogReader", "clusterAdmin"}),
        ("CLUSTER_AUTH_GET_ROBOT_TOKEN", {"robotUser", "clusterAdmin"}),
        ("CLUSTER_IDENTITY_CREATE_IDP", {"idpAdmin", "clusterAdmin"}),
        ("CLUSTER_IDENTITY_CREATE_OIDC_CLIENT", {"oidcAppAdmin", "clusterAdmin"}),
        ("CLUSTER_IDENTITY_SET_CONFIG", {"identityAdmin", "clusterAdmin"}),
        ("CLUSTER_LICENSE_ACTIVATE", {"licenseAdmin", "clusterAdmin"}),
        ("JOB_SKIP_CTX", {"jobAdmin", "clusterAdmin"}),
        ("CLUSTER_MODIFY_BINDINGS", {"clusterAdmin"}),
        ("CLUSTER_AUTH_DEACTIVATE", {"clusterAdmin"}),
    ],
)
def test_which_roles_have_a_permission(auth_lab: AuthLab, permission: str, expected: set[str]) -> None:
    assert set(roles_for(auth_lab, Permission[permission])) == expected


def test_a_repo_role_can_be_bound_to_a_cluster_a_project_or_a_repo(auth_lab: AuthLab) -> None:
    role = roles_for(auth_lab, Permission.REPO_READ)["repoReader"]
    assert set(role.can_be_bound_to) == {ResourceType.CLUSTER, ResourceType.PROJECT, ResourceType.REPO}


def test_an_administrator_s_role_shows_on_repos_too(auth_lab: AuthLab) -> None:
    role = roles_for(auth_lab, Permission.REPO_READ)["clusterAdmin"]
    assert list(role.can_be_bound_to) == [ResourceType.CLUSTER]
    assert ResourceType.REPO in role.returned_for


def test_a_reader_s_permissions(auth_lab: AuthLab) -> None:
    role = roles_for(auth_lab, Permission.REPO_READ)["repoReader"]
    assert set(names(role.permissions)) == {
        *("REPO_READ", "REPO_INSPECT_COMMIT", "REPO_LIST_COMMIT", "REPO_LIST_BRANCH", "REPO_LIST_FILE"),
        *("REPO_INSPECT_FILE", "REPO_ADD_PIPELINE_READER", "REPO_REMOVE_PIPELINE_READER"),
        "PIPELINE_LIST_JOB",
    }


# Who gets which by itself


def test_who_makes_a_repo_owns_it(auth_lab: AuthLab) -> None:
    person = auth_lab.person("projectWriter", on=auth_lab.on_project())
    data = auth_lab.repo(person.client)
    assert auth_lab.roles(auth_lab.on_repo(data)) == {person.principal: {"repoOwner"}}


def test_who_makes_a_project_owns_it(auth_lab: AuthLab) -> None:
    person = auth_lab.person()
    project = auth_lab.new_project(person.client)
    assert auth_lab.roles(auth_lab.on_project(project)) == {person.principal: {"projectOwner"}}


def test_everybody_may_make_projects(auth_lab: AuthLab) -> None:
    assert auth_lab.roles(CLUSTER)["allClusterUsers"] >= {"projectCreator"}


def test_root_administers_the_cluster(auth_lab: AuthLab) -> None:
    assert auth_lab.roles(CLUSTER)["pach:root"] == {"clusterAdmin"}


def test_a_deleted_repo_s_roles_are_gone(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoOwner", on=auth_lab.on_repo(data))
    data.api.delete_repo(repo=data.repo)
    data.api.create_repo(repo=data.repo)
    assert person.principal not in auth_lab.roles(auth_lab.on_repo(data))


def test_a_deleted_project_s_roles_are_gone(auth_lab: AuthLab) -> None:
    person = auth_lab.person()
    project = pfs.Project(name=fresh("auth"))
    person.client.pfs.create_project(project=project)
    person.client.pfs.delete_project(project=project)
    assert auth_lab.roles(auth_lab.on_project(project.name)) == {}


# Bindings


def test_a_binding_shows_what_was_given(auth_lab: AuthLab) -> None:
    resource = auth_lab.on_repo(auth_lab.repo())
    auth_lab.grant(resource, "robot:reader", "repoReader")
    assert auth_lab.roles(resource)["robot:reader"] == {"repoReader"}


def test_roles_are_replaced_not_added(auth_lab: AuthLab) -> None:
    resource = auth_lab.on_repo(auth_lab.repo())
    auth_lab.grant(resource, "robot:x", "repoReader", "repoWriter")
    auth_lab.grant(resource, "robot:x", "repoOwner")
    assert auth_lab.roles(resource)["robot:x"] == {"repoOwner"}


def test_no_roles_take_a_principal_out(auth_lab: AuthLab) -> None:
    resource = auth_lab.on_repo(auth_lab.repo())
    auth_lab.grant(resource, "robot:x", "repoReader")
    auth_lab.grant(resource, "robot:x")
    assert "robot:x" not in auth_lab.roles(resource)


def test_taking_out_somebody_who_is_not_in_is_no_error(auth_lab: AuthLab) -> None:
    resource = auth_lab.on_repo(auth_lab.repo())
    before = auth_lab.roles(resource)
    auth_lab.grant(resource, "robot:nobody")
    assert auth_lab.roles(resource) == before


@pytest.mark.parametrize("principal", ["robot:r", "user:u@x.org", "group:g", "pipeline:default/p", "pach:x"])
def test_names_are_taken_without_asking_who_that_is(auth_lab: AuthLab, principal: str) -> None:
    resource = auth_lab.on_repo(auth_lab.repo())
    auth_lab.grant(resource, principal, "repoReader")
    assert auth_lab.roles(resource)[principal] == {"repoReader"}


def test_an_unknown_role(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, 'unknown role "boss"'):
        auth_lab.grant(auth_lab.on_repo(auth_lab.repo()), "robot:x", "boss")


def test_a_principal_without_a_prefix(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "subject has no prefix"):
        auth_lab.grant(auth_lab.on_repo(auth_lab.repo()), "bob", "repoReader")


def test_a_principal_with_a_prefix_that_is_none(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "subject has unrecognized prefix: github:"):
        auth_lab.grant(auth_lab.on_repo(auth_lab.repo()), "github:bob", "repoReader")


def test_the_roles_of_a_repo_that_is_not_there_are_none(auth_lab: AuthLab) -> None:
    assert auth_lab.roles(auth_lab.on_repo(f"{auth_lab.project}/nothing")) == {}


def test_nothing_is_bound_to_a_repo_that_is_not_there(auth_lab: AuthLab, refused: Refused) -> None:
    name = f"{auth_lab.project}/nothing"
    with refused(StatusCode.UNKNOWN, f"no role binding exists for REPO {name}"):
        auth_lab.grant(auth_lab.on_repo(name), "robot:x", "repoReader")


def test_a_role_may_be_bound_to_what_it_is_not_meant_for(auth_lab: AuthLab) -> None:
    person = auth_lab.person("projectCreator", on=auth_lab.on_repo(auth_lab.repo()))
    assert person.principal


def test_root_s_role_on_the_cluster_stays(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "cannot modify cluster role bindings for pach: users"):
        auth_lab.grant(CLUSTER, "pach:root")


def test_a_resource_of_no_type(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "unknown resource type RESOURCE_TYPE_UNKNOWN"):
        auth_lab.grant(auth.Resource(name="x"), "robot:x", "repoReader")


# Where rights come from


def can_read(auth_lab: AuthLab, role: str, on: auth.Resource, data: Data) -> bool:
    person = auth_lab.person(role, on=on)
    return authorized(auth_lab, person.client, data)


def authorized(auth_lab: AuthLab, client: Client, data: Data) -> bool:
    answer = client.auth.authorize(
        resource=auth_lab.on_repo(data),
        permissions=[Permission.REPO_READ],
    )
    return bool(answer.authorized)


def test_without_a_role_there_is_no_right(auth_lab: AuthLab) -> None:
    assert not authorized(auth_lab, auth_lab.person().client, auth_lab.repo())


def test_a_role_on_the_repo_gives_the_right(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    assert can_read(auth_lab, "repoReader", auth_lab.on_repo(data), data)


def test_a_role_on_its_project_gives_the_right(auth_lab: AuthLab) -> None:
    assert can_read(auth_lab, "repoReader", auth_lab.on_project(), auth_lab.repo())


def test_a_role_on_the_cluster_gives_the_right(auth_lab: AuthLab) -> None:
    assert can_read(auth_lab, "repoReader", CLUSTER, auth_lab.repo())


def test_a_role_on_another_repo_does_not(auth_lab: AuthLab) -> None:
    other = auth_lab.repo()
    assert not can_read(auth_lab, "repoReader", auth_lab.on_repo(other), auth_lab.repo())


def test_a_role_on_another_project_does_not(auth_lab: AuthLab) -> None:
    other = auth_lab.new_project(auth_lab.root)
    assert not can_read(auth_lab, "repoReader", auth_lab.on_project(other), auth_lab.repo())


def test_a_role_without_the_permission_does_not(auth_lab: AuthLab) -> None:
    assert not can_read(auth_lab, "projectWriter", auth_lab.on_project(), auth_lab.repo())


def test_everybody_s_role_gives_the_right(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    auth_lab.grant(auth_lab.on_repo(data), "allClusterUsers", "repoReader")
    assert authorized(auth_lab, auth_lab.person().client, data)


def test_a_group_s_role_gives_the_right(auth_lab: AuthLab) -> None:
    data, person, group = auth_lab.repo(), auth_lab.person(), f"group:{fresh('g')}"
    auth_lab.grant(auth_lab.on_repo(data), group, "repoReader")
    assert not authorized(auth_lab, person.client, data)
    auth_lab.api.modify_members(group=group, add=[person.principal])
    assert authorized(auth_lab, person.client, data)


def test_a_right_ends_with_its_role(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(data))
    auth_lab.grant(auth_lab.on_repo(data), person.principal)
    assert not authorized(auth_lab, person.client, data)


# Asking what one may do


def test_authorize_tells_what_is_there_and_what_is_missing(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(data))
    answer = person.client.auth.authorize(
        resource=auth_lab.on_repo(data), permissions=[Permission.REPO_READ, Permission.REPO_WRITE]
    )
    assert (answer.authorized, answer.principal) == (False, person.principal)
    assert (names(answer.satisfied), names(answer.missing)) == (["REPO_READ"], ["REPO_WRITE"])


def test_one_s_own_roles_on_a_repo(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(data))
    answer = person.client.auth.get_permissions(resource=auth_lab.on_repo(data))
    assert list(answer.roles) == ["repoReader"]
    assert "REPO_READ" in names(answer.permissions)
    assert "REPO_WRITE" not in names(answer.permissions)


def test_another_s_roles_on_a_repo(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoWriter", on=auth_lab.on_repo(data))
    answer = auth_lab.api.get_permissions_for_principal(
        resource=auth_lab.on_repo(data), principal=person.principal
    )
    assert list(answer.roles) == ["repoWriter"]


def test_root_s_roles_on_a_repo(auth_lab: AuthLab) -> None:
    answer = auth_lab.api.get_permissions(resource=auth_lab.on_repo(auth_lab.repo()))
    assert list(answer.roles) == ["clusterAdmin", "projectOwner", "repoOwner"]


def test_a_repo_tells_its_caller_s_roles(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(data))
    info = person.client.pfs.inspect_repo(repo=data.repo)
    assert list(info.auth_info.roles) == ["repoReader"]
    assert "REPO_READ" in names(info.auth_info.permissions)


def test_a_repo_tells_a_stranger_of_no_roles(auth_lab: AuthLab) -> None:
    info = auth_lab.person().client.pfs.inspect_repo(repo=auth_lab.repo().repo)
    assert (list(info.auth_info.roles), list(info.auth_info.permissions)) == ([], [])


def test_a_project_tells_its_caller_s_roles(auth_lab: AuthLab) -> None:
    person = auth_lab.person("projectViewer", on=auth_lab.on_project())
    info = person.client.pfs.inspect_project(project=pfs.Project(name=auth_lab.project))
    assert list(info.auth_info.roles) == ["projectViewer"]


# Groups


def test_members_of_a_group(auth_lab: AuthLab) -> None:
    group = f"group:{fresh('g')}"
    auth_lab.api.modify_members(group=group, add=["robot:a", "robot:b"])
    assert set(auth_lab.api.get_users(group=group).usernames) == {"robot:a", "robot:b"}


def test_members_leave_a_group(auth_lab: AuthLab) -> None:
    group = f"group:{fresh('g')}"
    auth_lab.api.modify_members(group=group, add=["robot:a", "robot:b"])
    auth_lab.api.modify_members(group=group, remove=["robot:a"])
    assert list(auth_lab.api.get_users(group=group).usernames) == ["robot:b"]


def test_one_s_own_groups(auth_lab: AuthLab) -> None:
    person, group = auth_lab.person(), f"group:{fresh('g')}"
    auth_lab.api.modify_members(group=group, add=[person.principal])
    assert list(person.client.auth.get_groups().groups) == [group]


def test_another_s_groups(auth_lab: AuthLab) -> None:
    person, group = auth_lab.person(), f"group:{fresh('g')}"
    auth_lab.api.modify_members(group=group, add=[person.principal])
    assert list(auth_lab.api.get_groups_for_principal(principal=person.principal).groups) == [group]


def test_setting_the_groups_of_somebody_replaces_them(auth_lab: AuthLab) -> None:
    name, old, new = f"user:{fresh('u')}", f"group:{fresh('g')}", f"group:{fresh('g')}"
    auth_lab.api.set_groups_for_user(username=name, groups=[old])
    auth_lab.api.set_groups_for_user(username=name, groups=[new])
    assert list(auth_lab.api.get_groups_for_principal(principal=name).groups) == [new]
    assert list(auth_lab.api.get_users(group=old).usernames) == []


def test_a_group_that_nobody_named(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.NOT_FOUND, "not found"):
        auth_lab.api.get_users(group=f"group:{fresh('g')}")


def test_everybody_who_is_in_a_group(auth_lab: AuthLab) -> None:
    name = f"user:{fresh('u')}"
    auth_lab.api.set_groups_for_user(username=name, groups=[f"group:{fresh('g')}"])
    assert name in auth_lab.api.get_users(group="").usernames


def test_a_member_without_a_prefix(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "subject has no prefix"):
        auth_lab.api.modify_members(group="group:g", add=["bob"])


def test_who_is_in_no_group(auth_lab: AuthLab) -> None:
    assert list(auth_lab.person().client.auth.get_groups().groups) == []
