# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd holds, as plain values. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._connection import Pachd
from ._errors import LibraryMissingError, PachydermError
from ._info_access import read_role_bindings
from ._info_pfs import (
    read_branches,
    read_commits,
    read_files,
    read_project_values,
    read_provenance,
    read_repo_values,
)
from ._info_pps import read_datums, read_defaults, read_jobs, read_logs, read_pipeline_values
from ._info_query import Query
from ._names import branch_name, pipeline_name, project_name, repo_name
from ._plan import Outcome

READERS: dict[str, Callable[[Pachd, Query], Any]] = {
    "projects": read_project_values,
    "repos": read_repo_values,
    "branches": read_branches,
    "commits": read_commits,
    "files": read_files,
    "provenance": read_provenance,
    "pipelines": read_pipeline_values,
    "jobs": read_jobs,
    "datums": read_datums,
    "logs": read_logs,
    "defaults": read_defaults,
    "role_bindings": read_role_bindings,
}
# What a kind cannot be asked for without.
_NEEDS = {
    "files": "repo",
    "provenance": "repo",
    "datums": "pipeline",
    "logs": "pipeline",
}
_LIMITS = ("max_content_bytes", "max_commits", "max_jobs", "max_datums", "max_log_lines")
_NAMES: dict[str, Callable[[str, str], str]] = {
    "project": project_name,
    "repo": repo_name,
    "branch": branch_name,
    "pipeline": pipeline_name,
}


def parse_query(params: Mapping[str, Any]) -> Query:
    """Reads the options. Raises PachydermError."""
    gather = tuple(dict.fromkeys(params["gather"]))
    for kind in gather:
        needed = _NEEDS.get(kind)
        if needed and not params[needed]:
            raise PachydermError(f"{needed}: is required to gather {kind}")
    if params["datum"] and not params["job"]:
        raise PachydermError("job: is required to choose a datum")
    for option in _LIMITS:
        if params[option] < 1:
            raise PachydermError(f"{option}: must be at least 1, not {params[option]}")
    for option, check in _NAMES.items():
        if params[option] is not None:
            check(params[option], option)
    given = {
        name: params[name] for name in Query.__slots__ if name not in ("gather", "datum_states", "search")
    }
    return Query(
        gather=gather,
        datum_states=tuple(params["datum_states"] or ()),
        search=_compiled(params["query"]) if params["query"] else None,
        **given,
    )


def run_query(pachd: Pachd, query: Query, check_mode: bool) -> Outcome:
    """Reads what is asked for, one return value for each kind; with a query, its answer alone."""
    del check_mode  # Nothing is written.
    found = {kind: READERS[kind](pachd, query) for kind in query.gather}
    return Outcome(None, found if query.search is None else {"result": query.search(found)})


def _compiled(expression: str) -> Callable[[Any], Any]:
    """A JMESPath expression, so that what is wrong with it is said before anything is asked."""
    try:
        import jmespath
    except ImportError as error:
        raise LibraryMissingError("jmespath", str(error)) from error
    try:
        parsed = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise PachydermError(f"query: is no JMESPath expression: {error}") from error

    def search(values: Any) -> Any:
        try:
            return parsed.search(values)
        except jmespath.exceptions.JMESPathError as error:
            raise PachydermError(f"query: {expression}: {error}") from error

    return search
