# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects and repos."""

from __future__ import annotations

import time

from pachyderm_sdk.api.auth import Permission

from ..auth.bindings import Bindings
from ..auth.caller import may, require
from ..auth.model import project_resource, repo_resource
from ..auth.roles import PROJECT_OWNER, REPO_OWNER
from ..errors import already_exists, failed_precondition, not_found, unknown
from ..store.db import Database
from .branches import Branches
from .file_set_store import FILE_SETS, is_file_set
from .lookup import Lookup
from .model import DEFAULT_PROJECT, REPO_TYPES, SPEC, USER, Project, Repo, RepoKey
from .names import check_project_name, check_repo_name


class Projects:
    def __init__(self, db: Database, lookup: Lookup) -> None:
        self._db = db
        self._lookup = lookup
        self._bindings = Bindings(db)
        with db.transaction():
            if lookup.find_project(DEFAULT_PROJECT) is None:
                self._insert(DEFAULT_PROJECT, "")

    def create(self, name: str, description: str, update: bool) -> None:
        check_project_name(name)
        with self._db.transaction():
            found = self._lookup.find_project(name)
            if update:
                if found is None:
                    raise not_found(f'project "{name}" not found')
                self._db.execute("UPDATE project SET description = ? WHERE id = ?", description, found.row_id)
            elif found is not None:
                raise already_exists(f"project {name} already exists")
            else:
                self._insert(name, description)
                self._bindings.own(project_resource(name), PROJECT_OWNER)

    def inspect(self, name: str) -> Project:
        found = self._lookup.find_project(name)
        if found is None:
            raise not_found(f'project "{name}" not found')
        return found

    def delete(self, name: str, force: bool) -> None:
        with self._db.transaction():
            project = self.inspect(name)
            resource = project_resource(name)
            require(
                resource,
                *(Permission.PROJECT_DELETE, Permission.PROJECT_MODIFY_BINDINGS),
                prefix=f'user is not authorized to delete project "{name}": ',
            )
            repos = self._lookup.repos("", [name])
            if repos and force:
                # The real pachd leaves it to its database to refuse this.
                raise unknown(f"cannot delete project {name}: its repos violate a foreign key constraint")
            if repos:
                lines = "\n".join(f"repo {repo.key} still exists" for repo in repos)
                raise failed_precondition(f"cannot delete project {name}: {lines}")
            self._db.execute("DELETE FROM project WHERE id = ?", project.row_id)
            self._bindings.delete(resource)

    def _insert(self, name: str, description: str) -> None:
        sql = "INSERT INTO project (name, description, created) VALUES (?, ?, ?)"
        self._db.execute(sql, name, description, time.time())


class Repos:
    def __init__(self, db: Database, lookup: Lookup, branches: Branches) -> None:
        self._db = db
        self._lookup = lookup
        self._branches = branches
        self._bindings = Bindings(db)

    def create(self, key: RepoKey, description: str, update: bool) -> None:
        check_repo_name(key.name)
        if is_file_set(key):
            raise unknown(f"{FILE_SETS} is a reserved name")
        if key.type not in REPO_TYPES:
            raise unknown(f'could not create repo "{key}": unknown repo type "{key.type}"')
        with self._db.transaction():
            project = self._lookup.get_project(key.project)
            require(
                project_resource(key.project),
                Permission.PROJECT_CREATE_REPO,
                prefix="failed to create repo: ",
            )
            found = self._lookup.find_repo(key)
            if found is not None and not update:
                raise already_exists(f"repo {key} already exists")
            if found is not None:
                if found.description != description:
                    prefix = f'could not update description of "{key}": '
                    require(repo_resource(key), Permission.REPO_WRITE, prefix=prefix)
                self._db.execute("UPDATE repo SET description = ? WHERE id = ?", description, found.row_id)
                return
            if key.type != USER:
                self._lookup.get_repo(RepoKey(key.project, key.name))
            self._db.execute(
                "INSERT INTO repo (project_id, name, type, description, created) VALUES (?, ?, ?, ?, ?)",
                *(project.row_id, key.name, key.type, description, time.time()),
            )
            if key.type == USER:
                self._bindings.own(repo_resource(key), REPO_OWNER)

    def delete(self, key: RepoKey, force: bool) -> bool:
        """Delete a repo and its system repos.

        False when there was none, or the caller may not: neither is an error.
        """
        with self._db.transaction():
            if self._lookup.find_repo(key) is None or not _may_delete(key):
                return False
            if self._lookup.find_repo(RepoKey(key.project, key.name, SPEC)) is not None:
                raise unknown("cannot delete a repo associated with a pipeline - delete the pipeline instead")
            self.remove(key, force)
            return True

    def remove(self, key: RepoKey, force: bool) -> None:
        """Delete the repo, whatever it belongs to (a pipeline deletes its own)."""
        with self._db.transaction():
            repo = self._lookup.get_repo(key)
            for branch in self._branches.removal_order(repo):
                self._branches.remove(branch, force, prefix="delete repo: ")
            # Provenance holds no foreign keys: what a repo's commits led to must not name them any more.
            self._db.execute(
                "DELETE FROM commit_provenance WHERE upstream IN"
                " (SELECT seq FROM pfs_commit WHERE repo_id = ?)",
                repo.row_id,
            )
            self._db.execute("DELETE FROM repo WHERE id = ?", repo.row_id)
            if key.type == USER:
                self._bindings.delete(repo_resource(key))

    def delete_all(self, projects: list[str], all_projects: bool, force: bool) -> list[RepoKey]:
        """Delete the user repos of projects that belong to no pipeline."""
        with self._db.transaction():
            repos = [] if not projects and not all_projects else self._lookup.repos(USER, projects)
            deleted = []
            for repo in sorted(repos, key=self._depth, reverse=True):
                spec = RepoKey(repo.key.project, repo.key.name, SPEC)
                if self._lookup.find_repo(spec) is None and _may_delete(repo.key):
                    self.remove(repo.key, force)
                    deleted.append(repo.key)
            return deleted

    def _depth(self, repo: Repo) -> int:
        """How far downstream a repo is: the most downstream must be deleted first."""
        return max((len(self._lookup.provenance(b.row_id)) for b in self._lookup.branches(repo)), default=0)


def _may_delete(key: RepoKey) -> bool:
    """System repos go with the rights on their user repo."""
    return may(repo_resource(RepoKey(key.project, key.name)), Permission.REPO_DELETE)
