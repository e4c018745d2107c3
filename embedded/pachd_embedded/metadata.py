# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and values that clients attach to a project, repo, branch, commit, pipeline, or the cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import PachError, failed_precondition, unknown
from .pfs.lookup import Lookup
from .pfs.model import BranchKey, CommitRef, RepoKey
from .pps.model import PipelineKey
from .pps.records import Records
from .store.db import Database

# The cluster's own is a setting, as there is one cluster.
_SETTING = "cluster_metadata"

ProjectName = str
Target = ProjectName | RepoKey | BranchKey | CommitRef | PipelineKey | None
Values = dict[str, str]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the metadata of `target`; None is the cluster. `change` raises where it cannot be made."""

    target: Target
    change: Callable[[Values], Values]


class Metadata:
    def __init__(self, db: Database, lookup: Lookup, records: Records) -> None:
        self._db = db
        self._lookup = lookup
        self._records = records

    def cluster(self) -> Values:
        row = self._db.row("SELECT value FROM setting WHERE name = ?", _SETTING)
        return dict(json.loads(row["value"])) if row else {}

    def apply(self, edits: Iterable[Edit]) -> None:
        """All of them in order, or none. Raises with a line for each that fails."""
        failures = []
        with self._db.transaction():
            for number, edit in enumerate(edits):
                try:
                    self._apply(edit)
                except PachError as error:
                    failures.append(f"edit #{number}: {error.text}")
            if failures:
                raise _refusal("apply edits: " + "\n".join(failures))

    def _apply(self, edit: Edit) -> None:
        if edit.target is None:
            values = edit.change(self.cluster())
            self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", _SETTING, json.dumps(values))
            return
        table, column, row_id = self._row(edit.target)
        row = self._db.row(f"SELECT metadata FROM {table} WHERE {column} = ?", row_id)
        assert row is not None, "it was there a moment ago, within the same transaction"
        try:
            values = edit.change(json.loads(row["metadata"]))
        except PachError as error:
            kind = "commit" if table == "pfs_commit" else table
            raise unknown(f'edit {kind} "{edit.target}": {error.text}') from None
        sql = f"UPDATE {table} SET metadata = ? WHERE {column} = ?"
        self._db.execute(sql, json.dumps(values), row_id)

    def _row(self, target: Target) -> tuple[str, str, int]:
        """Table, column and number by which the database knows it. Raises where it is missing."""
        if isinstance(target, RepoKey):
            return "repo", "id", self._lookup.get_repo(target).row_id
        if isinstance(target, BranchKey):
            return "branch", "id", self._lookup.get_branch(target).row_id
        if isinstance(target, CommitRef):
            return "pfs_commit", "seq", self._lookup.get_commit(target).seq
        if isinstance(target, PipelineKey):
            return "pipeline", "id", self._records.get_pipeline(target).row_id
        return "project", "id", self._lookup.get_project(str(target)).row_id


def add_key(key: str, value: str) -> Callable[[Values], Values]:
    def change(values: Values) -> Values:
        if key in values:
            raise unknown(f"add_key target key {json.dumps(key)} already exists; use edit_key instead")
        return values | {key: value}

    return change


def edit_key(key: str, value: str) -> Callable[[Values], Values]:
    return lambda values: values | {key: value}


def delete_key(key: str) -> Callable[[Values], Values]:
    return lambda values: {name: value for name, value in values.items() if name != key}


def replace(replacement: Values) -> Callable[[Values], Values]:
    return lambda _values: dict(replacement)


def _refusal(text: str) -> PachError:
    """pachd goes by the text, too."""
    return failed_precondition(text) if "already exists" in text else unknown(text)
