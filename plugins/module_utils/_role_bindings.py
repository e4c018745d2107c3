# SPDX-License-Identifier: GPL-3.0-or-later
"""Role bindings: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._items import items
from ._names import project_name, repo_name
from ._plan import Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._repos import read_repos
from ._role_binding_plan import Binding, Roles, Write, plan_bindings, shown
from ._sdk import sdk

# Those of Pachyderm 2.12; pachd has no call that lists them.
ROLES = (
    *("clusterAdmin", "debugger", "identityAdmin", "idpAdmin", "jobAdmin", "licenseAdmin", "lokiLogReader"),
    *("oidcAppAdmin", "pachdLogReader", "projectCreator", "projectOwner", "projectViewer", "projectWriter"),
    *("repoOwner", "repoReader", "repoWriter", "robotUser", "secretAdmin"),
)
_KINDS = ("user", "group", "robot", "pipeline", "pach", "internal")
_EVERYONE = "allClusterUsers"


def parse_bindings(params: Mapping[str, Any]) -> list[Binding]:
    """The bindings that a module's options declare. Raises PachydermError."""
    inherited = ("project", "state", "exclusive")
    found = [_parse(item, prefix) for item, prefix in items(params, "role_bindings", inherited)]
    if problem := refuse_twice("resource", [b.label for b in found], "role_bindings"):
        raise PachydermError(problem)
    return found


def _parse(item: Mapping[str, Any], prefix: str) -> Binding:
    kind, project, name = item["type"], "", ""
    if kind == "cluster":
        if item["name"]:
            raise PachydermError(f"{prefix}name: there is one cluster, which has no name; leave it out")
    elif not item["name"]:
        raise PachydermError(f"{prefix}name: is required, the name of the {kind}")
    elif kind == "project":
        name = project_name(item["name"], f"{prefix}name")
    else:
        project = project_name(item["project"], f"{prefix}project")
        name = repo_name(item["name"], f"{prefix}name")
    if item["roles"] is None:
        raise PachydermError(f"{prefix}roles: is required, as in {{'robot:ci': [repoWriter]}}")
    roles = {
        _principal(principal, kind, f"{prefix}roles"): _roles(names, f"{prefix}roles[{principal}]")
        for principal, names in item["roles"].items()
    }
    return Binding(kind, project, name, roles, item["state"], bool(item["exclusive"]), prefix)


def _principal(principal: str, kind: str, where: str) -> str:
    prefix, colon, name = principal.partition(":")
    if principal != _EVERYONE and (prefix not in _KINDS or not colon or not name):
        raise PachydermError(
            f"{where}: {principal}: must be {_EVERYONE}, or a name that begins with user:, group: or robot:"
        )
    if kind == "cluster" and prefix == "pach":
        raise PachydermError(f"{where}: {principal}: pachd lets nobody change its roles on the cluster")
    return principal


def _roles(names: Any, where: str) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise PachydermError(f"{where}: must be a list of roles, as in [repoReader]")
    if unknown := [str(name) for name in names if name not in ROLES]:
        raise PachydermError(
            f"{where}: no role of Pachyderm: {', '.join(unknown)}; there are {', '.join(ROLES)}"
        )
    return tuple(sorted(set(names)))


def run_bindings(pachd: Pachd, declared: Sequence[Binding], check_mode: bool) -> Outcome:
    """Brings the declared roles about; in check mode it only says how."""
    plan, actual = _planned(pachd, declared, check_mode)
    if not check_mode:
        converge(plan, partial(_apply, pachd), lambda: _planned(pachd, declared, check_mode)[0])
    return Outcome(plan, {"role_bindings": [shown(b, actual[b.label], plan) for b in declared]})


def _planned(pachd: Pachd, declared: Sequence[Binding], check_mode: bool) -> tuple[Plan, dict[str, Roles]]:
    """What is to be done, and what is there."""
    actual = {binding.label: _read(pachd, binding) for binding in declared}
    return plan_bindings(declared, actual, _missing(pachd, declared), check_mode), actual


def _missing(pachd: Pachd, declared: Sequence[Binding]) -> list[str]:
    """Labels of the declared resources that do not exist."""
    kinds = {binding.type for binding in declared}
    there = {"cluster"}
    if "project" in kinds:
        there |= {f"project {name}" for name in read_projects(pachd)}
    if "repo" in kinds:
        there |= {f"repo {project}/{name}" for project, name in read_repos(pachd)}
    return [binding.label for binding in declared if binding.label not in there]


def _read(pachd: Pachd, binding: Binding) -> Roles:
    """Who has which roles there. Raises PachydermError while authentication is off."""
    try:
        answer = pachd.auth.get_role_binding(resource=_resource(binding))
    except PachdError as error:
        if error.code != "UNIMPLEMENTED":
            raise PachydermError(f"{binding.where}{binding.label}: cannot read its roles: {error}") from error
        raise PachydermError(
            f"{binding.where}{binding.label}: no roles while authentication is off; activate it first"
        ) from error
    entries = answer.binding.entries
    return {
        principal: tuple(sorted(name for name, held in entry.roles.items() if held))
        for principal, entry in entries.items()
    }


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        write: Write = action.item
        try:
            pachd.auth.modify_role_binding(
                resource=_resource(write.binding), principal=write.principal, roles=list(write.roles)
            )
        except PachdError as error:
            raise PachydermError(
                f"{write.binding.where}{action.name}: cannot {action.verb} its roles: {error}"
            ) from error


def _resource(binding: Binding) -> Any:
    auth = sdk().auth
    return auth.Resource(type=auth.ResourceType[binding.type.upper()], name=binding.resource)
