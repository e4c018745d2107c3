# SPDX-License-Identifier: GPL-3.0-or-later
"""Auth as a whole: whether it is active, who a token belongs to, and what a principal may do."""

from __future__ import annotations

from collections.abc import Iterator

from pachyderm_sdk.api.auth import Permission, ResourceType

from ..errors import failed_precondition, unknown
from ..pfs.model import DEFAULT_PROJECT, RepoKey
from ..store.db import Database
from .bindings import Bindings
from .model import (
    CLUSTER,
    EVERYONE,
    INTERNAL,
    ROOT,
    Resource,
    already_activated,
    denied,
    no_binding,
    no_token,
    not_activated,
    project_resource,
    repo_resource,
)
from .roles import (
    CLUSTER_ADMIN,
    PROJECT_CREATOR,
    PROJECT_WRITER,
    REPO_READER,
    ROLES,
)
from .tokens import Token, Tokens


class Auth:
    """`pinned`: the root token is the operator's, so it is not rotated over the API.

    `required`: the server is reached from other machines, so auth stays on.
    """

    def __init__(self, db: Database, *, pinned: bool = False, required: bool = False) -> None:
        self._db = db
        self.bindings = Bindings(db)
        self.tokens = Tokens(db)
        self._pinned = pinned
        self._required = required
        self.tokens.delete_expired()
        self.tokens.revoke_pipelines()
        self.active = self.bindings.active

    # Switching on and off

    def activate(self, root_token: str) -> str:
        """Switch on; the answer is the token of pach:root, made where none is given.

        Repos and projects that there are already are bound by `activate_pfs`, as in pachd.
        """
        with self._db.transaction():
            if self.active:
                raise already_activated()
            roles = {ROOT: [CLUSTER_ADMIN], INTERNAL: [CLUSTER_ADMIN], EVERYONE: [PROJECT_CREATOR]}
            self.bindings.create(CLUSTER, roles)
            token = self.tokens.issue(ROOT, token=root_token)
        self.active = True
        return token

    def activate_pfs(self) -> None:
        """Bind what is there: everybody may write to the default project, the rest is the administrator's."""
        with self._db.transaction():
            for row in self._db.rows("SELECT name FROM project"):
                everyone = {EVERYONE: [PROJECT_WRITER]} if row["name"] == DEFAULT_PROJECT else {}
                self.bindings.create(project_resource(row["name"]), everyone)
            rows = self._db.rows(
                "SELECT project.name AS project, repo.name FROM repo JOIN project ON project_id = project.id"
                " WHERE type = 'user'"
            )
            for row in rows:
                self.bindings.create(repo_resource(RepoKey(row["project"], row["name"])), {})

    def start_with(self, root_token: str) -> None:
        """Active with the operator's token, whether or not it was before; another root token ends."""
        with self._db.transaction():
            if self.active:
                self._rotate(root_token)
            else:
                self.activate(root_token)
            self.activate_pfs()

    def deactivate(self) -> None:
        if self._required:
            raise failed_precondition(
                "the embedded pachd listens beyond loopback, where auth is not switched off;"
                " start it with --insecure or on loopback"
            )
        with self._db.transaction():
            self.bindings.delete_all()
            self.tokens.delete_all()
        self.active = False

    def rotate_root_token(self, root_token: str) -> str:
        if self._pinned:
            raise unknown(
                "RotateRootToken() is disabled when the root token is configured in the environment"
            )
        return self._rotate(root_token)

    def _rotate(self, root_token: str) -> str:
        with self._db.transaction():
            self.tokens.revoke_subject(ROOT)
            return self.tokens.issue(ROOT, token=root_token)

    def require_active(self) -> None:
        if not self.active:
            raise not_activated()

    # Who and what

    def who(self, token: str | None) -> Token:
        """Whose token this is; raises PachError where auth is off, or the token is none."""
        self.require_active()
        if token is None:
            raise no_token()
        return self.tokens.find(token)

    def require(self, principal: str, resource: Resource, needed: tuple[Permission, ...]) -> None:
        """Raise PERMISSION_DENIED where one is missing, UNKNOWN where nothing is bound to the resource."""
        if self.missing(principal, resource, needed):
            raise denied(principal, needed, resource)

    def missing(self, principal: str, resource: Resource, needed: tuple[Permission, ...]) -> list[Permission]:
        """Those of `needed` that no role gives."""
        left = list(needed)
        for role in self._roles(principal, resource, left):
            left[:] = [permission for permission in left if permission not in ROLES[role].permissions]
        return left

    def permitted(self, principal: str, resource: Resource) -> tuple[list[Permission], list[str]]:
        """(permissions, roles) on a resource, roles by name, of those that pachd shows for its type."""
        everything = [permission for permission in Permission if permission.value]
        kind = ResourceType.REPO if resource.type == ResourceType.SPEC_REPO else resource.type
        found = set(self._roles(principal, resource, everything))
        roles = sorted(role for role in found if kind in ROLES[role].shown_for)
        return [permission for role in roles for permission in ROLES[role].permissions], roles

    def _roles(self, principal: str, resource: Resource, left: list[Permission]) -> Iterator[str]:
        """Roles of a principal from the cluster down to the resource, until none of `left` is left.

        Its own, everybody's, and those of its groups. Raises PachError where a level has no binding.
        """
        levels = self._levels(resource)
        names = {principal, EVERYONE, *self.bindings.groups_of(principal)}
        for level in levels:
            if not left:
                return
            if level is None:
                yield REPO_READER
                continue
            if not self.bindings.exists(level):
                raise no_binding(level)
            for name, roles in self.bindings.get(level).items():
                if name in names:
                    yield from roles

    def _levels(self, resource: Resource) -> Iterator[Resource | None]:
        """From the top: what a resource's rights come from. None: what everybody may do with a spec repo."""
        if resource.type == ResourceType.SPEC_REPO:
            yield None
            resource = Resource(ResourceType.REPO, resource.name)
        yield CLUSTER
        if resource.type == ResourceType.REPO:
            project, slash, repo = resource.name.partition("/")
            if not slash or "/" in repo:
                raise unknown(f"invalid resource name {resource.name}")
            yield project_resource(project)
        if resource.type != ResourceType.CLUSTER:
            yield resource
