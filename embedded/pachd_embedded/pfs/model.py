# SPDX-License-Identifier: GPL-3.0-or-later
"""What the PFS domain speaks of: keys that clients name, and records that the database holds."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

# Where a repo or pipeline is when no project is named.
DEFAULT_PROJECT = "default"

USER, META, SPEC = "user", "meta", "spec"
REPO_TYPES = (USER, META, SPEC)


class Origin(IntEnum):
    """pfs.OriginKind: who made a commit."""

    USER = 1
    AUTO = 2


@dataclass(frozen=True, slots=True)
class RepoKey:
    project: str
    name: str
    type: str = USER

    def __str__(self) -> str:
        suffix = "" if self.type == USER else f".{self.type}"
        return f"{self.project}/{self.name}{suffix}"


@dataclass(frozen=True, slots=True)
class BranchKey:
    repo: RepoKey
    name: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.name}"


@dataclass(frozen=True, slots=True)
class CommitRef:
    """A commit as a client names it: an id or branch name, either with ancestry (`master^2`), or a branch."""

    repo: RepoKey
    id: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    row_id: int
    name: str
    description: str
    created: float
    defaults: str  # project defaults for pipelines, as JSON
    metadata: str  # as all metadata: an object of strings, as JSON

    @classmethod
    def of(cls, row: sqlite3.Row) -> Project:
        columns = ("id", "name", "description", "created", "defaults", "metadata")
        return cls(*(row[column] for column in columns))


@dataclass(frozen=True, slots=True)
class Repo:
    row_id: int
    key: RepoKey
    description: str
    created: float
    metadata: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> Repo:
        key = RepoKey(row["project"], row["name"], row["type"])
        return cls(row["id"], key, row["description"], row["created"], row["metadata"])


@dataclass(frozen=True, slots=True)
class Branch:
    row_id: int
    key: BranchKey
    repo_id: int
    head: int
    created: float
    updated: float
    metadata: str


@dataclass(frozen=True, slots=True)
class Commit:
    """`seq` names it here, `id` in the API. `tree` is its files; of an open commit, those written so far."""

    seq: int
    id: str
    repo: RepoKey
    repo_id: int
    branch: str
    parent: int | None
    origin: Origin
    description: str
    started: float
    finishing: float | None
    finished: float | None
    error: str
    invalid: str
    based: bool
    tree: bytes | None
    forgotten: bool = False
    metadata: str = "{}"

    def __str__(self) -> str:
        return f"{self.repo}@{self.id}"

    @property
    def reason(self) -> str:
        """CommitInfo.error: what was given at its end, else what checking its files found."""
        return self.error or self.invalid
