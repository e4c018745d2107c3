# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs matched in bounded time: for patterns with which a regular expression could run for ever.

The pattern becomes a small program that is tried depth first, the preferred way first, as a regular
expression does. No step is tried twice at one place of the path, since it would fail again: what was
captured has no bearing on what matches. So the time grows with the pattern's length and the square of the
path's (for each negation: times the path's length once more). The captures are those of the regular
expression, except that a parenthesis within a repeated one keeps its last capture where pachd makes one
more, empty pass over it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pachd_embedded.pfs.glob_regex import Matcher, leaf, negation_is_bounded
from pachd_embedded.pfs.glob_syntax import GlobError, Group, Node, Wildcard


@dataclass(frozen=True)
class _Take:
    """Go on behind what the expression matches; it matches in one way only."""

    regex: re.Pattern[str]


@dataclass(frozen=True)
class _Run:
    """Go on behind as many of these characters as possible, or else fewer, down to none."""

    characters: re.Pattern[str]


@dataclass(frozen=True)
class _Try:
    """Go on at the first of these steps that leads to a match."""

    steps: Sequence[int]


@dataclass(frozen=True)
class _Save:
    """Note the place in the path: twice the number of a capture where it starts, one more where it ends."""

    slot: int


@dataclass(frozen=True)
class _Refuse:
    """Go on unless this program matches here."""

    program: Sequence[_Step]


class _Done:
    """A match."""


_Step = _Take | _Run | _Try | _Save | _Refuse | _Done


def matcher(nodes: Sequence[Node]) -> Matcher:
    """Raises GlobError."""
    compiler = _Compiler(negation_is_bounded(nodes))
    program = compiler.program(nodes, to_end=True)

    def captures(path: str) -> list[str] | None:
        saved = _run(program, path, 0)
        if saved is None:
            return None
        ends = [(saved.get(slot, 0), saved.get(slot + 1, 0)) for slot in range(0, 2 * compiler.captures, 2)]
        return [path, *(path[start:end] for start, end in ends)]

    return captures


def _run(program: Sequence[_Step], path: str, start: int) -> dict[int, int] | None:
    """The places that a match of `program` from `start` on saved; None if there is none."""
    untried: list[tuple[int, int, dict[int, int]]] = [(0, start, {})]
    tried: set[tuple[int, int]] = set()
    while untried:
        number, place, saved = untried.pop()
        if (number, place) in tried:
            continue
        tried.add((number, place))
        step = program[number]
        if isinstance(step, _Done):
            return saved
        if isinstance(step, _Try):
            untried.extend((other, place, saved) for other in reversed(step.steps))
            continue
        if isinstance(step, _Run):
            most = _end(step.characters, path, place)
            untried.extend((number + 1, end, saved) for end in range(place, most + 1))
            continue
        if isinstance(step, _Take):
            place = _end(step.regex, path, place)
            if place < 0:
                continue
        elif isinstance(step, _Save):
            saved = {**saved, step.slot: place}
        elif _run(step.program, path, place) is not None:
            continue
        untried.append((number + 1, place, saved))
    return None


def _end(regex: re.Pattern[str], path: str, start: int) -> int:
    """Where the match that begins at `start` ends; -1 without one."""
    found = regex.match(path, start)
    return -1 if found is None else found.end()


class _Compiler:
    """Appends steps to a program. `captures` counts the parentheses seen."""

    def __init__(self, negation_is_bounded: bool) -> None:
        self._negation_is_bounded = negation_is_bounded
        self.captures = 0

    def program(self, nodes: Sequence[Node], *, to_end: bool) -> list[_Step]:
        steps: list[_Step] = []
        self._sequence(nodes, steps)
        if to_end:
            steps.append(_Take(re.compile(r"\Z")))
        steps.append(_Done())
        return steps

    def _sequence(self, nodes: Sequence[Node], steps: list[_Step]) -> None:
        for node in nodes:
            if isinstance(node, Group):
                self._group(node, steps)
            elif node in (Wildcard.STAR, Wildcard.SUPER):
                steps.append(_Run(re.compile(leaf(node))))
            else:
                steps.append(_Take(re.compile(leaf(node))))

    def _group(self, group: Group, steps: list[_Step]) -> None:
        if group.quantifier == "":
            self._alternatives(group, steps)
            return
        slot = 2 * self.captures
        self.captures += 1
        steps.append(_Save(slot))
        self._quantified(group, steps)
        steps.append(_Save(slot + 1))

    def _quantified(self, group: Group, steps: list[_Step]) -> None:
        here = len(steps)
        match group.quantifier:
            case "@":
                self._alternatives(group, steps)
            case "?" | "*":
                steps.append(_Done())
                self._alternatives(group, steps)
                if group.quantifier == "*":
                    steps.append(_Try((here,)))
                steps[here] = _Try((here + 1, len(steps)))
            case "+":
                self._alternatives(group, steps)
                steps.append(_Try((here, len(steps) + 1)))
            case "!":
                to_end = not self._negation_is_bounded
                steps += [_Refuse(self.program(each, to_end=to_end)) for each in group.alternatives]
                steps.append(_Run(re.compile(leaf(Wildcard.STAR))))
            case _:
                raise GlobError(f"unimplemented quatifier {group.quantifier}")

    def _alternatives(self, group: Group, steps: list[_Step]) -> None:
        here = len(steps)
        steps.append(_Done())
        starts, ends = [], []
        for alternative in group.alternatives:
            starts.append(len(steps))
            self._sequence(alternative, steps)
            ends.append(len(steps))
            steps.append(_Done())
        steps[here] = _Try(starts)
        for end in ends:
            steps[end] = _Try((len(steps),))
