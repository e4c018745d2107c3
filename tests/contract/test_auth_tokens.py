# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a token belongs to, how long it is valid, and what becomes of calls without one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import auth, pfs, pps
from pachyderm_sdk.errors import AuthServiceNotActivated

from tests.contract.auth_lab import CLUSTER, AuthLab, fresh
from tests.contract.fixtures import Refused

NO_TOKEN = r"^no authentication token \(try logging in\)$"
BAD_TOKEN = r"^provided auth token is corrupted or has expired \(try logging in again\)$"


@pytest.fixture
def root(auth_lab: AuthLab) -> Client:
    return auth_lab.root


def whoami(client: Client) -> str:
    return str(client.auth.who_am_i().username)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_the_root_token_is_pach_root_s(root: Client) -> None:
    assert whoami(root) == "pach:root"


def test_the_root_token_does_not_expire(root: Client) -> None:
    assert not root.auth.who_am_i().is_set("expiration")


def test_a_robot_is_named_after_its_token(auth_lab: AuthLab) -> None:
    name = fresh("robot")
    token = auth_lab.api.get_robot_token(robot=name).token
    assert whoami(auth_lab.connect(token)) == f"robot:{name}"


def test_a_robot_may_be_named_with_its_prefix(auth_lab: AuthLab) -> None:
    name = fresh("robot")
    token = auth_lab.api.get_robot_token(robot=f"robot:{name}").token
    assert whoami(auth_lab.connect(token)) == f"robot:{name}"


def test_a_robot_s_name_has_no_colon(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "robot names cannot contain colons"):
        auth_lab.api.get_robot_token(robot="user:bob")


def test_a_robot_s_token_lives_for_ever_unless_told_otherwise(auth_lab: AuthLab) -> None:
    assert not auth_lab.person().client.auth.who_am_i().is_set("expiration")


def test_a_robot_s_token_expires_after_its_ttl(auth_lab: AuthLab) -> None:
    before = datetime.now(UTC)
    left = auth_lab.person(ttl=3600).client.auth.who_am_i().expiration - before
    assert timedelta(seconds=3540) < left < timedelta(seconds=3660)


def test_a_robot_may_have_two_tokens(auth_lab: AuthLab) -> None:
    name = fresh("robot")
    tokens = [auth_lab.api.get_robot_token(robot=name).token for _ in range(2)]
    assert len(set(tokens)) == 2
    assert {whoami(auth_lab.connect(token)) for token in tokens} == {f"robot:{name}"}


def test_who_am_i_without_a_token(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNAUTHENTICATED, NO_TOKEN):
        auth_lab.nobody().auth.who_am_i()


def test_who_am_i_with_a_token_that_nobody_issued(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNAUTHENTICATED, BAD_TOKEN):
        auth_lab.connect("nonsense").auth.who_am_i()


def test_the_version_needs_no_token(auth_lab: AuthLab) -> None:
    assert auth_lab.nobody().get_version().major == 2


def test_the_cluster_s_id_needs_no_token(auth_lab: AuthLab) -> None:
    assert auth_lab.nobody().admin.inspect_cluster().id == auth_lab.root.admin.inspect_cluster().id


REPO = pfs.Repo(name="some", type="user", project=pfs.Project(name="default"))
COMMIT = pfs.Commit(repo=REPO, id="0" * 32)
FILE = pfs.File(commit=COMMIT, path="/a")
PIPELINE = pps.Pipeline(name="some", project=pfs.Project(name="default"))
JOB = pps.Job(pipeline=PIPELINE, id="0" * 32)

