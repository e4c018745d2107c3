# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what, as plain values. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from typing import Any

from ._at_once import for_each
from ._connection import Pachd
from ._errors import PachdError
from ._info_pfs import project_infos, user_repos
from ._info_query import Query, Values
from ._sdk import sdk

# What pachd says while auth is off.
_INACTIVE = "the auth service is not activated"


def read_role_bindings(pachd: Pachd, query: Query) -> Values:
    """The roles on the cluster, the projects and the repos; none while authentication is not active."""
    auth = sdk().auth
    kinds = auth.ResourceType
    resources = [] if query.project or query.repo else [("cluster", auth.Resource(type=kinds.CLUSTER))]
    if not query.repo:
        for project in project_infos(pachd, query):
            name = project.project.name
            resources.append(("project", auth.Resource(type=kinds.PROJECT, name=name)))
    for info in user_repos(pachd, query):
        name = f"{info.repo.project.name}/{info.repo.name}"
        resources.append(("repo", auth.Resource(type=kinds.REPO, name=name)))
    try:
        # The first one tells whether there is anything to ask for.
        first = _binding(pachd, *resources[0]) if resources else []
        return first + for_each(lambda resource: _binding(pachd, *resource), resources[1:])
    except PachdError as error:
        if _INACTIVE not in error.text:
            raise
        return []


def _binding(pachd: Pachd, kind: str, resource: Any) -> Values:
    entries = pachd.auth.get_role_binding(resource=resource).binding.entries
    roles = {principal: sorted(found.roles) for principal, found in sorted(entries.items()) if found.roles}
    if not roles:
        return []
    values: dict[str, Any] = {"type": kind}
    if kind == "project":
        values["name"] = resource.name
    if kind == "repo":
        values["project"], values["name"] = resource.name.split("/", 1)
    return [values | {"roles": roles}]
