# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a data directory holds: counted in its database and on its disk, whether or not it is served."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from . import directories
from .pps.model import JobState, PipelineState
from .store.schema import SCHEMA_VERSION

DATABASE = "pachd.sqlite"

# A query to its rows.
Query = Callable[[str], list[sqlite3.Row]]


class NoDataError(Exception):
    """The directory holds nothing that can be counted; the text is one line."""


def figures(data_dir: Path, query: Query) -> dict[str, Any]:
    """Counts of what there is, and bytes on disk: of files' content, and of all that tells about it."""
    content = _number(query, "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM chunk")
    metadata = sum(_size(data_dir / f"{DATABASE}{end}") for end in ("", "-wal")) - content
    return {
        "projects": _number(query, "SELECT COUNT(*) FROM project"),
        "repos": _number(query, "SELECT COUNT(*) FROM repo WHERE type = 'user'"),
        "commits": _number(query, "SELECT COUNT(*) FROM pfs_commit"),
        "open_commits": _number(query, "SELECT COUNT(*) FROM pfs_commit WHERE finished IS NULL"),
        "pipelines": _by_state(query, "pipeline", PipelineState),
        "jobs": _by_state(query, "job", JobState),
        "disk": {
            "content_bytes": content + _bytes_below(data_dir / "chunks"),
            "metadata_bytes": max(0, metadata),
        },
    }


def figures_at_rest(data_dir: Path) -> dict[str, Any]:
    """Those of a directory that no server has. Nothing is written there. Raises NoDataError."""
    path = data_dir / DATABASE
    if not path.is_file():
        raise NoDataError(f"{data_dir} holds no data of an embedded pachd")
    # After kill -9 the last changes are in a log beside the database; else SQLite need not look for one.
    rest = "" if _size(data_dir / f"{DATABASE}-wal") else "&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{rest}", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != SCHEMA_VERSION:
                raise NoDataError(
                    f"{data_dir} was written by another release"
                    f" (its schema is {found}, this one reads {SCHEMA_VERSION})"
                )
            return figures(data_dir, lambda sql: connection.execute(sql).fetchall())
    except sqlite3.Error as error:
        raise NoDataError(f"{path} cannot be read: {error}") from None


def _number(query: Query, sql: str) -> int:
    return int(query(sql)[0][0])


def _by_state(query: Query, table: str, states: type[PipelineState] | type[JobState]) -> dict[str, int]:
    """{"JOB_SUCCESS": 3}; states that none is in are left out."""
    prefix = "JOB" if states is JobState else "PIPELINE"
    rows = query(f"SELECT state, COUNT(*) FROM {table} GROUP BY state ORDER BY state")
    return {f"{prefix}_{states(state).name}": count for state, count in rows}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bytes_below(directory: Path) -> int:
    return sum(_size(Path(entry)) for entry in directories.walk(directory, skip_unreadable=True))
