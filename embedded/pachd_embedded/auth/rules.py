# SPDX-License-Identifier: GPL-3.0-or-later
"""One table: what each method of the API asks of its caller while auth is active.

As in the public source of Pachyderm 2.12. A method that is served and not in here is never let through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pachyderm_sdk.api.auth import Permission

from .requests import (
    Need,
    commit_repo,
    diffed,
    edited,
    job_pipeline,
    listed_datums,
    logged,
    modified,
    opened,
    pipeline_repo,
    project,
    read_file,
    repo_of,
)

P: TypeAlias = Permission


@dataclass(frozen=True)
class Rule:
    """`login`: a valid token is asked for. `active_only`: refused while auth is off.

    `cluster`: permissions on the cluster. `needs`: resources and permissions that the request names, or
    `within`: where in the code the permission is looked at, since it takes more than the request.
    """

    login: bool = True
    active_only: bool = False
    cluster: tuple[P, ...] = ()
    needs: Callable[[Any], Iterator[Need]] | None = None
    within: str = ""


OPEN = Rule(login=False)
# Any valid token will do.
LOGIN = Rule()


def admin(*permissions: P, active_only: bool = False) -> Rule:
    return Rule(cluster=permissions, active_only=active_only)


def on(needs: Callable[[Any], Iterator[Need]]) -> Rule:
    return Rule(needs=needs)


def within(where: str) -> Rule:
    return Rule(within=where)


_ACTIVE = Rule(active_only=True)

_AUTH = {
    # Activate has an effect only while auth is off; the others look for themselves.
    "Activate": OPEN,
    "Authenticate": OPEN,
    "WhoAmI": OPEN,
    "GetOIDCLogin": OPEN,
    "Authorize": OPEN,
    "GetRoleBinding": _ACTIVE,
    "ModifyRoleBinding": Rule(active_only=True, within="servicers/auth.py"),
    "RevokeAuthToken": _ACTIVE,
    "GetGroups": _ACTIVE,
    "GetPermissions": _ACTIVE,
    "GetRolesForPermission": _ACTIVE,
    "GetGroupsForPrincipal": admin(P.CLUSTER_AUTH_GET_GROUPS, active_only=True),
    "GetPermissionsForPrincipal": admin(P.CLUSTER_AUTH_GET_PERMISSIONS_FOR_PRINCIPAL, active_only=True),
    "GetConfiguration": admin(P.CLUSTER_AUTH_GET_CONFIG, active_only=True),
    "SetConfiguration": admin(P.CLUSTER_AUTH_SET_CONFIG, active_only=True),
    "GetRobotToken": admin(P.CLUSTER_AUTH_GET_ROBOT_TOKEN, active_only=True),
    "SetGroupsForUser": admin(P.CLUSTER_AUTH_MODIFY_GROUP_MEMBERS, active_only=True),
    "ModifyMembers": admin(P.CLUSTER_AUTH_MODIFY_GROUP_MEMBERS, active_only=True),
    "GetUsers": admin(P.CLUSTER_AUTH_GET_GROUP_USERS, active_only=True),
    "ExtractAuthTokens": admin(P.CLUSTER_AUTH_EXTRACT_TOKENS, active_only=True),
    "RestoreAuthToken": admin(P.CLUSTER_AUTH_RESTORE_TOKEN, active_only=True),
    "Deactivate": admin(P.CLUSTER_AUTH_DEACTIVATE, active_only=True),
    "DeleteExpiredAuthTokens": admin(P.CLUSTER_AUTH_DELETE_EXPIRED_TOKENS, active_only=True),
    "RevokeAuthTokensForUser": admin(P.CLUSTER_AUTH_REVOKE_USER_TOKENS, active_only=True),
    "RotateRootToken": admin(P.CLUSTER_AUTH_ROTATE_ROOT_TOKEN, active_only=True),
}

_PFS = {
    "ActivateAuth": admin(P.CLUSTER_AUTH_ACTIVATE, active_only=True),
    "CreateProject": admin(P.PROJECT_CREATE),
    "InspectProject": LOGIN,
    "InspectProjectV2": LOGIN,
    "ListProject": LOGIN,
    "DeleteProject": within("pfs/repos.py"),
    "CreateRepo": within("pfs/repos.py"),
    "InspectRepo": LOGIN,
    "ListRepo": within("servicers/pfs.py, which leaves out what the caller may not see"),
    "DeleteRepo": within("pfs/repos.py"),
    "DeleteRepos": within("pfs/repos.py"),
    "ReposSummary": LOGIN,
    "StartCommit": on(repo_of(lambda r: r.branch and r.branch.repo, P.REPO_WRITE)),
    "FinishCommit": on(commit_repo(lambda r: r.commit, P.REPO_WRITE)),
    "ForgetCommit": LOGIN,
    "InspectCommit": on(commit_repo(lambda r: r.commit, P.REPO_INSPECT_COMMIT)),
    "ListCommit": on(repo_of(lambda r: r.repo, P.REPO_LIST_COMMIT)),
    "SubscribeCommit": LOGIN,
    "ClearCommit": on(commit_repo(lambda r: r.commit, P.REPO_WRITE)),
    "SquashCommit": admin(P.REPO_DELETE_COMMIT),
    "DropCommit": admin(P.REPO_DELETE_COMMIT),
    "InspectCommitSet": LOGIN,
    "ListCommitSet": LOGIN,
    "SquashCommitSet": admin(P.REPO_DELETE_COMMIT),
    "DropCommitSet": admin(P.REPO_DELETE_COMMIT),
    "FindCommits": on(commit_repo(lambda r: r.start, P.REPO_INSPECT_COMMIT)),
    "WalkCommitProvenance": within("servicers/pfs.py, for each commit that is met"),
    "WalkCommitSubvenance": within("servicers/pfs.py, for each commit that is met"),
    "CreateBranch": on(repo_of(lambda r: r.branch and r.branch.repo, P.REPO_CREATE_BRANCH)),
    "InspectBranch": LOGIN,
    "ListBranch": on(repo_of(lambda r: r.repo, P.REPO_LIST_BRANCH)),
    "DeleteBranch": on(repo_of(lambda r: r.branch and r.branch.repo, P.REPO_DELETE_BRANCH)),
    "WalkBranchProvenance": within("servicers/pfs.py, for each branch that is met"),
    "WalkBranchSubvenance": within("servicers/pfs.py, for each branch that is met"),
    "ModifyFile": on(modified),
    "GetFile": on(opened),
    "GetFileTAR": on(opened),
    "InspectFile": on(read_file(P.REPO_INSPECT_FILE)),
    "ListFile": on(read_file(P.REPO_LIST_FILE)),
    "WalkFile": on(read_file(P.REPO_READ, P.REPO_LIST_FILE)),
    "GlobFile": on(commit_repo(lambda r: r.commit, P.REPO_READ, P.REPO_LIST_FILE)),
    "DiffFile": on(diffed),
    "DeleteAll": within("pfs/repos.py, for each repo and project"),
    "Fsck": LOGIN,
    # A file set is known to whoever has its id, in pachd too.
    "CreateFileSet": LOGIN,
    "GetFileSet": on(commit_repo(lambda r: r.commit, P.REPO_READ)),
    "AddFileSet": on(commit_repo(lambda r: r.commit, P.REPO_WRITE)),
    "RenewFileSet": LOGIN,
    "ComposeFileSet": LOGIN,
    "ShardFileSet": LOGIN,
    "CheckStorage": LOGIN,
    "PutCache": LOGIN,
    "GetCache": LOGIN,
    "ClearCache": LOGIN,
    "ListTask": LOGIN,
    "Egress": on(commit_repo(lambda r: r.commit, P.REPO_READ)),
}

_PPS = {
    "ActivateAuth": admin(P.CLUSTER_AUTH_ACTIVATE, active_only=True),
    "CreatePipeline": within("pps/pipelines.py"),
    "CreatePipelineV2": within("pps/pipelines.py"),
    "RerunPipeline": within("pps/pipelines.py"),
    "InspectPipeline": LOGIN,
    "ListPipeline": within("the PPS servicer, which leaves out what the caller may not see"),
    "PipelinesSummary": LOGIN,
    "StartPipeline": within("pps/pipelines.py"),
    "StopPipeline": within("pps/pipelines.py"),
    "DeletePipeline": within("pps/pipelines.py"),
    "DeletePipelines": within("pps/pipelines.py"),
    "DeleteAll": admin(P.CLUSTER_DELETE_ALL),
    "RunPipeline": on(pipeline_repo(P.REPO_WRITE)),
    "RunCron": on(pipeline_repo(P.REPO_WRITE)),
    "CheckStatus": LOGIN,
    "InspectJob": within("the PPS servicer, for details"),
    "ListJob": on(pipeline_repo(P.PIPELINE_LIST_JOB)),
    "SubscribeJob": on(pipeline_repo(P.PIPELINE_LIST_JOB)),
    "InspectJobSet": within("the PPS servicer, for details"),
    "ListJobSet": within("the PPS servicer, for details"),
    "StopJob": on(job_pipeline(P.REPO_WRITE)),
    "DeleteJob": on(job_pipeline(P.REPO_WRITE)),
    "UpdateJobState": on(job_pipeline(P.REPO_WRITE)),
    "InspectDatum": on(listed_datums),
    "ListDatum": on(listed_datums),
    "CreateDatum": LOGIN,
    "RestartDatum": on(job_pipeline(P.REPO_WRITE)),
    "GetLogs": on(logged),
    "CreateSecret": admin(P.CLUSTER_CREATE_SECRET),
    "ListSecret": admin(P.CLUSTER_LIST_SECRETS),
    "InspectSecret": admin(P.SECRET_INSPECT),
    "DeleteSecret": admin(P.SECRET_DELETE),
    "GetClusterDefaults": LOGIN,
    "SetClusterDefaults": admin(P.CLUSTER_SET_DEFAULTS),
    "GetProjectDefaults": LOGIN,
    "SetProjectDefaults": on(project(P.PROJECT_SET_DEFAULTS)),
    "RenderTemplate": LOGIN,
    "RunLoadTest": LOGIN,
    "RunLoadTestDefault": LOGIN,
    "ListTask": LOGIN,
    "GetKubeEvents": LOGIN,
    "QueryLoki": admin(P.CLUSTER_GET_LOKI_LOGS),
}

_DEBUG = admin(P.CLUSTER_DEBUG_DUMP)

_SERVICES: dict[str, dict[str, Rule]] = {
    "admin_v2.API": {
        "InspectCluster": OPEN,
        "RestartPachyderm": admin(P.CLUSTER_RESTART_PACHYDERM),
    },
    "auth_v2.API": _AUTH,
    "debug_v2.Debug": {
        "Profile": _DEBUG,
        "Binary": _DEBUG,
        "Dump": _DEBUG,
        "GetDumpV2Template": _DEBUG,
        "DumpV2": _DEBUG,
        "SetLogLevel": _DEBUG,
        "Trace": _DEBUG,
        "RunPFSLoadTest": LOGIN,
        "RunPFSLoadTestDefault": LOGIN,
    },
    "enterprise_v2.API": {
        "GetState": OPEN,
        "Activate": admin(P.CLUSTER_ENTERPRISE_ACTIVATE),
        "GetActivationCode": admin(P.CLUSTER_ENTERPRISE_GET_CODE),
        "Deactivate": admin(P.CLUSTER_ENTERPRISE_DEACTIVATE),
        "Heartbeat": admin(P.CLUSTER_ENTERPRISE_HEARTBEAT),
        "Pause": admin(P.CLUSTER_ENTERPRISE_PAUSE),
        "Unpause": admin(P.CLUSTER_ENTERPRISE_PAUSE),
        "PauseStatus": LOGIN,
    },
    "identity_v2.API": {
        "SetIdentityServerConfig": admin(P.CLUSTER_IDENTITY_SET_CONFIG, active_only=True),
        "GetIdentityServerConfig": admin(P.CLUSTER_IDENTITY_GET_CONFIG, active_only=True),
        "CreateIDPConnector": admin(P.CLUSTER_IDENTITY_CREATE_IDP, active_only=True),
        "UpdateIDPConnector": admin(P.CLUSTER_IDENTITY_UPDATE_IDP, active_only=True),
        "ListIDPConnectors": admin(P.CLUSTER_IDENTITY_LIST_IDPS, active_only=True),
        "GetIDPConnector": admin(P.CLUSTER_IDENTITY_GET_IDP, active_only=True),
        "DeleteIDPConnector": admin(P.CLUSTER_IDENTITY_DELETE_IDP, active_only=True),
        "CreateOIDCClient": admin(P.CLUSTER_IDENTITY_CREATE_OIDC_CLIENT, active_only=True),
        "UpdateOIDCClient": admin(P.CLUSTER_IDENTITY_UPDATE_OIDC_CLIENT, active_only=True),
        "GetOIDCClient": admin(P.CLUSTER_IDENTITY_GET_OIDC_CLIENT, active_only=True),
        "ListOIDCClients": admin(P.CLUSTER_IDENTITY_LIST_OIDC_CLIENTS, active_only=True),
        "DeleteOIDCClient": admin(P.CLUSTER_IDENTITY_DELETE_OIDC_CLIENT, active_only=True),
        "DeleteAll": admin(P.CLUSTER_DELETE_ALL, active_only=True),
    },
    "license_v2.API": {
        "Activate": admin(P.CLUSTER_LICENSE_ACTIVATE),
        "GetActivationCode": admin(P.CLUSTER_LICENSE_GET_CODE),
        "AddCluster": admin(P.CLUSTER_LICENSE_ADD_CLUSTER),
        "UpdateCluster": admin(P.CLUSTER_LICENSE_UPDATE_CLUSTER),
        "DeleteCluster": admin(P.CLUSTER_LICENSE_DELETE_CLUSTER),
        "ListClusters": admin(P.CLUSTER_LICENSE_LIST_CLUSTERS),
        "DeleteAll": admin(P.CLUSTER_DELETE_ALL),
        "Heartbeat": OPEN,
        "ListUserClusters": LOGIN,
    },
    "logs.API": {"GetLogs": LOGIN},
    "metadata.API": {"EditMetadata": on(edited)},
    "pfs_v2.API": _PFS,
    "pjs.API": dict.fromkeys(
        (
            *("AwaitJob", "CreateJob", "CancelJob", "DeleteJob", "ListJob", "WalkJob", "InspectJob"),
            *("ProcessQueue", "ListQueue", "InspectQueue"),
        ),
        LOGIN,
    ),
    "pps_v2.API": _PPS,
    "snapshot.API": dict.fromkeys(
        ("CreateSnapshot", "ListSnapshot", "InspectSnapshot", "DeleteSnapshot"),
        admin(P.CLUSTER_SNAPSHOTTER),
    ),
    "storage.Fileset": dict.fromkeys(
        (
            *("CreateFileset", "ReadFileset", "ReadFilesetCDR", "RenewFileset", "ComposeFileset"),
            "ShardFileset",
        ),
        LOGIN,
    ),
    "transaction_v2.API": {
        # What a transaction does is looked at request by request.
        "BatchTransaction": LOGIN,
        "StartTransaction": LOGIN,
        "InspectTransaction": LOGIN,
        "DeleteTransaction": LOGIN,
        "ListTransaction": LOGIN,
        "FinishTransaction": LOGIN,
        "DeleteAll": admin(P.CLUSTER_DELETE_ALL),
    },
    "versionpb_v2.API": {"GetVersion": OPEN},
}

RULES: dict[str, Rule] = {
    f"/{service}/{method}": rule for service, methods in _SERVICES.items() for method, rule in methods.items()
}