CALLS: dict[str, Callable[[Client], Any]] = {
    "pfs.CreateProject": lambda c: c.pfs.create_project(project=pfs.Project(name="some")),
    "pfs.InspectProject": lambda c: c.pfs.inspect_project(project=pfs.Project(name="default")),
    "pfs.ListProject": lambda c: c.pfs.list_project(),
    "pfs.DeleteProject": lambda c: c.pfs.delete_project(project=pfs.Project(name="some")),
    "pfs.CreateRepo": lambda c: c.pfs.create_repo(repo=REPO),
    "pfs.InspectRepo": lambda c: c.pfs.inspect_repo(repo=REPO),
    "pfs.ListRepo": lambda c: c.pfs.list_repo(),
    "pfs.DeleteRepo": lambda c: c.pfs.delete_repo(repo=REPO),
    "pfs.StartCommit": lambda c: c.pfs.start_commit(branch=pfs.Branch(repo=REPO, name="master")),
    "pfs.FinishCommit": lambda c: c.pfs.finish_commit(commit=COMMIT),
    "pfs.InspectCommit": lambda c: c.pfs.inspect_commit(commit=COMMIT),
    "pfs.ListCommit": lambda c: c.pfs.list_commit(repo=REPO),
    "pfs.SquashCommitSet": lambda c: c.pfs.squash_commit_set(commit_set=pfs.CommitSet(id="0" * 32)),
    "pfs.CreateBranch": lambda c: c.pfs.create_branch(branch=pfs.Branch(repo=REPO, name="master")),
    "pfs.ListBranch": lambda c: c.pfs.list_branch(repo=REPO),
    "pfs.ModifyFile": lambda c: c.pfs.modify_file(iter([pfs.ModifyFileRequest(set_commit=COMMIT)])),
    "pfs.GetFile": lambda c: c.pfs.get_file(file=FILE),
    "pfs.GetFileTAR": lambda c: c.pfs.get_file_tar(file=FILE),
    "pfs.ListFile": lambda c: c.pfs.list_file(file=FILE),
    "pfs.GlobFile": lambda c: c.pfs.glob_file(commit=COMMIT, pattern="/*"),
    "pps.CreatePipelineV2": lambda c: c.pps.create_pipeline_v2(create_pipeline_request_json="{}"),
    "pps.InspectPipeline": lambda c: c.pps.inspect_pipeline(pipeline=PIPELINE),
    "pps.ListPipeline": lambda c: c.pps.list_pipeline(),
    "pps.StopPipeline": lambda c: c.pps.stop_pipeline(pipeline=PIPELINE),
    "pps.DeletePipeline": lambda c: c.pps.delete_pipeline(pipeline=PIPELINE),
    "pps.InspectJob": lambda c: c.pps.inspect_job(job=JOB),
    "pps.ListJob": lambda c: c.pps.list_job(),
    "pps.StopJob": lambda c: c.pps.stop_job(job=JOB),
    "pps.GetLogs": lambda c: c.pps.get_logs(pipeline=PIPELINE),
    "pps.GetClusterDefaults": lambda c: c.pps.get_cluster_defaults(),
    "pps.SetClusterDefaults": lambda c: c.pps.set_cluster_defaults(cluster_defaults_json="{}"),
    "auth.GetRoleBinding": lambda c: c.auth.get_role_binding(resource=CLUSTER),
    "auth.GetRobotToken": lambda c: c.auth.get_robot_token(robot="some"),
    "auth.GetGroups": lambda c: c.auth.get_groups(),
    "auth.RevokeAuthToken": lambda c: c.auth.revoke_auth_token(token="some"),
    "auth.Deactivate": lambda c: c.auth.deactivate(),
}


def made(answer: Any) -> None:
    """A streamed answer tells its error when it is read."""
    if hasattr(answer, "__next__"):
        list(answer)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_without_a_token_there_is_no_answer(
    auth_lab: AuthLab, call: Callable[[Client], Any], refused: Refused
) -> None:
    with refused(StatusCode.UNAUTHENTICATED, "no authentication token"):
        made(call(auth_lab.nobody()))


