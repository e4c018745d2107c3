# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachyderm_info is asked for. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Values = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """The options. A filter of None lets everything through; `search` is the compiled `query`."""

    gather: tuple[str, ...]
    project: str | None
    repo: str | None
    branch: str
    commit: str | None
    pipeline: str | None
    job: str | None
    datum: str | None
    datum_states: tuple[str, ...]
    glob: str
    content: bool
    env: bool
    max_content_bytes: int
    max_commits: int
    max_jobs: int
    max_datums: int
    max_log_lines: int
    search: Callable[[Any], Any] | None = None
