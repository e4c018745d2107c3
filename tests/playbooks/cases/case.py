# SPDX-License-Identifier: GPL-3.0-or-later
"""What a case of an option is: data for tests/playbooks/test_options.py, which runs it step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Brings a state of pachd about; what it returns takes the place of "{name}" in options.
World = Callable[[Any], Mapping[str, str] | None]


@dataclass(frozen=True)
class Left:
    """A step that is left out, and why in words."""

    why: str


@dataclass(frozen=True)
class Step:
    """One run, after its check-mode twin and before its repetition, which changes nothing.

    `value` is the option's, `given` are other options of this step alone. The run reports `changed`, or fails
    with a message that holds `fails`; `sees` is what the case's `look` then gives. `before` is done first;
    check mode does not foresee a failure that is `unforeseen`.
    """

    value: Any = None
    changed: bool = True
    fails: str = ""
    sees: Any = None
    given: Mapping[str, Any] = field(default_factory=dict)
    before: World | None = None
    unforeseen: bool = False


@dataclass(frozen=True)
class Case:
    """An option, named by its path, and its life.

    `given` are the options of all steps. `look` is what a step sees: a JMESPath expression over the result,
    or a function of the lab. `again` says why a second run is not without change, where it is not. Of a
    list's item `inside` is the list's option, and what is named in `beside` stays beside it.
    """

    option: str
    set: Step
    changed: Step
    omitted: Step | Left
    absent: Step | Left | None = None
    again: Left | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    world: World | None = None
    look: str | Callable[[Any], Any] = ""
    secret: bool = False
    inside: str = ""
    beside: tuple[str, ...] = ()

    @property
    def steps(self) -> dict[str, Step | Left]:
        assert self.absent is not None
        return {"set": self.set, "changed": self.changed, "omitted": self.omitted, "absent": self.absent}

    def options(self, name: str) -> dict[str, Any]:
        """The module's options at step `name`."""
        step = self.steps[name]
        assert isinstance(step, Step)
        given: dict[str, Any] = copy.deepcopy(dict(self.given))
        value = step.value
        if name == "absent" and value is None:
            value = self.changed.value
        if name != "omitted" and value is not None:
            _place(given, self.option.removeprefix(f"{self.inside}."), value)
        given.update(copy.deepcopy(dict(step.given)))
        if not self.inside:
            return given
        outer = {key: given.pop(key) for key in self.beside if key in given}
        return {self.inside: [given], **outer}


def _place(options: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        options = options.setdefault(name, {})
    options[last] = value


@dataclass(frozen=True)
class Table:
    """The cases of one module, and what is the same for all of them.

    `varies` are keys of the result that check mode cannot know. `settings` are those of the embedded pachd,
    made in a directory; `common` are options of each run, also of those that make the world.
    """

    module: str
    cases: Sequence[Case]
    world: World | None = None
    absent: Step | Left = Step(given={"state": "absent"})
    look: str | Callable[[Any], Any] = ""
    varies: tuple[str, ...] = ()
    settings: Callable[[Path], Mapping[str, Any]] = lambda _: {}
    common: Mapping[str, Any] = field(default_factory=dict)

    def complete(self) -> list[Case]:
        return [
            replace(
                case,
                absent=case.absent or self.absent,
                world=case.world or self.world,
                look=case.look or self.look,
            )
            for case in self.cases
        ]


def listed(option: str, cases: Sequence[Case], beside: Sequence[str] = (), **other: Any) -> list[Case]:
    """The same cases of the only item of list `option`; `other` replaces fields of cases, by option."""
    return [
        replace(
            case,
            option=f"{option}.{case.option}",
            inside=option,
            beside=tuple(beside),
            **other.get(case.option, {}),
        )
        for case in cases
        if case.option not in beside
    ]


NAMED = Step(fails="one of the following is required: ")
MISSING = Step(fails="missing required arguments: ")
ACTION = Left("an action has no state to take away")
READS = Left("it reads, and has nothing to take away")