def test_a_revoked_token_is_refused(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    assert auth_lab.api.revoke_auth_token(token=person.token).number == 1
    with refused(StatusCode.UNAUTHENTICATED, BAD_TOKEN):
        list(person.client.pfs.list_repo())


def test_revoking_a_token_that_is_none_is_no_error(auth_lab: AuthLab) -> None:
    assert auth_lab.api.revoke_auth_token(token="nonsense").number == 0


def test_everybody_may_revoke_a_token_they_know(auth_lab: AuthLab) -> None:
    person = auth_lab.person()
    assert person.client.auth.revoke_auth_token(token=person.token).number == 1


def test_all_tokens_of_a_robot_are_revoked_at_once(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    other = auth_lab.api.get_robot_token(robot=person.principal).token
    assert auth_lab.api.revoke_auth_tokens_for_user(username=person.principal).number == 2
    for token in (person.token, other):
        with refused(StatusCode.UNAUTHENTICATED, BAD_TOKEN):
            auth_lab.connect(token).auth.who_am_i()


def test_root_s_token_is_not_revoked_by_name(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "cannot revoke tokens for pach: users"):
        auth_lab.api.revoke_auth_tokens_for_user(username="pach:root")


def extracted(auth_lab: AuthLab, principal: str) -> list[Any]:
    return [info for info in auth_lab.api.extract_auth_tokens().tokens if info.subject == principal]


def test_extracted_tokens_are_hashes(auth_lab: AuthLab) -> None:
    person = auth_lab.person()
    [info] = extracted(auth_lab, person.principal)
    assert info.hashed_token == hash_of(person.token)


def test_an_extracted_token_has_its_expiration(auth_lab: AuthLab) -> None:
    person = auth_lab.person(ttl=3600)
    [info] = extracted(auth_lab, person.principal)
    assert info.expiration > datetime.now(UTC)


def test_only_robots_tokens_are_extracted(auth_lab: AuthLab) -> None:
    auth_lab.person()
    subjects = {info.subject.partition(":")[0] for info in auth_lab.api.extract_auth_tokens().tokens}
    assert subjects == {"robot"}


def test_a_revoked_token_can_be_restored(auth_lab: AuthLab) -> None:
    person = auth_lab.person()
    [info] = extracted(auth_lab, person.principal)
    auth_lab.api.revoke_auth_token(token=person.token)
    auth_lab.api.restore_auth_token(token=info)
    assert whoami(person.client) == person.principal


def test_a_token_that_is_there_is_not_restored(auth_lab: AuthLab, refused: Refused) -> None:
    person = auth_lab.person()
    [info] = extracted(auth_lab, person.principal)
    with refused(StatusCode.UNKNOWN, "cannot overwrite existing token with same hash"):
        auth_lab.api.restore_auth_token(token=info)


def test_an_expired_token_is_not_restored(auth_lab: AuthLab, refused: Refused) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    info = auth.TokenInfo(subject="robot:late", expiration=past, hashed_token=hash_of(fresh("token")))
    with refused(StatusCode.INTERNAL, "token expiration is in the past"):
        auth_lab.api.restore_auth_token(token=info)


def test_deleting_expired_tokens_leaves_the_others(auth_lab: AuthLab) -> None:
    persons = [auth_lab.person(), auth_lab.person(ttl=3600)]
    auth_lab.api.delete_expired_auth_tokens()
    assert [whoami(person.client) for person in persons] == [person.principal for person in persons]


def test_authenticating_without_a_proof_of_identity(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, "unrecognized authentication mechanism"):
        auth_lab.nobody().auth.authenticate()


def test_activating_twice(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNIMPLEMENTED, "^the auth service is already activated$"):
        auth_lab.root.auth.activate(root_token="other")


@pytest.mark.embedded_only
def test_an_operator_s_root_token_is_not_rotated(auth_lab: AuthLab, refused: Refused) -> None:
    with refused(StatusCode.UNKNOWN, r"RotateRootToken\(\) is disabled"):
        auth_lab.api.rotate_root_token()


# Switching it on and off: on a pachd of the test's own.

Open = Callable[..., Client]


@pytest.mark.embedded_only
@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.auth.who_am_i(),
        lambda c: c.auth.get_role_binding(resource=CLUSTER),
        lambda c: c.auth.get_robot_token(robot="x"),
        lambda c: c.auth.authorize(resource=CLUSTER, permissions=[]),
        lambda c: c.auth.get_permissions(resource=CLUSTER),
        lambda c: c.auth.get_groups(),
        lambda c: c.auth.deactivate(),
        lambda c: c.auth.rotate_root_token(),
        lambda c: c.auth.authenticate(id_token="x"),
        lambda c: c.pfs.activate_auth(),
        lambda c: c.pps.activate_auth(),
    ],
    ids=[
        *("WhoAmI", "GetRoleBinding", "GetRobotToken", "Authorize", "GetPermissions", "GetGroups"),
        *("Deactivate", "RotateRootToken", "Authenticate", "pfs.ActivateAuth", "pps.ActivateAuth"),
    ],
)
def test_while_auth_is_off_its_calls_say_so(open_pachd: Open, call: Callable[[Client], Any]) -> None:
    with pytest.raises(AuthServiceNotActivated, match="the auth service is not activated"):
        call(open_pachd())


