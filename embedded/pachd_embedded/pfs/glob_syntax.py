# SPDX-License-Identifier: GPL-3.0-or-later
"""The glob language of PFS 2.12: from a pattern's text to a tree.

Some of its habits surprise, and are kept since users' pipelines depend on them:
- a brace or parenthesis that is never closed ends with the pattern;
- inside braces "|" and ")" are text (so "{@(a|b),c}" is not what it seems), unless they follow another
  globbing character at once;
- one of "@!^+" without "(" starts text that only "?*[{(" ends, not even "," or "}";
- a class that is empty is refused;
- a class takes the first "!" or "^" at any place as its negation, and matches "/" if it is negated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class GlobError(Exception):
    """A pattern that PFS refuses; the text is pachd's, or shorter where that quotes its inner workings."""


class Wildcard(Enum):
    """What stands for any characters: one but "/", a run without "/", a run with them."""

    SINGLE = "?"
    STAR = "*"
    SUPER = "**"


@dataclass(frozen=True)
class Text:
    """Characters that stand for themselves; never empty."""

    text: str


@dataclass(frozen=True)
class CharacterClass:
    """One character in (or, negated, outside) some ranges, each with its two ends."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """Alternatives. Quantifier "" is a brace; "@", "*", "+", "?" and "!" are parentheses, which capture."""

    quantifier: str
    alternatives: list[list[Node]] = field(default_factory=lambda: [[]])


Node = Wildcard | Text | CharacterClass | Group


class _Mark(Enum):
    SEPARATOR = ","
    CLOSE = ")"


# Groups within groups. What matches goes down into them by recursion, of which Python has only so much.
_MAX_DEPTH = 50

_QUANTIFIERS = "@!^+?*"
_ALWAYS_BREAK = "?*[{("
_BREAK = _ALWAYS_BREAK + "@!^+"

_POSIX_CLASSES = {
    ":alnum:": "0-9A-Za-z",
    ":alpha:": "A-Za-z",
    ":ascii:": "\x00-\x7f",
    ":blank:": "\t ",
    ":cntrl:": "\x00-\x1f\x7f",
    ":digit:": "0-9",
    ":graph:": "!-~",
    ":lower:": "a-z",
    ":print:": " -~",
    ":punct:": "!-/:-@[-`{-~",
    ":space:": "\t\n\v\f\r ",
    ":upper:": "A-Z",
    ":word:": "0-9A-Za-z_",
    ":xdigit:": "0-9A-Fa-f",
}


def parse(pattern: str) -> list[Node]:
    """The nodes of a pattern, in order. Raises GlobError."""
    top: list[Node] = []
    current = top
    stack: list[tuple[Group, list[Node]]] = []
    for token in _tokens(pattern):
        if token is _Mark.SEPARATOR:
            current = []
            stack[-1][0].alternatives.append(current)
        elif token is _Mark.CLOSE:
            current = stack.pop()[1]
        else:
            current.append(token)
            if isinstance(token, Group):
                if len(stack) == _MAX_DEPTH:
                    raise GlobError("error parsing regexp: expression nests too deeply")
                stack.append((token, current))
                current = token.alternatives[0]
    return top


def _tokens(pattern: str) -> Iterator[Node | _Mark]:
    """Nodes and marks in the order of the text. A Group is yielded where it opens, empty.

    Braces and parentheses are counted apart, and either's mark closes or separates what was opened last.
    """
    position = braces = parentheses = 0
    while position < len(pattern):
        here, following = pattern[position], pattern[position + 1 : position + 2]
        position += 1
        if here in _QUANTIFIERS and following == "(":
            position += 1
            parentheses += 1
            yield Group(here)
        elif here == "(":
            parentheses += 1
            yield Group("@")
        elif here == "{":
            braces += 1
            yield Group("")
        elif (here == "," and braces) or (here == "|" and parentheses):
            yield _Mark.SEPARATOR
        elif here == "}" and braces:
            braces -= 1
            yield _Mark.CLOSE
        elif here == ")" and parentheses:
            parentheses -= 1
            yield _Mark.CLOSE
        elif here == "[":
            node, position = _character_class(pattern, position)
            yield node
        elif here == "?":
            yield Wildcard.SINGLE
        elif here == "*" and following == "*" and pattern[position + 1 : position + 2] != "(":
            position += 1
            yield Wildcard.SUPER
        elif here == "*":
            yield Wildcard.STAR
        else:
            breakers = _breakers(here, in_braces=braces > 0, in_parentheses=parentheses > 0)
            text, position = _text(pattern, position - 1, breakers)
            if text:
                yield Text(text)


def _breakers(first: str, *, in_braces: bool, in_parentheses: bool) -> str:
    if first in "@!^+":
        return _ALWAYS_BREAK
    if in_braces:
        return _BREAK + "},"
    return _BREAK + ")|" if in_parentheses else _BREAK


def _text(pattern: str, position: int, breakers: str) -> tuple[str, int]:
    """The text from `position` to the next of `breakers`, its escapes resolved, and where it ends."""
    characters = []
    while position < len(pattern) and pattern[position] not in breakers:
        if pattern[position] == "\\":
            position += 1
        characters.append(pattern[position : position + 1])
        position += 1
    return "".join(characters), position


def _character_class(pattern: str, position: int) -> tuple[CharacterClass, int]:
    """The class whose "[" is just before `position`, and where it ends. Raises GlobError."""
    characters: list[str] = []
    negated = nested = False
    while position < len(pattern):
        here = pattern[position]
        position += 1
        if here == "\\":
            here = pattern[position : position + 1]
            position += 1
        elif here == "]" and not nested:
            return CharacterClass(negated, _ranges("".join(characters))), position
        elif here in "!^" and not negated:
            negated = True
            continue
        elif here in "[]":
            nested = here == "["
        characters.append(here)
    raise GlobError("unexpected end of input")


def _ranges(characters: str) -> tuple[tuple[str, str], ...]:
    """The ranges that a class names, for instance "a-cx" is a to c and x to x. Raises GlobError."""
    for name, members in _POSIX_CLASSES.items():
        characters = characters.replace(name, members)
    if not characters:
        raise GlobError("error parsing regexp: unterminated [] set")
    ranges = []
    position = 0
    while position < len(characters):
        is_range = characters[position + 1 : position + 2] == "-" and position + 2 < len(characters)
        low, high = characters[position], characters[position + 2 if is_range else position]
        if low > high:
            raise GlobError("error parsing regexp: [x-y] range in reverse order")
        ranges.append((low, high))
        position += 3 if is_range else 1
    return tuple(ranges)
