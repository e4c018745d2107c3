# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module is going to do. PRIVATE to the collection: it may change at any time.

A plan is made from the declared and the actual state without any I/O. It alone yields `changed`, `diff` and
`actions`, so that they cannot disagree, and it is the same in check mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Action:
    """One write. `verb` and `kind` say what is done to what ("create", "repo"), `name` to which one.

    `before` and `after` are what a diff shows; None where the thing is not there. `item` is what the service
    needs to carry it out.
    """

    verb: str
    kind: str
    name: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    item: Any = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in the order in which they are carried out, and what the user should be told beforehand."""

    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    @property
    def diff(self) -> dict[str, Any]:
        """Ansible's diff: one entry before and after for each thing that changes."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for action in self.actions:
            key = f"{action.kind} {action.name}"
            # The first action on a thing saw it as it was, the last one leaves it as it will be.
            before.setdefault(key, action.before)
            after[key] = action.after
        return {"before": _present(before), "after": _present(after)}

    @property
    def summary(self) -> list[dict[str, str]]:
        """The return value `actions`."""
        return [{"action": a.verb, "kind": a.kind, "name": a.name} for a in self.actions]

    @property
    def result(self) -> dict[str, Any]:
        """The return values that every module with a plan has."""
        return {"changed": self.changed, "actions": self.summary, "diff": self.diff}


@dataclass(slots=True)
class Outcome:
    """What a module returns: further values, and warnings that came up on the way.

    `plan` is None for a module that only reads.
    """

    plan: Plan | None
    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def refuse_twice(kind: str, names: Sequence[str], where: str) -> str:
    """An error text if a name is declared twice in the list `where`, else ""."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            return f"{where}[{index}]: {kind} {name} is declared in {where}[{seen[name]}] already; remove one"
        seen[name] = index
    return ""


def _present(things: Mapping[str, Any]) -> dict[str, Any]:
    return {name: thing for name, thing in things.items() if thing is not None}
