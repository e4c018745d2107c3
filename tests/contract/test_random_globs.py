# SPDX-License-Identifier: GPL-3.0-or-later
"""Random globs in random trees find what a matcher of a few lines, made for nothing else, says they match.

A pattern is drawn as parts and then written down, so no part of the parser is used to check the parser. The
negation, whose habits are odd, is left to the table of what a real pachd answers (test_globs.py).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pachyderm_sdk import Client

from tests.contract.lab import Lab, projects

EXAMPLES = 5 if os.environ.get("PACHD_ADDRESS") else 60
PATTERNS = 8

Part = Any

names = st.text("ab1", min_size=1, max_size=2)
trees = st.lists(st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)), max_size=6)

texts = st.tuples(st.just("text"), st.text("ab1", min_size=1, max_size=2))
wildcards = st.sampled_from([("?",), ("*",), ("**",)])
classes = st.tuples(st.just("class"), st.booleans(), st.sampled_from(["a", "ab", "b1"]))
plain = st.one_of(texts, texts, wildcards, classes)
alternatives = st.lists(st.lists(st.one_of(texts, classes), min_size=1, max_size=2), min_size=1, max_size=2)
groups = st.tuples(st.just("group"), st.sampled_from(["{", "@", "?", "*", "+", ""]), alternatives)
elements = st.lists(st.one_of(plain, plain, groups), min_size=1, max_size=3)
patterns = st.lists(elements, min_size=1, max_size=3)


def written(pattern: list[list[Part]]) -> str:
    """The text of a pattern."""
    return "".join("/" + "".join(map(_text, element)) for element in pattern)


def _text(part: Part) -> str:
    match part:
        case ("text", text):
            return str(text)
        case ("class", negated, characters):
            return f"[{'!' if negated else ''}{characters}]"
        case ("group", "{", choices):
            return "{" + ",".join("".join(map(_text, choice)) for choice in choices) + "}"
        case ("group", quantifier, choices):
            return f"{quantifier}({'|'.join(''.join(map(_text, choice)) for choice in choices)})"
    return str(part[0])


def is_clear(pattern: list[list[Part]]) -> bool:
    """Whether its text reads as it was drawn: two stars are another part, and so is one before a bracket."""
    for part, following in (pair for element in pattern for pair in itertools.pairwise(element)):
        text = _text(following)
        if part[0] in ("?", "*", "**") and (
            text.startswith("(") or (part[0] == "*" and text.startswith("*"))
        ):
            return False
    return True


def matches(pattern: list[list[Part]], path: str) -> bool:
    flat: list[Part] = [piece for element in pattern for piece in (("text", "/"), *element)]
    return len(path) in _ends(flat, path, {0})


def _ends(parts: list[Part], path: str, starts: set[int]) -> set[int]:
    """Where a sequence of parts can end that begins at one of `starts`."""
    for part in parts:
        starts = {end for start in starts for end in _ends_of_one(part, path, start)}
    return starts


def _ends_of_one(part: Part, path: str, start: int) -> set[int]:
    here = path[start : start + 1]
    match part:
        case ("text", text):
            return {start + len(text)} if path.startswith(text, start) else set()
        case ("?",):
            return {start + 1} if here and here != "/" else set()
        case ("*",):
            return {start} | (_ends_of_one(part, path, start + 1) if here and here != "/" else set())
        case ("**",):
            return set(range(start, len(path) + 1))
        case ("class", negated, characters):
            return {start + 1} if here and (here in characters) is not negated else set()
        case ("group", quantifier, choices):
            return _ends_of_group(quantifier, choices, path, start)
    raise AssertionError(part)


def _ends_of_group(quantifier: str, choices: list[list[Part]], path: str, start: int) -> set[int]:
    def once(starts: set[int]) -> set[int]:
        return {end for choice in choices for end in _ends(choice, path, starts)}

    if quantifier in ("{", "@", ""):
        return once({start})
    if quantifier == "?":
        return {start} | once({start})
    reached, new = set[int](), {start}
    while new := once(new) - reached:
        reached |= new
    return reached | {start} if quantifier == "*" else reached


@pytest.fixture(scope="module")
def lab(client: Client) -> Iterator[Lab]:
    with projects(client) as new:
        yield Lab(client, new().name)


@settings(max_examples=EXAMPLES)
@given(tree=trees, drawn=st.lists(patterns.filter(is_clear), min_size=PATTERNS, max_size=PATTERNS))
def test_a_glob_finds_what_it_matches(lab: Lab, tree: list[str], drawn: list[list[list[Part]]]) -> None:
    files = [
        path for path in set(tree) if not any(f"{path}/" in f"{other}/" and path != other for other in tree)
    ]
    above = {path[:at] + "/" for path in files for at in range(1, len(path)) if path[at] == "/"}
    data = lab.data(lab.repo())
    data.put(dict.fromkeys(files, b""))
    for pattern in drawn:
        expected = sorted(path for path in above.union(files) if matches(pattern, path.rstrip("/")))
        assert sorted(data.glob(written(pattern))) == expected, written(pattern)
