# SPDX-License-Identifier: GPL-3.0-or-later
"""Role bindings and groups, as the database has them."""

from __future__ import annotations

from ..store.db import Database
from .caller import principal
from .model import CLUSTER, Resource, check_principal, no_binding
from .roles import check_roles


class Bindings:
    """Who has which roles on what. Changes nothing but the database, so any number of them agree."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @property
    def active(self) -> bool:
        """Auth is active while the cluster has a binding, as in pachd."""
        return self.exists(CLUSTER)

    def exists(self, resource: Resource) -> bool:
        return self._db.row("SELECT 1 FROM role_resource WHERE resource = ?", resource.key) is not None

    def get(self, resource: Resource) -> dict[str, list[str]]:
        """Roles by principal; empty also where there is no binding."""
        found: dict[str, list[str]] = {}
        for row in self._db.rows("SELECT * FROM role_binding WHERE resource = ?", resource.key):
            found.setdefault(row["principal"], []).append(row["role"])
        return found

    def set_roles(self, resource: Resource, name: str, roles: list[str]) -> None:
        """Replace the roles of one principal; none takes it out. Raises PachError where nothing is bound."""
        check_roles(roles)
        with self._db.transaction():
            if not self.exists(resource):
                raise no_binding(resource)
            self._db.execute(
                "DELETE FROM role_binding WHERE resource = ? AND principal = ?", resource.key, name
            )
            for role in dict.fromkeys(roles):
                self._db.execute("INSERT INTO role_binding VALUES (?, ?, ?)", resource.key, name, role)

    def create(self, resource: Resource, roles: dict[str, list[str]]) -> None:
        """A binding for something new; one that there is already stays."""
        with self._db.transaction():
            if self.exists(resource):
                return
            self._db.execute("INSERT INTO role_resource VALUES (?)", resource.key)
            for name, names in roles.items():
                self.set_roles(resource, name, names)

    def own(self, resource: Resource, role: str) -> None:
        """Something was made: whoever makes this call gets the role. Nothing while auth is off."""
        if self.active:
            owner = principal()
            self.create(resource, {owner: [role]} if owner else {})

    def delete(self, resource: Resource) -> None:
        self._db.execute("DELETE FROM role_resource WHERE resource = ?", resource.key)

    def delete_all(self) -> None:
        with self._db.transaction():
            self._db.execute("DELETE FROM role_resource")
            self._db.execute("DELETE FROM group_member")

    # Groups

    def groups_of(self, name: str) -> list[str]:
        rows = self._db.rows("SELECT name FROM group_member WHERE principal = ? AND name != ''", name)
        return [row["name"] for row in rows]

    def members(self, group: str) -> list[str] | None:
        """None for a group that was never named."""
        rows = self._db.rows("SELECT principal FROM group_member WHERE name = ?", group)
        return [row["principal"] for row in rows if row["principal"]] if rows else None

    def all_members(self) -> list[str]:
        """Everybody who is, or once was, in a group."""
        rows = self._db.rows("SELECT DISTINCT principal FROM group_member WHERE principal != ''")
        return [row["principal"] for row in rows]

    def modify_members(self, group: str, add: list[str], remove: list[str]) -> None:
        for name in (*add, *remove):
            check_principal(name)
        with self._db.transaction():
            self._know(group, "")
            for name in (*add, *remove):
                self._know("", name)
            for name in add:
                self._know(group, name)
            for name in remove:
                self._db.execute("DELETE FROM group_member WHERE name = ? AND principal = ?", group, name)

    def set_groups(self, name: str, groups: list[str]) -> None:
        """These and no others."""
        check_principal(name)
        with self._db.transaction():
            self._db.execute("DELETE FROM group_member WHERE principal = ?", name)
            self._know("", name)
            for group in groups:
                self._know(group, "")
                self._know(group, name)

    def _know(self, group: str, name: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO group_member VALUES (?, ?)", group, name)
