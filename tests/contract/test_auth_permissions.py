# SPDX-License-Identifier: GPL-3.0-or-later
"""What each call asks of its caller, and what those see who may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps, transaction

from tests.contract.auth_lab import CLUSTER, AuthLab, denial, fresh, spec
from tests.contract.fixtures import Refused
from tests.contract.lab import Data

Call = Callable[[Client, Data], Any]


def put(client: Client, data: Data) -> None:
    Data(client, data.name).put({"/b": b"more"})


# On a repo where the caller has no role: the call, and the permission that it misses.
ON_A_REPO: dict[str, tuple[Call, str]] = {
    "StartCommit": (lambda c, d: c.pfs.start_commit(branch=d.branch()), "REPO_WRITE"),
    "FinishCommit": (lambda c, d: c.pfs.finish_commit(commit=d.commit()), "REPO_WRITE"),
    "ClearCommit": (lambda c, d: c.pfs.clear_commit(commit=d.commit()), "REPO_WRITE"),
    "ModifyFile": (put, "REPO_WRITE"),
    "GetFile": (lambda c, d: list(c.pfs.get_file(file=d.file("/a"))), "REPO_READ"),
    "GetFileTAR": (lambda c, d: list(c.pfs.get_file_tar(file=d.file("/"))), "REPO_READ"),
    "InspectFile": (lambda c, d: c.pfs.inspect_file(file=d.file("/a")), "REPO_INSPECT_FILE"),
    "ListFile": (lambda c, d: list(c.pfs.list_file(file=d.file("/"))), "REPO_LIST_FILE"),
    "WalkFile": (lambda c, d: list(c.pfs.walk_file(file=d.file("/"))), "REPO_READ REPO_LIST_FILE"),
    "GlobFile": (
        lambda c, d: list(c.pfs.glob_file(commit=d.commit(), pattern="/*")),
        "REPO_READ REPO_LIST_FILE",
    ),
    "DiffFile": (lambda c, d: list(c.pfs.diff_file(new_file=d.file("/a"))), "REPO_READ"),
    "InspectCommit": (lambda c, d: c.pfs.inspect_commit(commit=d.commit()), "REPO_INSPECT_COMMIT"),
    "ListCommit": (lambda c, d: list(c.pfs.list_commit(repo=d.repo)), "REPO_LIST_COMMIT"),
    "CreateBranch": (lambda c, d: c.pfs.create_branch(branch=d.branch("new")), "REPO_CREATE_BRANCH"),
    "ListBranch": (lambda c, d: list(c.pfs.list_branch(repo=d.repo)), "REPO_LIST_BRANCH"),
    "DeleteBranch": (lambda c, d: c.pfs.delete_branch(branch=d.branch()), "REPO_DELETE_BRANCH"),
    "CreatePipelineV2": (
        lambda c, d: c.pps.create_pipeline_v2(create_pipeline_request_json=spec(d)),
        "REPO_READ",
    ),
    "ListDatum": (
        lambda c, d: list(
            c.pps.list_datum(
                input=pps.Input(
                    pfs=pps.PfsInput(project=d.repo.project.name, repo=d.repo.name, branch="master", glob="/")
                )
            )
        ),
        "REPO_READ REPO_LIST_FILE",
    ),
}


@pytest.mark.parametrize(("call", "permissions"), ON_A_REPO.values(), ids=ON_A_REPO)
def test_without_a_role_on_the_repo(
    auth_lab: AuthLab, call: Call, permissions: str, refused: Refused
) -> None:
    person, data = auth_lab.person(), auth_lab.repo()
    with refused(StatusCode.PERMISSION_DENIED, denial(person, permissions, f"REPO {data.name}")):
        call(person.client, data)


COMMIT_SET = pfs.CommitSet(id="0" * 32)

# For administrators of the cluster.
ON_THE_CLUSTER: dict[str, tuple[Callable[[Client], Any], str]] = {
    "pfs.SquashCommitSet": (lambda c: c.pfs.squash_commit_set(commit_set=COMMIT_SET), "REPO_DELETE_COMMIT"),
    "pfs.DropCommitSet": (lambda c: c.pfs.drop_commit_set(commit_set=COMMIT_SET), "REPO_DELETE_COMMIT"),
    "pps.SetClusterDefaults": (
        lambda c: c.pps.set_cluster_defaults(cluster_defaults_json="{}"),
        "CLUSTER_SET_DEFAULTS",
    ),
    "pps.GetLogs": (lambda c: list(c.pps.get_logs()), "CLUSTER_GET_PACHD_LOGS"),
    "auth.GetRobotToken": (lambda c: c.auth.get_robot_token(robot="x"), "CLUSTER_AUTH_GET_ROBOT_TOKEN"),
    "auth.Deactivate": (lambda c: c.auth.deactivate(), "CLUSTER_AUTH_DEACTIVATE"),
    "auth.RotateRootToken": (lambda c: c.auth.rotate_root_token(), "CLUSTER_AUTH_ROTATE_ROOT_TOKEN"),
    "auth.ExtractAuthTokens": (lambda c: c.auth.extract_auth_tokens(), "CLUSTER_AUTH_EXTRACT_TOKENS"),
    "auth.DeleteExpiredAuthTokens": (
        lambda c: c.auth.delete_expired_auth_tokens(),
        "CLUSTER_AUTH_DELETE_EXPIRED_TOKENS",
    ),
    "auth.RevokeAuthTokensForUser": (
        lambda c: c.auth.revoke_auth_tokens_for_user(username="robot:x"),
        "CLUSTER_AUTH_REVOKE_USER_TOKENS",
    ),
    "auth.ModifyMembers": (
        lambda c: c.auth.modify_members(group="group:g"),
        "CLUSTER_AUTH_MODIFY_GROUP_MEMBERS",
    ),
    "auth.SetGroupsForUser": (
        lambda c: c.auth.set_groups_for_user(username="robot:x"),
        "CLUSTER_AUTH_MODIFY_GROUP_MEMBERS",
    ),
    "auth.GetUsers": (lambda c: c.auth.get_users(group="group:g"), "CLUSTER_AUTH_GET_GROUP_USERS"),
    "auth.GetGroupsForPrincipal": (
        lambda c: c.auth.get_groups_for_principal(principal="robot:x"),
        "CLUSTER_AUTH_GET_GROUPS",
    ),
    "auth.GetConfiguration": (lambda c: c.auth.get_configuration(), "CLUSTER_AUTH_GET_CONFIG"),
    "pfs.ActivateAuth": (lambda c: c.pfs.activate_auth(), "CLUSTER_AUTH_ACTIVATE"),
}


@pytest.mark.parametrize(("call", "permission"), ON_THE_CLUSTER.values(), ids=ON_THE_CLUSTER)
def test_without_a_role_on_the_cluster(
    auth_lab: AuthLab, call: Callable[[Client], Any], permission: str, refused: Refused
) -> None:
    person = auth_lab.person()
    with refused(StatusCode.PERMISSION_DENIED, denial(person, permission, "CLUSTER ")):
        call(person.client)


def test_without_a_role_on_the_project_no_repo_is_made(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    text = denial(person, "PROJECT_CREATE_REPO", f"PROJECT {auth_lab.project}")
    with refused(StatusCode.PERMISSION_DENIED, text):
        auth_lab.repo(person.client)


def test_without_a_role_on_the_repo_its_description_stays(auth_lab: AuthLab, refused: Refused) -> None:
    person, data = auth_lab.person("projectWriter", on=auth_lab.on_project()), auth_lab.repo()
    with refused(StatusCode.PERMISSION_DENIED, denial(person, "REPO_WRITE", f"REPO {data.name}")):
        person.client.pfs.create_repo(repo=data.repo, description="mine now", update=True)


def test_an_update_that_changes_nothing_needs_no_role_on_the_repo(auth_lab: AuthLab) -> None:
    person, data = auth_lab.person("projectWriter", on=auth_lab.on_project()), auth_lab.repo()
    person.client.pfs.create_repo(repo=data.repo, update=True)


def test_without_a_role_on_the_project_it_is_not_deleted(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    text = denial(person, "PROJECT_DELETE PROJECT_MODIFY_BINDINGS", f"PROJECT {auth_lab.project}")
    with refused(StatusCode.PERMISSION_DENIED, text):
        person.client.pfs.delete_project(project=pfs.Project(name=auth_lab.project))


def test_without_a_role_on_the_project_its_defaults_stay(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    text = denial(person, "PROJECT_SET_DEFAULTS", f"PROJECT {auth_lab.project}")
    with refused(StatusCode.PERMISSION_DENIED, text):
        person.client.pps.set_project_defaults(
            project=pfs.Project(name=auth_lab.project), project_defaults_json="{}"
        )


# With a role: what it allows, and what it still does not.

WRITES = {name: ON_A_REPO[name][0] for name in ("ModifyFile", "StartCommit", "CreateBranch")}
READS = {
    name: ON_A_REPO[name][0]
    for name in ("GetFile", "ListFile", "GlobFile", "InspectCommit", "ListCommit", "ListBranch", "ListDatum")
}


@pytest.mark.parametrize("role", ["repoReader", "repoWriter", "repoOwner"])
@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_each_role_on_a_repo_may_read(auth_lab: AuthLab, role: str, call: Call) -> None:
    data = auth_lab.repo()
    call(auth_lab.person(role, on=auth_lab.on_repo(data)).client, data)


@pytest.mark.parametrize("role", ["repoWriter", "repoOwner"])
@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_writer_and_an_owner_may_write(auth_lab: AuthLab, role: str, call: Call) -> None:
    data = auth_lab.repo()
    call(auth_lab.person(role, on=auth_lab.on_repo(data)).client, data)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_reader_may_not_write(auth_lab: AuthLab, call: Call, refused: Refused) -> None:
    data = auth_lab.repo()
    with refused(StatusCode.PERMISSION_DENIED, "is not authorized"):
        call(auth_lab.person("repoReader", on=auth_lab.on_repo(data)).client, data)


def test_what_was_denied_has_not_been_done(auth_lab: AuthLab, refused: Refused) -> None:
    person, data = auth_lab.person(), auth_lab.repo()
    with refused(StatusCode.PERMISSION_DENIED, "REPO_WRITE"):
        put(person.client, data)
    assert data.ls() == ["/a"]


def test_an_owner_gives_rights_on(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    owner, other = auth_lab.person("repoOwner", on=auth_lab.on_repo(data)), auth_lab.person()
    owner.client.auth.modify_role_binding(
        resource=auth_lab.on_repo(data), principal=other.principal, roles=["repoReader"]
    )
    assert Data(other.client, data.name).ls() == ["/a"]


def test_a_writer_gives_no_rights_on(auth_lab: AuthLab, refused: Refused) -> None:
    data = auth_lab.repo()
    writer = auth_lab.person("repoWriter", on=auth_lab.on_repo(data))
    text = denial(writer, "REPO_MODIFY_BINDINGS", f"REPO {data.name}")
    with refused(StatusCode.PERMISSION_DENIED, text):
        writer.client.auth.modify_role_binding(
            resource=auth_lab.on_repo(data), principal=writer.principal, roles=["repoOwner"]
        )


def test_nobody_makes_themselves_an_administrator(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    with refused(StatusCode.PERMISSION_DENIED, denial(person, "CLUSTER_MODIFY_BINDINGS", "CLUSTER ")):
        person.client.auth.modify_role_binding(
            resource=CLUSTER,
            principal=person.principal,
            roles=["clusterAdmin"],
        )


def test_an_administrator_may_do_everything(auth_lab: AuthLab) -> None:
    person, data = auth_lab.person("clusterAdmin", on=CLUSTER), auth_lab.repo()
    put(person.client, data)
    assert Data(person.client, data.name).ls() == ["/a", "/b"]


def test_a_robot_user_may_issue_tokens(auth_lab: AuthLab) -> None:
    person = auth_lab.person("robotUser", on=CLUSTER)
    token = person.client.auth.get_robot_token(robot=fresh("robot")).token
    assert auth_lab.connect(token).auth.who_am_i().username.startswith("robot:")


def test_a_writer_of_the_project_works_in_a_repo_of_its_own(auth_lab: AuthLab) -> None:
    person = auth_lab.person("projectWriter", on=auth_lab.on_project())
    assert auth_lab.repo(person.client).ls() == ["/a"]


def test_reading_through_a_copy_is_no_way_around(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person("projectWriter", on=auth_lab.on_project())
    mine, secret = auth_lab.repo(person.client), auth_lab.repo()
    with refused(StatusCode.PERMISSION_DENIED, "REPO_READ"):
        mine.modify([pfs.CopyFile(dst="/stolen", src=secret.file("/a"))])
    assert mine.ls() == ["/a"]


# Deleting


def test_deleting_a_repo_without_the_right_says_that_it_was_not_deleted(auth_lab: AuthLab) -> None:
    person, data = auth_lab.person(), auth_lab.repo()
    assert not person.client.pfs.delete_repo(repo=data.repo).deleted
    assert data.ls() == ["/a"]


def test_deleting_a_repo_with_force_takes_the_right_too(auth_lab: AuthLab) -> None:
    person = auth_lab.person("repoWriter", on=auth_lab.on_project())
    assert not person.client.pfs.delete_repo(repo=auth_lab.repo().repo, force=True).deleted


def test_an_owner_deletes_a_repo(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("repoOwner", on=auth_lab.on_repo(data))
    assert person.client.pfs.delete_repo(repo=data.repo).deleted


def test_deleting_a_project_s_repos_deletes_one_s_own(auth_lab: AuthLab) -> None:
    person = auth_lab.person("projectWriter", on=auth_lab.on_project())
    own, other = auth_lab.repo(person.client), auth_lab.repo()
    answer = person.client.pfs.delete_repos(projects=[pfs.Project(name=auth_lab.project)])
    assert [repo.name for repo in answer.repos] == [own.repo.name]
    assert other.ls() == ["/a"]


# Lists


def test_all_repos_of_a_project_show_to_who_may_list_them(auth_lab: AuthLab) -> None:
    data = auth_lab.repo()
    person = auth_lab.person("projectViewer", on=auth_lab.on_project())
    [info] = person.client.pfs.list_repo(projects=[pfs.Project(name=auth_lab.project)])
    assert (info.repo.name, list(info.auth_info.roles)) == (data.repo.name, [])


def test_repos_of_a_project_do_not_show_to_strangers(auth_lab: AuthLab) -> None:
    auth_lab.repo()
    person = auth_lab.person()
    assert list(person.client.pfs.list_repo(projects=[pfs.Project(name=auth_lab.project)])) == []


def test_a_repo_that_one_may_read_shows(auth_lab: AuthLab) -> None:
    data, _ = auth_lab.repo(), auth_lab.repo()
    person = auth_lab.person("repoReader", on=auth_lab.on_repo(data))
    infos = person.client.pfs.list_repo(projects=[pfs.Project(name=auth_lab.project)])
    assert [info.repo.name for info in infos] == [data.repo.name]


def test_all_projects_show_to_everybody(auth_lab: AuthLab) -> None:
    shown = [info.project.name for info in auth_lab.person().client.pfs.list_project()]
    assert auth_lab.project in shown


# Transactions


def test_a_batch_does_what_each_of_its_requests_may(auth_lab: AuthLab) -> None:
    person, name = auth_lab.person("projectWriter", on=auth_lab.on_project()), fresh("repo")
    repo = pfs.Repo.from_uri(f"{auth_lab.project}/{name}")
    request = transaction.TransactionRequest(create_repo=pfs.CreateRepoRequest(repo=repo))
    person.client.transaction.batch_transaction(requests=[request])
    assert set(auth_lab.roles(auth_lab.on_repo(f"{auth_lab.project}/{name}"))) == {person.principal}


def test_a_batch_is_no_way_around(auth_lab: AuthLab, refused: Refused) -> None:
    person, data = auth_lab.person(), auth_lab.repo()
    request = transaction.TransactionRequest(
        start_commit=pfs.StartCommitRequest(branch=data.branch()),
    )
    with refused(StatusCode.PERMISSION_DENIED, "REPO_WRITE"):
        person.client.transaction.batch_transaction(requests=[request])


def test_an_open_transaction_is_no_way_around(auth_lab: AuthLab, refused: Refused) -> None:
    person, data = auth_lab.person(), auth_lab.repo()
    client = auth_lab.connect(person.token)
    with refused(StatusCode.PERMISSION_DENIED, "REPO_WRITE"), client.transaction.transaction():
        client.pfs.start_commit(branch=data.branch())
