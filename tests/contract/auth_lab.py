# SPDX-License-Identifier: GPL-3.0-or-later
"""A pachd with active auth, as its administrator and others see it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from pachyderm_sdk import Client
from pachyderm_sdk.api import auth, pfs

from tests.contract.lab import Data, Lab, pfs_input

Connect = Callable[[str | None], Client]
CLUSTER = auth.Resource(type=auth.ResourceType.CLUSTER)


def fresh(kind: str) -> str:
    """A name that nobody used before."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


class Person:
    """A robot with a token of its own."""

    def __init__(self, principal: str, token: str, client: Client) -> None:
        self.principal = principal
        self.token = token
        self.client = client


class AuthLab:
    """One project of the administrator's, and persons who have no role in it until they get one."""

    def __init__(self, connect: Connect, root_token: str) -> None:
        self.connect = connect
        self.root = connect(root_token)
        self.root_token = root_token
        self.api = self.root.auth
        self._projects: list[pfs.Project] = []
        self.project = self.new_project(self.root)
        self.lab = Lab(self.root, self.project)

    # Who

    def person(self, *roles: str, on: auth.Resource | None = None, ttl: int = 0) -> Person:
        """A new robot, with these roles on a resource."""
        name = fresh("robot")
        token = self.api.get_robot_token(robot=name, ttl=ttl).token
        person = Person(f"robot:{name}", token, self.connect(token))
        if roles:
            assert on is not None
            self.grant(on, person.principal, *roles)
        return person

    def nobody(self) -> Client:
        """Somebody without a token."""
        return self.connect(None)

    def grant(self, on: auth.Resource, principal: str, *roles: str) -> None:
        self.api.modify_role_binding(resource=on, principal=principal, roles=list(roles))

    def roles(self, on: auth.Resource) -> dict[str, set[str]]:
        """Roles by principal."""
        entries = self.api.get_role_binding(resource=on).binding.entries
        return {principal: set(roles.roles) for principal, roles in entries.items()}

    # What

    def new_project(self, owner: Client) -> str:
        project = pfs.Project(name=fresh("auth"))
        owner.pfs.create_project(project=project)
        self._projects.append(project)
        return str(project.name)

    def repo(self, owner: Client | None = None, project: str = "") -> Data:
        """A new repo with one file /a, and no role for anybody but its owner (the administrator)."""
        data = Data(owner or self.root, f"{project or self.project}/{fresh('repo')}")
        data.api.create_repo(repo=data.repo)
        data.put({"/a": b"content"})
        return data

    def seen_by(self, client: Client, data: Data) -> Data:
        return Data(client, data.name)

    def on_repo(self, data: Data | str) -> auth.Resource:
        name = data if isinstance(data, str) else data.name
        return auth.Resource(type=auth.ResourceType.REPO, name=name)

    def on_project(self, name: str = "") -> auth.Resource:
        return auth.Resource(type=auth.ResourceType.PROJECT, name=name or self.project)

    def clear(self) -> None:
        self.root.pps.delete_pipelines(projects=self._projects, force=True)
        self.root.pfs.delete_repos(projects=self._projects, force=True)
        for project in self._projects:
            self.root.pfs.delete_project(project=project)


def names(permissions: list[Any]) -> list[str]:
    return [auth.Permission(permission).name or "" for permission in permissions]


def denial(person: Person, permissions: str, on: str) -> str:
    """The whole text that a caller without the permissions sees."""
    return (
        rf"{person.principal} is not authorized to perform this operation - needs permissions"
        rf" \[{permissions}\] on {re.escape(on)}\. Run `pachctl auth roles-for-permission` to find roles"
        r" that grant a given permission\.$"
    )


def spec(data: Data, name: str = "") -> str:
    """Of a pipeline in the repo's project that reads all of it and does nothing."""
    project, _, repo = data.name.partition("/")
    return json.dumps(
        {
            "pipeline": {"name": name or fresh("pipe"), "project": {"name": project}},
            "input": pfs_input(repo, "/"),
            "transform": {"cmd": ["true"]},
        }
    )