@pytest.mark.embedded_only
def test_while_auth_is_off_a_token_does_no_harm(open_pachd: Open) -> None:
    assert list(open_pachd("whatever").pfs.list_repo()) == []


@pytest.mark.embedded_only
def test_activation_answers_the_root_token_that_was_given(open_pachd: Open) -> None:
    assert open_pachd().auth.activate(root_token="my-own").pach_token == "my-own"
    assert whoami(open_pachd("my-own")) == "pach:root"


@pytest.mark.embedded_only
def test_activation_makes_a_root_token(open_pachd: Open) -> None:
    token = open_pachd().auth.activate().pach_token
    assert len(token) == 32
    assert whoami(open_pachd(token)) == "pach:root"


@pytest.mark.embedded_only
def test_the_roles_of_a_cluster_right_after_activation(open_pachd: Open) -> None:
    root = open_pachd(open_pachd().auth.activate().pach_token)
    entries = root.auth.get_role_binding(resource=CLUSTER).binding.entries
    roles = {principal: list(roles.roles) for principal, roles in entries.items()}
    assert roles["pach:root"] == ["clusterAdmin"]
    assert roles["allClusterUsers"] == ["projectCreator"]


@pytest.mark.embedded_only
def test_repos_from_before_the_activation_are_the_administrator_s(open_pachd: Open, refused: Refused) -> None:
    repo = pfs.Repo.from_uri("old")
    open_pachd().pfs.create_repo(repo=repo)
    root = open_pachd(open_pachd().auth.activate().pach_token)
    root.pfs.activate_auth()
    bob = open_pachd(root.auth.get_robot_token(robot="bob").token)
    with refused(StatusCode.PERMISSION_DENIED, "REPO_LIST_COMMIT"):
        list(bob.pfs.list_commit(repo=repo))
    assert list(root.pfs.list_commit(repo=repo)) == []


@pytest.mark.embedded_only
def test_everybody_may_make_repos_in_the_default_project(open_pachd: Open) -> None:
    root = open_pachd(open_pachd().auth.activate().pach_token)
    root.pfs.activate_auth()
    default = auth.Resource(type=auth.ResourceType.PROJECT, name="default")
    entries = root.auth.get_role_binding(resource=default).binding.entries
    assert {name: list(roles.roles) for name, roles in entries.items()} == {
        "allClusterUsers": ["projectWriter"]
    }


@pytest.mark.embedded_only
def test_a_rotated_root_token_replaces_the_old_one(open_pachd: Open, refused: Refused) -> None:
    old = open_pachd().auth.activate().pach_token
    new = open_pachd(old).auth.rotate_root_token(root_token="second").root_token
    assert (new, whoami(open_pachd("second"))) == ("second", "pach:root")
    with refused(StatusCode.UNAUTHENTICATED, BAD_TOKEN):
        open_pachd(old).auth.who_am_i()


@pytest.mark.embedded_only
def test_deactivation_opens_everything_again(open_pachd: Open) -> None:
    root = open_pachd(open_pachd().auth.activate().pach_token)
    root.pfs.activate_auth()
    root.pfs.create_repo(repo=pfs.Repo.from_uri("private"))
    root.auth.deactivate()
    assert [info.repo.name for info in open_pachd().pfs.list_repo()] == ["private"]


@pytest.mark.embedded_only
def test_deactivation_forgets_tokens_and_roles(open_pachd: Open, refused: Refused) -> None:
    root = open_pachd(open_pachd().auth.activate().pach_token)
    token = root.auth.get_robot_token(robot="bob").token
    root.auth.deactivate()
    open_pachd().auth.activate()
    with refused(StatusCode.UNAUTHENTICATED, BAD_TOKEN):
        open_pachd(token).auth.who_am_i()
