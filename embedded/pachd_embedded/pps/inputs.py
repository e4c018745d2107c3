# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks over a pipeline's input, and the defaults that pachd fills into it when a pipeline is created."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pachyderm_sdk.api import pps

_GROUPING_KINDS = ("cross", "join", "group", "union")


def is_set(message: Any) -> bool:
    """Whether a message field is present, which for an empty message only its wire flag tells."""
    return bool(message._serialized_on_wire)


def kinds_of(node: Any) -> list[str]:
    """The kinds of input that one pps.Input sets: one, unless the spec is wrong."""
    single = [kind for kind in ("pfs", "cron") if is_set(getattr(node, kind))]
    return single + [kind for kind in _GROUPING_KINDS if getattr(node, kind)]


def children_of(node: Any) -> list[Any]:
    """The inputs inside a cross, join, group or union; none for a pfs or cron input."""
    for kind in _GROUPING_KINDS:
        if getattr(node, kind):
            return list(getattr(node, kind))
    return []


def walk_nodes(node: Any) -> Iterator[Any]:
    """Every pps.Input in depth-first order, the given one last."""
    for child in children_of(node):
        yield from walk_nodes(child)
    yield node


def walk_inputs(node: Any) -> Iterator[Any]:
    """Every pps.PfsInput and pps.CronInput of a pps.Input, in order."""
    for each in walk_nodes(node):
        if is_set(each.pfs):
            yield each.pfs
        if is_set(each.cron):
            yield each.cron


def walk_files(node: Any) -> Iterator[Any]:
    """Every PFS input in order; a cron input is one whose datums are the files of its repo."""
    return (as_pfs(each) if isinstance(each, pps.CronInput) else each for each in walk_inputs(node))


def as_pfs(cron: Any) -> Any:
    return pps.PfsInput(
        name=cron.name,
        project=cron.project,
        repo=cron.repo,
        repo_type="user",
        branch="master",
        commit=cron.commit,
        glob="/*",
    )


def with_default_names(request: Any) -> Any:
    """Fills in the request's inputs as pachd stores them, and returns the request.

    A PFS input is called like its repo and reads branch master of a user repo in the pipeline's project (or
    with a trigger a branch `<pipeline>-trigger-<n>`); its glob gets its leading slash. Inputs of cross, join,
    group and union are sorted by name, which decides the order of files within a datum and so its id. A cron
    input gets its repo `<pipeline>_<name>`, and starts now unless told otherwise.
    """
    fill_input(request.input, request.pipeline.name, request.pipeline.project.name)
    return request


def fill_input(node: Any, pipeline: str, project: str) -> None:
    """The same for an input alone, as ListDatum has it; `pipeline` is then empty."""
    for each in walk_nodes(node):
        for kind in _GROUPING_KINDS:
            getattr(each, kind).sort(key=_input_name)
    triggers: dict[str, int] = {}
    for each in walk_nodes(node):
        if is_set(each.pfs):
            _fill_pfs(each.pfs, pipeline, project, triggers)
        if is_set(each.cron):
            _fill_cron(each.cron, pipeline, project)


def clean_glob(glob: str) -> str:
    """A glob in the form that pachd stores: one leading slash, no trailing one, no dot elements."""
    cleaned = posixpath.normpath(glob)
    return "/" if cleaned == "." else "/" + cleaned.strip("/")


def _input_name(node: Any) -> str:
    """What pachd sorts inputs by: the name of the first PFS input, as the user gave it."""
    if is_set(node.pfs):
        return str(node.pfs.name)
    inner = children_of(node)
    return _input_name(inner[0]) if inner else ""


def _fill_cron(cron: Any, pipeline: str, project: str) -> None:
    cron.project = cron.project or project
    cron.repo = cron.repo or f"{pipeline}_{cron.name}"
    if cron.start.timestamp() == 0:  # what an unset time reads as
        cron.start = datetime.now(UTC)


def _fill_pfs(pfs: Any, pipeline: str, project: str, triggers: dict[str, int]) -> None:
    if not pfs.branch and is_set(pfs.trigger):
        triggers[pfs.repo] = triggers.get(pfs.repo, 0) + 1
        pfs.branch = f"{pipeline}-trigger-{triggers[pfs.repo]}"
        pfs.trigger.branch = pfs.trigger.branch or "master"
    pfs.project = pfs.project or project
    pfs.branch = pfs.branch or "master"
    pfs.name = pfs.name or pfs.repo
    pfs.repo_type = pfs.repo_type or "user"
    if pfs.glob:
        pfs.glob = clean_glob(pfs.glob)
