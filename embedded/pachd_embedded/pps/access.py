# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights around a pipeline: what its creator must have, and what the pipeline itself gets on its repos.

As in the public source of 2.12. A pipeline acts as the principal `pipeline:project/name`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pachyderm_sdk.api.auth import Permission

from ..auth.bindings import Bindings
from ..auth.caller import may, require
from ..auth.model import PIPELINE_PREFIX, project_resource, repo_resource
from ..auth.roles import REPO_READER, REPO_WRITER
from ..auth.tokens import Tokens
from ..pfs.model import USER, RepoKey
from ..store.db import Database
from .inputs import is_set, walk_nodes
from .model import Pipeline, PipelineKey
from .records import Records


class PipelineAccess:
    def __init__(self, db: Database, records: Records) -> None:
        self._db = db
        self._records = records
        self._bindings = Bindings(db)
        self._tokens = Tokens(db)

    # What a caller must have. All of these raise PERMISSION_DENIED.

    def check_create(self, request: Any, update: bool) -> None:
        """Read each input; an update writes to the output as well."""
        for repo in _repos(request, "pfs"):
            require(repo_resource(repo), Permission.REPO_READ)
        if update:
            self.check_change(_key(request))

    def check_change(self, key: PipelineKey) -> None:
        """Start and stop it."""
        require(repo_resource(key.repo(USER)), Permission.REPO_WRITE)

    def check_jobs(self, key: PipelineKey) -> None:
        """See what its jobs run."""
        require(repo_resource(key.repo(USER)), Permission.PIPELINE_LIST_JOB)

    def check_delete(self, key: PipelineKey) -> None:
        require(repo_resource(key.repo(USER)), Permission.REPO_DELETE)

    def check_logs(self, pipeline: Pipeline) -> None:
        for repo in (*_repos(pipeline.request, "pfs"), pipeline.key.repo(USER)):
            require(repo_resource(repo), Permission.REPO_READ)

    def may_list_jobs(self, key: PipelineKey) -> bool:
        return may(repo_resource(key.repo(USER)), Permission.PIPELINE_LIST_JOB)

    def may_see(self, key: PipelineKey) -> bool:
        """Whether lists show it: who may list the project's repos, or read its output."""
        return may(project_resource(key.project), Permission.PROJECT_LIST_REPO) or may(
            repo_resource(key.repo(USER)), Permission.REPO_READ
        )

    # What the pipeline gets. Within a transaction of the caller, and only while auth is active.

    def bind(self, request: Any, before: Any | None) -> None:
        """Let a new version read its inputs and write its output; what it reads no more it loses.

        `before`: the request of the version that it replaces. The caller must be one who may add readers.
        """
        if not self._bindings.active:
            return
        key = _key(request)
        name = PIPELINE_PREFIX + str(key)
        old = set(_repos(before, "pfs", "cron")) if before is not None else set()
        new = set(_repos(request, "pfs", "cron"))
        own = key.repo(USER)
        for repo in sorted(old - new - {own}, key=str):
            self._remove(name, repo, own)
        for repo in sorted(new - old - {own}, key=str):
            require(repo_resource(repo), Permission.REPO_ADD_PIPELINE_READER)
            self._bindings.set_roles(repo_resource(repo), name, [REPO_READER])
        for repo in sorted(set(_repos(request, "cron")) - old, key=str):
            require(repo_resource(repo), Permission.REPO_ADD_PIPELINE_WRITER)
            self._bindings.set_roles(repo_resource(repo), name, [REPO_WRITER])
        if before is None:
            require(repo_resource(own), Permission.REPO_ADD_PIPELINE_WRITER)
            self._bindings.set_roles(repo_resource(own), name, [REPO_WRITER])

    def unbind(self, request: Any) -> None:
        """The pipeline goes: its repos forget it."""
        if self._bindings.active:
            key = _key(request)
            for repo in set(_repos(request, "pfs", "cron")) - {key.repo(USER)}:
                self._remove(PIPELINE_PREFIX + str(key), repo, key.repo(USER))

    def _remove(self, name: str, repo: RepoKey, own: RepoKey) -> None:
        # Asked of the pipeline's own repo: who may not read an input any more can still let go of it.
        if self._bindings.exists(repo_resource(own)):
            require(repo_resource(own), Permission.REPO_REMOVE_PIPELINE_READER)
        if self._bindings.exists(repo_resource(repo)):
            self._bindings.set_roles(repo_resource(repo), name, [])

    def activate(self) -> None:
        """PPS ActivateAuth: bind the pipelines that were there before auth was."""
        with self._db.transaction():
            for pipeline in self._records.pipelines():
                self.bind(pipeline.request, None)

    # Tokens of running jobs

    @contextmanager
    def token(self, key: PipelineKey) -> Iterator[str]:
        """For the user code of one job (PACH_TOKEN), valid within the block; "" while auth is off."""
        token = self._tokens.issue(PIPELINE_PREFIX + str(key)) if self._bindings.active else ""
        try:
            yield token
        finally:
            if token:
                self._tokens.revoke(token)


def _key(request: Any) -> PipelineKey:
    return PipelineKey(request.pipeline.project.name, request.pipeline.name)


def _repos(request: Any, *kinds: str) -> Iterable[RepoKey]:
    """The user repos that the inputs of these kinds read, each once."""
    found: dict[RepoKey, None] = {}
    for node in walk_nodes(request.input):
        for kind in kinds:
            given = getattr(node, kind)
            if is_set(given):
                found[RepoKey(given.project, given.repo)] = None
    return list(found)
