# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of the cluster and of projects: options and calls. PRIVATE: it may change at any time."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ._connection import Pachd
from ._converge import converge
from ._defaults_plan import Defaults, Document, State, plan_defaults, without_env
from ._errors import PachdError, PachydermError
from ._items import items
from ._names import project_name
from ._plan import Outcome, Plan, refuse_twice
from ._projects import read_projects
from ._sdk import sdk
from ._spec_1x import plain
from ._spec_env import forget_env
from ._spec_normal import INTEGERS, fields_of

_REQUEST = "createPipelineRequest"


def parse_defaults(params: Mapping[str, Any]) -> list[Defaults]:
    """The defaults that a module's options declare. Raises PachydermError.

    In `params` the values of transform.env are overwritten, since Ansible prints options again.
    """
    given = copy.deepcopy(dict(params))
    for item in (params, *(params["defaults"] or ())):
        for value in (item["spec"] or {}).values():
            forget_env(value)
    params = given
    found = [_parse(item, prefix, params) for item, prefix in items(params, "defaults", ("state",))]
    if problem := refuse_twice("defaults of", [d.label for d in found], "defaults"):
        raise PachydermError(problem)
    return found


def _parse(item: Mapping[str, Any], prefix: str, params: Mapping[str, Any]) -> Defaults:
    project = None if item["project"] is None else project_name(item["project"], f"{prefix}project")
    spec = item["spec"] if item["state"] == "present" else {}
    if spec is None:
        raise PachydermError(
            f"{prefix}spec: is required, as in {{{_REQUEST}: {{...}}}}; or use state: absent"
        )
    if unknown := [str(key) for key in spec if plain(str(key)) != plain(_REQUEST)]:
        raise PachydermError(f"{prefix}spec: {', '.join(unknown)}: only {_REQUEST} is allowed here")
    if any(not isinstance(value, Mapping) for value in spec.values()):
        raise PachydermError(f"{prefix}spec.{_REQUEST}: must be a mapping, part of a pipeline spec")
    if params["reprocess"] and not params["regenerate"]:
        raise PachydermError("reprocess: only together with regenerate")
    return Defaults(project, dict(spec), params["regenerate"], params["reprocess"], prefix)


def run_defaults(pachd: Pachd, declared: Sequence[Defaults], check_mode: bool) -> Outcome:
    """Brings the declared defaults about; in check mode it only says how."""
    plan = _planned(pachd, declared, check_mode)
    if not check_mode:
        converge(plan, partial(_apply, pachd), partial(_planned, pachd, declared, check_mode))
    shown = [{"project": one.project, "spec": without_env(_normal(one.spec))} for one in declared]
    return Outcome(plan, {"defaults": shown})


def _planned(pachd: Pachd, declared: Sequence[Defaults], check_mode: bool) -> Plan:
    named = any(one.project is not None for one in declared)
    projects = read_projects(pachd) if named else {}
    states: dict[str, State | None] = {
        one.label: _read(pachd, one) if one.project is None or one.project in projects else None
        for one in declared
    }
    return plan_defaults(declared, states, check_mode)


def _read(pachd: Pachd, one: Defaults) -> State:
    """What is there, and what of it changes by pachd's own judgement, which a dry run gives."""
    if one.project is None:
        text = pachd.pps.get_cluster_defaults().cluster_defaults_json
    else:
        project = sdk().pfs.Project(name=one.project)
        text = pachd.pps.get_project_defaults(project=project).project_defaults_json
    before, wanted = _normal(json.loads(text or "{}")), _normal(one.spec)
    affected = _send(pachd, one, dry_run=True) if before != wanted or one.regenerate else ()
    return State(before, wanted, affected)


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        _send(pachd, action.item, dry_run=False)


def _send(pachd: Pachd, one: Defaults, dry_run: bool) -> tuple[str, ...]:
    """Labels of the pipelines that get a new version."""
    text = json.dumps(one.spec)
    flags = {"regenerate": one.regenerate, "reprocess": one.reprocess, "dry_run": dry_run}
    try:
        if one.project is None:
            answer = pachd.pps.set_cluster_defaults(cluster_defaults_json=text, **flags)
        else:
            project = sdk().pfs.Project(name=one.project)
            answer = pachd.pps.set_project_defaults(project=project, project_defaults_json=text, **flags)
    except PachdError as error:
        hint = ""
        if "could not write" in error.text:
            hint = "; a pipeline that changes names no project, and pachd wants it: update that first"
        raise PachydermError(f"{one.where}spec: defaults of {one.label}: {error}{hint}") from error
    return tuple(sorted(f"{p.project.name}/{p.name}" for p in answer.affected_pipelines))


def _normal(spec: Mapping[str, Any]) -> Document:
    """One form for documents that mean the same. Unlike in a spec, null and zero mean something."""
    whole = _message(spec, sdk().pps.ClusterDefaults)
    return {key: value for key, value in whole.items() if value}


def _message(value: Mapping[str, Any], message: Any) -> Document:
    fields = fields_of(message)
    whole: Document = {}
    for key, raw in value.items():
        field = fields.get(plain(str(key)))
        if field is None:
            whole[str(key)] = raw
        elif field.kind == "message" and isinstance(raw, Mapping) and not field.repeated:
            whole[field.name] = _message(raw, field.of)
        elif field.kind in INTEGERS and isinstance(raw, str) and raw.lstrip("-").isdigit():
            whole[field.name] = int(raw)
        else:
            whole[field.name] = raw
    return whole
