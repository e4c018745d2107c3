# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets which roles. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._plan import Action, Plan

# What Pachyderm gives by itself: to its administrator, and to pipelines for the repos that they use.
OWN_PRINCIPALS = ("pach:", "pipeline:", "internal:")
Roles = Mapping[str, tuple[str, ...]]  # by principal, sorted


@dataclass(frozen=True, slots=True)
class Binding:
    """Declared roles on one resource. `type` is cluster, project or repo.

    `exclusive` takes away what is not declared, but from Pachyderm's own principals.
    """

    type: str
    project: str
    name: str
    roles: Roles
    state: str = "present"
    exclusive: bool = False
    where: str = ""

    @property
    def resource(self) -> str:
        """The name by which pachd knows the resource."""
        return {"cluster": "", "project": self.name, "repo": f"{self.project}/{self.name}"}[self.type]

    @property
    def label(self) -> str:
        return f"{self.type} {self.resource}".strip()


@dataclass(frozen=True, slots=True)
class Write:
    """All roles that a principal is to have; none takes it out."""

    binding: Binding
    principal: str
    roles: tuple[str, ...]


def plan_bindings(
    declared: Sequence[Binding], actual: Mapping[str, Roles], missing: Collection[str], check: bool
) -> Plan:
    """`actual` has the roles on each resource by its label; `missing` are labels of what does not exist.

    Grants come first, so that whoever runs this does not lose rights that it still needs. In check mode a
    missing resource is a warning: an earlier task may be about to create it. Raises PachydermError.
    """
    problems = [
        f"{b.where}{b.label} does not exist" for b in declared if b.label in missing and b.state == "present"
    ]
    if problems and not check:
        raise PachydermError(f"{first_few(problems)}; create it first")
    writes = [write for binding in declared for write in _writes(binding, actual.get(binding.label, {}))]
    writes.sort(key=lambda write: not write[1])
    actions = [_action(write, before) for write, _binding, before in writes]
    return Plan(tuple(actions), tuple(f"{problem} yet" for problem in problems))


def _writes(binding: Binding, actual: Roles) -> Iterator[tuple[Write, bool, tuple[str, ...]]]:
    """Each write, whether it grants something, and the roles so far."""
    for principal, before in {**dict.fromkeys(binding.roles, ()), **actual}.items():
        wanted = _wanted(binding, principal, before)
        if wanted != before:
            yield Write(binding, principal, wanted), bool(set(wanted) - set(before)), before


def _wanted(binding: Binding, principal: str, before: tuple[str, ...]) -> tuple[str, ...]:
    declared = binding.roles.get(principal)
    if declared is None:
        own = principal.startswith(OWN_PRINCIPALS)
        return () if binding.exclusive and binding.state == "present" and not own else before
    if binding.state == "absent":
        return tuple(role for role in before if declared and role not in declared)
    return declared if binding.exclusive else tuple(sorted({*before, *declared}))


def _action(write: Write, before: tuple[str, ...]) -> Action:
    verb = "delete" if not write.roles else "update" if before else "create"
    return Action(
        verb,
        "role_binding",
        f"{write.principal} on {write.binding.label}",
        {"roles": list(before)} if before else None,
        {"roles": list(write.roles)} if write.roles else None,
        write,
    )


def shown(binding: Binding, actual: Roles, plan: Plan) -> dict[str, Any]:
    """What a result shows of a resource: the roles of everybody on it, once the plan is carried out."""
    roles = {**actual}
    for action in plan.actions:
        write: Write = action.item
        if write.binding.label == binding.label:
            roles[write.principal] = write.roles
    return {
        "type": binding.type,
        "resource": binding.resource,
        "roles": {principal: list(names) for principal, names in sorted(roles.items()) if names},
    }
