# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles of Pachyderm 2.12 and what each permits. As in its public source; not measured role by role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pachyderm_sdk.api.auth import Permission, ResourceType

from ..errors import unknown

P: TypeAlias = Permission

_ON_CLUSTER = (ResourceType.CLUSTER,)
_ON_PROJECTS = (ResourceType.CLUSTER, ResourceType.PROJECT)
_ON_REPOS = (*_ON_PROJECTS, ResourceType.REPO)


@dataclass(frozen=True)
class RoleDefinition:
    """`bound_to`: what it is meant for, which pachd does not check; `shown_for`: where it shows."""

    name: str
    permissions: tuple[P, ...]
    bound_to: tuple[ResourceType, ...] = _ON_CLUSTER
    shown_for: tuple[ResourceType, ...] = _ON_CLUSTER


_READ = (
    P.REPO_READ,
    P.REPO_INSPECT_COMMIT,
    P.REPO_LIST_COMMIT,
    P.REPO_LIST_BRANCH,
    P.REPO_LIST_FILE,
    P.REPO_INSPECT_FILE,
    P.REPO_ADD_PIPELINE_READER,
    P.REPO_REMOVE_PIPELINE_READER,
    P.PIPELINE_LIST_JOB,
)
_WRITE = (
    *_READ,
    P.REPO_WRITE,
    P.REPO_DELETE_COMMIT,
    P.REPO_CREATE_BRANCH,
    P.REPO_DELETE_BRANCH,
    P.REPO_ADD_PIPELINE_WRITER,
)
_OWN = (*_WRITE, P.REPO_MODIFY_BINDINGS, P.REPO_DELETE)
_OIDC = (
    P.CLUSTER_IDENTITY_DELETE_OIDC_CLIENT,
    P.CLUSTER_IDENTITY_CREATE_OIDC_CLIENT,
    P.CLUSTER_IDENTITY_UPDATE_OIDC_CLIENT,
    P.CLUSTER_IDENTITY_LIST_OIDC_CLIENTS,
    P.CLUSTER_IDENTITY_GET_OIDC_CLIENT,
)
_IDP = (
    P.CLUSTER_IDENTITY_CREATE_IDP,
    P.CLUSTER_IDENTITY_UPDATE_IDP,
    P.CLUSTER_IDENTITY_LIST_IDPS,
    P.CLUSTER_IDENTITY_GET_IDP,
    P.CLUSTER_IDENTITY_DELETE_IDP,
)
_IDENTITY = (P.CLUSTER_IDENTITY_SET_CONFIG, P.CLUSTER_IDENTITY_GET_CONFIG)
_DEBUG = (P.CLUSTER_DEBUG_DUMP, P.CLUSTER_GET_PACHD_LOGS, P.CLUSTER_GET_LOKI_LOGS)
_LICENSE = (
    P.CLUSTER_LICENSE_ACTIVATE,
    P.CLUSTER_LICENSE_GET_CODE,
    P.CLUSTER_LICENSE_ADD_CLUSTER,
    P.CLUSTER_LICENSE_UPDATE_CLUSTER,
    P.CLUSTER_LICENSE_DELETE_CLUSTER,
    P.CLUSTER_LICENSE_LIST_CLUSTERS,
)
_SECRETS = (P.CLUSTER_CREATE_SECRET, P.CLUSTER_LIST_SECRETS, P.SECRET_INSPECT, P.SECRET_DELETE)
_PROJECT_WRITE = (P.PROJECT_LIST_REPO, P.PROJECT_CREATE_REPO)
_PROJECT_OWN = (
    *_OWN,
    *_PROJECT_WRITE,
    P.PROJECT_DELETE,
    P.PROJECT_MODIFY_BINDINGS,
    P.PROJECT_SET_DEFAULTS,
)
_ADMIN = (
    *_PROJECT_OWN,
    *_OIDC,
    *_IDP,
    *_IDENTITY,
    *_DEBUG,
    P.CLUSTER_AUTH_GET_ROBOT_TOKEN,
    *_LICENSE,
    *_SECRETS,
    P.PROJECT_CREATE,
    P.JOB_SKIP_CTX,
    P.CLUSTER_MODIFY_BINDINGS,
    P.CLUSTER_GET_BINDINGS,
    P.CLUSTER_AUTH_ACTIVATE,
    P.CLUSTER_AUTH_DEACTIVATE,
    P.CLUSTER_AUTH_GET_CONFIG,
    P.CLUSTER_AUTH_SET_CONFIG,
    P.CLUSTER_AUTH_MODIFY_GROUP_MEMBERS,
    P.CLUSTER_AUTH_GET_GROUPS,
    P.CLUSTER_AUTH_GET_GROUP_USERS,
    P.CLUSTER_AUTH_EXTRACT_TOKENS,
    P.CLUSTER_AUTH_RESTORE_TOKEN,
    P.CLUSTER_AUTH_ROTATE_ROOT_TOKEN,
    P.CLUSTER_AUTH_DELETE_EXPIRED_TOKENS,
    P.CLUSTER_AUTH_GET_PERMISSIONS_FOR_PRINCIPAL,
    P.CLUSTER_AUTH_REVOKE_USER_TOKENS,
    P.CLUSTER_ENTERPRISE_ACTIVATE,
    P.CLUSTER_ENTERPRISE_HEARTBEAT,
    P.CLUSTER_ENTERPRISE_GET_CODE,
    P.CLUSTER_ENTERPRISE_DEACTIVATE,
    P.CLUSTER_DELETE_ALL,
    P.CLUSTER_ENTERPRISE_PAUSE,
    P.CLUSTER_SET_DEFAULTS,
    P.CLUSTER_EDIT_CLUSTER_METADATA,
    P.CLUSTER_SNAPSHOTTER,
    P.CLUSTER_RESTART_PACHYDERM,
)

