# SPDX-License-Identifier: GPL-3.0-or-later
"""The auth API: switching it on and off, tokens, roles, groups. Of OIDC there is nothing."""

from __future__ import annotations

import time
from typing import Any

from pachyderm_sdk.api import auth, pfs, pps
from pachyderm_sdk.api.auth import Permission, ResourceType

from ..auth.caller import principal, require
from ..auth.guard import caller_of
from ..auth.model import (
    CLUSTER,
    PACH_PREFIX,
    ROBOT_PREFIX,
    Resource,
    check_principal,
    expired_token,
)
from ..auth.roles import ROLES
from ..auth.service import Auth
from ..auth.tokens import Token
from ..errors import not_found, unimplemented, unknown
from ..pps.access import PipelineAccess
from .messages import Context, when

_NO_OIDC = "the embedded pachd has no identity server; use tokens of robots (pachctl auth get-robot-token)"
_MODIFY = {
    ResourceType.CLUSTER: Permission.CLUSTER_MODIFY_BINDINGS,
    ResourceType.PROJECT: Permission.PROJECT_MODIFY_BINDINGS,
    ResourceType.REPO: Permission.REPO_MODIFY_BINDINGS,
}


class AuthServicer:
    """The guard has checked callers by the table in auth/rules.py before a method here runs."""

    def __init__(self, service: Auth) -> None:
        self._auth = service
        self._bindings = service.bindings

    def activate(self, request: Any, _context: Context) -> Any:
        return auth.ActivateResponse(pach_token=self._auth.activate(request.root_token))

    def deactivate(self, _request: Any, _context: Context) -> Any:
        self._auth.deactivate()
        return auth.DeactivateResponse()

    def rotate_root_token(self, request: Any, _context: Context) -> Any:
        return auth.RotateRootTokenResponse(root_token=self._auth.rotate_root_token(request.root_token))

    # Logging in

    def authenticate(self, request: Any, _context: Context) -> Any:
        self._auth.require_active()
        if request.oidc_state or request.id_token:
            raise unimplemented(_NO_OIDC)
        raise unknown("unrecognized authentication mechanism (old pachd?)")

    def get_oidc_login(self, _request: Any, _context: Context) -> Any:
        self._auth.require_active()
        raise unknown("OIDC ID provider configuration not found")

    def get_configuration(self, _request: Any, _context: Context) -> Any:
        return auth.GetConfigurationResponse(configuration=auth.OidcConfig())

    def set_configuration(self, request: Any, _context: Context) -> Any:
        if request.configuration and bytes(request.configuration):
            raise unimplemented(_NO_OIDC)
        return auth.SetConfigurationResponse()

    def who_am_i(self, _request: Any, context: Context) -> Any:
        found = caller_of(self._auth, context)
        answer = auth.WhoAmIResponse(username=found.subject)
        if found.expires is not None:
            answer.expiration = when(found.expires)
        return answer

    # What one may do

    def authorize(self, request: Any, context: Context) -> Any:
        name = caller_of(self._auth, context).subject
        asked = tuple(_known(Permission, value) for value in dict.fromkeys(request.permissions))
        missing = self._auth.missing(name, _resource(request.resource), asked)
        return auth.AuthorizeResponse(
            authorized=not missing,
            satisfied=[permission for permission in asked if permission not in missing],
            missing=missing,
            principal=name,
        )

    def get_permissions(self, request: Any, _context: Context) -> Any:
        return self._permissions(principal(), request.resource)

    def get_permissions_for_principal(self, request: Any, _context: Context) -> Any:
        return self._permissions(request.principal, request.resource)

    def _permissions(self, name: str, resource: Any) -> Any:
        permissions, roles = self._auth.permitted(name, _resource(resource))
        return auth.GetPermissionsResponse(permissions=permissions, roles=roles)

    def get_roles_for_permission(self, request: Any, _context: Context) -> Any:
        found = [role for role in ROLES.values() if request.permission in role.permissions]
        return auth.GetRolesForPermissionResponse(
            roles=[
                auth.Role(
                    name=role.name,
                    permissions=list(role.permissions),
                    can_be_bound_to=list(role.bound_to),
                    returned_for=list(role.shown_for),
                )
                for role in found
            ]
        )

    # Role bindings

    def modify_role_binding(self, request: Any, _context: Context) -> Any:
        resource = _resource(request.resource)
        check_principal(request.principal)
        if request.principal.startswith(PACH_PREFIX) and resource == CLUSTER:
            raise unknown("cannot modify cluster role bindings for pach: users")
        if resource.type not in _MODIFY:
            raise unknown(f"unknown resource type {resource.type.name}")
        require(resource, _MODIFY[resource.type])
        self._bindings.set_roles(resource, request.principal, request.roles)
        return auth.ModifyRoleBindingResponse()

    def get_role_binding(self, request: Any, _context: Context) -> Any:
        entries = {
            name: auth.Roles(roles=dict.fromkeys(roles, True))
            for name, roles in self._bindings.get(_resource(request.resource)).items()
        }
        return auth.GetRoleBindingResponse(binding=auth.RoleBinding(entries=entries))

    # Tokens

    def get_robot_token(self, request: Any, _context: Context) -> Any:
        name = request.robot.removeprefix(ROBOT_PREFIX)
        if ":" in name:
            raise unknown("robot names cannot contain colons (':')")
        return auth.GetRobotTokenResponse(token=self._auth.tokens.issue(ROBOT_PREFIX + name, request.ttl))

    def revoke_auth_token(self, request: Any, _context: Context) -> Any:
        return auth.RevokeAuthTokenResponse(number=self._auth.tokens.revoke(request.token))

    def revoke_auth_tokens_for_user(self, request: Any, _context: Context) -> Any:
        if request.username.startswith(PACH_PREFIX):
            raise unknown("cannot revoke tokens for pach: users")
        number = self._auth.tokens.revoke_subject(request.username)
        return auth.RevokeAuthTokensForUserResponse(number=number)

    def extract_auth_tokens(self, _request: Any, _context: Context) -> Any:
        return auth.ExtractAuthTokensResponse(tokens=list(map(_token_info, self._auth.tokens.of_robots())))

    def restore_auth_token(self, request: Any, _context: Context) -> Any:
        """Whatever has no expiration is restored for ever."""
        token = request.token
        if not token:
            raise unknown("token cannot be nil")
        expires = token.expiration.timestamp() if token.is_set("expiration") else None
        if expires is not None and expires < time.time():
            raise expired_token()
        self._auth.tokens.insert(Token(token.hashed_token, token.subject, expires))
        return auth.RestoreAuthTokenResponse()

    def delete_expired_auth_tokens(self, _request: Any, _context: Context) -> Any:
        self._auth.tokens.delete_expired()
        return auth.DeleteExpiredAuthTokensResponse()

    # Groups

    def get_groups(self, _request: Any, _context: Context) -> Any:
        return auth.GetGroupsResponse(groups=self._bindings.groups_of(principal()))

    def get_groups_for_principal(self, request: Any, _context: Context) -> Any:
        return auth.GetGroupsResponse(groups=self._bindings.groups_of(request.principal))

    def get_users(self, request: Any, _context: Context) -> Any:
        if not request.group:
            return auth.GetUsersResponse(usernames=self._bindings.all_members())
        members = self._bindings.members(request.group)
        if members is None:
            raise not_found(f"groups {request.group} not found")
        return auth.GetUsersResponse(usernames=members)

    def modify_members(self, request: Any, _context: Context) -> Any:
        self._bindings.modify_members(request.group, request.add, request.remove)
        return auth.ModifyMembersResponse()

    def set_groups_for_user(self, request: Any, _context: Context) -> Any:
        self._bindings.set_groups(request.username, request.groups)
        return auth.SetGroupsForUserResponse()


class PfsAuthServicer:
    """The part of the PFS API that completes an activation."""

    def __init__(self, service: Auth) -> None:
        self._auth = service

    def activate_auth(self, _request: Any, _context: Context) -> Any:
        self._auth.activate_pfs()
        return pfs.ActivateAuthResponse()


class PpsAuthServicer:
    """The part of the PPS API that completes an activation."""

    def __init__(self, access: PipelineAccess) -> None:
        self._access = access

    def activate_auth(self, _request: Any, _context: Context) -> Any:
        self._access.activate()
        return pps.ActivateAuthResponse()


def _resource(message: Any) -> Resource:
    if not message:
        raise unknown("resource cannot be nil")
    kind = _known(ResourceType, message.type)
    return CLUSTER if kind == ResourceType.CLUSTER else Resource(kind, message.name)


def _known(kind: type[Any], value: int) -> Any:
    """The member of an enum; messages carry bare numbers."""
    try:
        return kind(value)
    except ValueError:
        raise unknown(f"{kind.__name__} {value} is not known") from None


def _token_info(token: Token) -> Any:
    info = auth.TokenInfo(subject=token.subject, hashed_token=token.hash)
    if token.expires is not None:
        info.expiration = when(token.expires)
    return info
