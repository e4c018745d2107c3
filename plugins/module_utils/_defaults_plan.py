# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about defaults. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._plan import Action, Plan
from ._spec_env import hide_env

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Defaults:
    """Declared defaults of a project, or of the cluster where `project` is None; absent is an empty `spec`.

    `regenerate` brings them into the pipelines that there are, `reprocess` runs those over all data again.
    """

    project: str | None
    spec: Document
    regenerate: bool = False
    reprocess: bool = False
    where: str = ""

    @property
    def label(self) -> str:
        return "cluster" if self.project is None else f"project {self.project}"


@dataclass(frozen=True, slots=True)
class State:
    """Defaults as they are and as declared, both in one form. `affected` are labels of the pipelines that
    would get a new version."""

    before: Document
    wanted: Document
    affected: tuple[str, ...] = ()


def plan_defaults(declared: Sequence[Defaults], states: Mapping[str, State | None], check: bool) -> Plan:
    """`states` has what is there by label; None for a project that does not exist.

    In check mode such a one is a warning: an earlier task may be about to create it. Raises PachydermError.
    """
    problems = [f"{d.where}{d.label} does not exist" for d in declared if states[d.label] is None and d.spec]
    if problems and not check:
        raise PachydermError(f"{first_few(problems)}; create it first")
    actions = []
    for one in declared:
        state = states[one.label] or State({}, one.spec)
        if state.before != state.wanted or state.affected:
            affected = {"updated_pipelines": list(state.affected)} if state.affected else {}
            verb = "update" if state.wanted or state.affected else "delete"
            before = {"spec": without_env(state.before)}
            after = {"spec": without_env(state.wanted, state.before), **affected}
            actions.append(Action(verb, "defaults", one.label, before, after, one))
    return Plan(tuple(actions), tuple(f"{problem} yet" for problem in problems))


def without_env(spec: Document, before: Document | None = None) -> Document:
    """A spec to be shown: what hide_env makes of it, compared with `before`."""
    return {key: hide_env(value, (before or {}).get(key)) for key, value in spec.items()}
