# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources, principals and the errors of auth, as pachd words them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import grpc
from pachyderm_sdk.api.auth import Permission, ResourceType

from ..errors import PachError, unknown
from ..pfs.model import SPEC, RepoKey

ROOT = "pach:root"
INTERNAL = "internal:auth-server"
EVERYONE = "allClusterUsers"
USER_PREFIX, ROBOT_PREFIX, PIPELINE_PREFIX, PACH_PREFIX = "user:", "robot:", "pipeline:", "pach:"
_PREFIXES = (USER_PREFIX, ROBOT_PREFIX, PIPELINE_PREFIX, PACH_PREFIX, "internal:", "group:")


@dataclass(frozen=True)
class Resource:
    """`name`: "" of the cluster, "project" of a project, "project/repo" of a repo."""

    type: ResourceType
    name: str = ""

    @property
    def key(self) -> str:
        """What a role binding is kept under: "CLUSTER:", "REPO:default/data"."""
        return f"{self.type.name}:{'' if self == CLUSTER else self.name}"

    def __str__(self) -> str:
        return f"{self.type.name} {self.name}"


CLUSTER = Resource(ResourceType.CLUSTER)


def project_resource(name: str) -> Resource:
    return Resource(ResourceType.PROJECT, name)


def repo_resource(key: RepoKey) -> Resource:
    """A meta repo is guarded as its user repo is; a spec repo, which all may read, has its own type."""
    kind = ResourceType.SPEC_REPO if key.type == SPEC else ResourceType.REPO
    return Resource(kind, f"{key.project}/{key.name}")


def check_principal(principal: str) -> None:
    """Raise PachError for a name that has none of the known prefixes."""
    if principal == EVERYONE:
        return
    prefix, colon, _name = principal.partition(":")
    if not colon:
        raise unknown("subject has no prefix, must be of the form <type>:<name>")
    if f"{prefix}:" not in _PREFIXES:
        raise unknown(f"subject has unrecognized prefix: {prefix}:")


def not_activated() -> PachError:
    """The SDK's client turns this text into AuthServiceNotActivated."""
    return PachError(grpc.StatusCode.UNIMPLEMENTED, "the auth service is not activated")


def already_activated() -> PachError:
    return PachError(grpc.StatusCode.UNIMPLEMENTED, "the auth service is already activated")


def no_token() -> PachError:
    return PachError(grpc.StatusCode.UNAUTHENTICATED, "no authentication token (try logging in)")


def bad_token() -> PachError:
    return PachError(
        grpc.StatusCode.UNAUTHENTICATED,
        "provided auth token is corrupted or has expired (try logging in again)",
    )


def expired_token() -> PachError:
    return PachError(grpc.StatusCode.INTERNAL, "token expiration is in the past")


def denied(principal: str, needed: Iterable[Permission], on: Resource, prefix: str = "") -> PachError:
    """`prefix`: what pachd puts before it in some calls, such as "failed to create repo: "."""
    names = " ".join(permission.name or "" for permission in needed)
    return PachError(
        grpc.StatusCode.PERMISSION_DENIED,
        f"{prefix}{principal} is not authorized to perform this operation - needs permissions [{names}] on"
        f" {on}. Run `pachctl auth roles-for-permission` to find roles that grant a given permission.",
    )


def no_binding(resource: Resource) -> PachError:
    return unknown(f"no role binding exists for {resource}")