_OF_REPO = (ResourceType.REPO,)
_OF_PROJECT = (ResourceType.PROJECT,)
_OF_JOB = (ResourceType.JOB, ResourceType.CLUSTER)
_OF_ALL = (ResourceType.CLUSTER, ResourceType.PROJECT, ResourceType.REPO)

REPO_READER, REPO_WRITER, REPO_OWNER = "repoReader", "repoWriter", "repoOwner"
PROJECT_WRITER, PROJECT_OWNER, PROJECT_CREATOR = "projectWriter", "projectOwner", "projectCreator"
CLUSTER_ADMIN = "clusterAdmin"

ROLES = {
    role.name: role
    for role in (
        RoleDefinition(REPO_READER, _READ, _ON_REPOS, _OF_REPO),
        RoleDefinition(REPO_WRITER, _WRITE, _ON_REPOS, _OF_REPO),
        RoleDefinition(REPO_OWNER, _OWN, _ON_REPOS, _OF_REPO),
        RoleDefinition("oidcAppAdmin", _OIDC),
        RoleDefinition("idpAdmin", _IDP),
        RoleDefinition("identityAdmin", _IDENTITY),
        RoleDefinition("jobAdmin", (P.JOB_SKIP_CTX,), _OF_JOB, _OF_JOB),
        RoleDefinition("debugger", _DEBUG),
        RoleDefinition("lokiLogReader", (P.CLUSTER_GET_LOKI_LOGS,)),
        RoleDefinition("robotUser", (P.CLUSTER_AUTH_GET_ROBOT_TOKEN,)),
        RoleDefinition("licenseAdmin", _LICENSE),
        RoleDefinition("secretAdmin", _SECRETS),
        RoleDefinition("pachdLogReader", (P.CLUSTER_GET_PACHD_LOGS,)),
        RoleDefinition("projectViewer", (P.PROJECT_LIST_REPO,), _ON_PROJECTS, _OF_PROJECT),
        RoleDefinition(PROJECT_WRITER, _PROJECT_WRITE, _ON_PROJECTS, _OF_PROJECT),
        RoleDefinition(PROJECT_OWNER, _PROJECT_OWN, _ON_PROJECTS, (*_OF_PROJECT, *_OF_REPO)),
        RoleDefinition(PROJECT_CREATOR, (P.PROJECT_CREATE,)),
        RoleDefinition(CLUSTER_ADMIN, _ADMIN, _ON_CLUSTER, _OF_ALL),
    )
}


def check_roles(names: list[str]) -> None:
    """Raise PachError for a name that is no role's."""
    for name in names:
        if name not in ROLES:
            raise unknown(f'unknown role "{name}"')
