# SPDX-License-Identifier: GPL-3.0-or-later
"""Cluster and project defaults: JSON that is merged under each new pipeline's spec."""

from __future__ import annotations

import json

from ..errors import invalid_argument
from ..pfs.model import DEFAULT_PROJECT
from ..pfs.service import Pfs
from ..store.db import Database
from .spec import INITIAL_CLUSTER_DEFAULTS, parse_defaults


class Defaults:
    """Texts are kept as they were given. They bear on pipelines created from then on."""

    def __init__(self, db: Database, pfs: Pfs) -> None:
        self._db = db
        self._pfs = pfs

    def cluster(self) -> str:
        row = self._db.row("SELECT value FROM setting WHERE name = 'cluster_defaults'")
        return str(row["value"]) if row else INITIAL_CLUSTER_DEFAULTS

    def set_cluster(self, text: str, dry_run: bool) -> None:
        parse_defaults(text, "cluster")
        if not dry_run:
            with self._db.transaction():
                self._db.execute("INSERT OR REPLACE INTO setting VALUES ('cluster_defaults', ?)", text)

    def project(self, name: str) -> str:
        """`{}` also for a project that is not there: whoever creates something in it is told so."""
        project = self._pfs.lookup.find_project(name)
        return project.defaults if project else "{}"

    def set_project(self, name: str, text: str, dry_run: bool) -> None:
        project = self._pfs.projects.inspect(name)
        parse_defaults(text, "project")
        if not dry_run:
            with self._db.transaction():
                self._db.execute("UPDATE project SET defaults = ? WHERE id = ?", text, project.row_id)

    def project_of(self, user_json: str) -> str:
        """The project that a spec names. A text that is no JSON object gets its error when it is parsed."""
        try:
            spec = json.loads(user_json)
            name = spec["pipeline"]["project"]["name"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return DEFAULT_PROJECT
        if not isinstance(name, str):
            raise invalid_argument("pipeline.project.name must be a string")
        return name or DEFAULT_PROJECT
