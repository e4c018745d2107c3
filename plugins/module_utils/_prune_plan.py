# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab made and declares no more. Pure. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ._plan import Action, Plan

Key = tuple[str, str]  # (kind, name): ("repo", "default/data"), ("branch", "default/data@master")

CREATED, DECLARED, ANNOUNCED = "created", "declared", "announced"
# It is always there, and its metadata everybody may write; so it bears the notes of what is not there yet.
HOME: Key = ("project", "default")


@dataclass(frozen=True, slots=True)
class Thing:
    """A project, repo, branch or pipeline that there is.

    `marks` maps a lab to what it left there. Each of `readers` needs the thing, and goes with any of the
    things in it. `has_data`: it holds commits that somebody wrote.
    """

    marks: Mapping[str, str] = field(default_factory=dict)
    readers: tuple[frozenset[Key], ...] = ()
    has_data: bool = False


@dataclass(frozen=True, slots=True)
class Lab:
    """What a run of the lab declares, what of that it created, and whether the rest goes, also with data.

    With `announce`, the run is yet to come.
    """

    name: str
    declared: frozenset[Key]
    created: frozenset[Key]
    prune: bool = False
    data: bool = False
    announce: bool = False


def plan_announcement(lab: Lab, actual: Mapping[Key, Thing], announced: Collection[Key]) -> Plan:
    """Notes of what is declared and not there, for a run that is about to make it.

    What is `announced` already, and bears no mark by now, an earlier run made that was killed.
    """
    marks = [
        _mark(key, None, CREATED, announced)
        for key in sorted(announced)
        if key in actual and lab.name not in actual[key].marks
    ]
    missing = lab.declared - set(actual) if HOME in actual else set()
    notes = [Action("announce", *key, _shown(None), _shown(ANNOUNCED)) for key in sorted(missing)]
    kept = missing & set(announced)
    new = [note for note in notes if (note.kind, note.name) not in kept]
    return Plan((*marks, *_withdrawals({*announced} - kept, marks), *new))


def plan_prune(lab: Lab, actual: Mapping[Key, Thing], announced: Collection[Key] = ()) -> Plan:
    """Marks for what is declared; with `prune` the end of what this lab, and no other, made and dropped."""
    marks = [_mark(key, had, word, announced) for key, had, word in _marks(lab, actual)]
    marks += _withdrawals(announced, marks)
    if not lab.prune:
        return Plan(tuple(marks))
    dropped = {
        key: thing for key, thing in actual.items() if lab.name in thing.marks and key not in lab.declared
    }
    mine = {key for key, thing in dropped.items() if dict(thing.marks) == {lab.name: CREATED}}
    released = [
        Action("release", kind, name, _shown(thing.marks[lab.name]), _shown(None))
        for (kind, name), thing in sorted(dropped.items())
        if (kind, name) not in mine
    ]
    going, warnings = _going(lab, mine, actual)
    deletes = [Action("delete", *key, {"lab": lab.name}, None) for key in _readers_first(going, actual)]
    return Plan((*marks, *released, *deletes), tuple(warnings))


def _mark(key: Key, had: str | None, word: str, announced: Collection[Key]) -> Action:
    shown = ANNOUNCED if had is None and key in announced else had
    return Action("mark", *key, _shown(shown), _shown(word), word)


def _withdrawals(announced: Collection[Key], marks: Collection[Action]) -> list[Action]:
    """A mark takes the place of a note; the other notes have had their time."""
    marked = {(mark.kind, mark.name) for mark in marks if mark.before == _shown(ANNOUNCED)}
    return [
        Action("withdraw", *key, _shown(ANNOUNCED), _shown(None)) for key in sorted({*announced} - marked)
    ]


def _marks(lab: Lab, actual: Mapping[Key, Thing]) -> Iterator[tuple[Key, str | None, str]]:
    for key in sorted(lab.declared):
        had = actual[key].marks.get(lab.name) if key in actual else None
        word = CREATED if key in lab.created else had or DECLARED
        # In check mode, what would be created is not there yet; anything else that is missing is not marked.
        if had != word and (key in actual or key in lab.created):
            yield key, had, word


def _going(lab: Lab, mine: set[Key], actual: Mapping[Key, Thing]) -> tuple[set[Key], list[str]]:
    """What of `mine` goes, and a text for each that has to stay."""
    going, warnings = set(mine), []
    while True:
        staying = {key: why for key in sorted(going) if (why := _why_it_stays(lab, key, going, actual))}
        warnings += [
            f"{kind} {name} is no longer declared, but {why}" for (kind, name), why in staying.items()
        ]
        if not staying:
            return going, warnings
        going -= set(staying)


def _why_it_stays(lab: Lab, key: Key, going: Collection[Key], actual: Mapping[Key, Thing]) -> str:
    thing = actual[key]
    if thing.has_data and not lab.data:
        return "it holds data; it stays"
    left = sorted({max(reader) for reader in thing.readers if not reader & set(going)})
    if left:
        return f"{', '.join(f'{kind} {name}' for kind, name in left)} needs it; it stays"
    others = [
        name
        for (kind, name), branch in sorted(actual.items())
        if kind == "branch" and _home(name) == key[1] and set(branch.marks) - {lab.name}
    ]
    if others:
        return f"branch {', '.join(others)} in it is another lab's; it stays"
    return ""


def _readers_first(going: set[Key], actual: Mapping[Key, Thing]) -> list[Key]:
    # A branch goes with its repo, and that with its pipeline.
    homes = {name for kind, name in going if kind in ("repo", "pipeline")}
    left = {key for key in going if key[0] != "branch" or _home(key[1]) not in homes}
    order: list[Key] = []
    while left:
        free = sorted(key for key in left if not any(reader & left for reader in actual[key].readers))
        # pachd lets no circle come about.
        order += free or sorted(left)
        left -= set(order)
    return order


def _home(branch: str) -> str:
    """The name of the repo that a branch is in."""
    return branch.partition("@")[0]


def _shown(mark: str | None) -> dict[str, str | None]:
    return {"mark": mark}
