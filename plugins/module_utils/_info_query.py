# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachyderm_info is asked for. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

Values = list[dict[str, Any]]
Item = TypeVar("Item")

# Calls at a time, where pachd has to be asked for each thing.
_CALLS = 8


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


def for_each(read: Callable[[Item], Values], items: Iterable[Item]) -> Values:
    """What `read` returns for each item, in their order."""
    with ThreadPoolExecutor(_CALLS) as pool:
        return [value for values in pool.map(read, items) for value in values]
