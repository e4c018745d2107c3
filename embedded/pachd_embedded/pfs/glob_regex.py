# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs as regular expressions of Python: fast, for the patterns that leave little to try."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from pachd_embedded.pfs.glob_syntax import CharacterClass, GlobError, Group, Node, Text, Wildcard

# Takes a path; what the pattern captured in it, the whole path first, or None.
Matcher = Callable[[str], list[str] | None]

_WILDCARDS = {Wildcard.SINGLE: "[^/]", Wildcard.STAR: "[^/]*", Wildcard.SUPER: ".*"}
# With more the time to find that a long path does not match can grow out of hand.
_MAX_CHOICES = 3


def matcher(nodes: Sequence[Node]) -> Matcher:
    """Raises GlobError."""
    end_of_negation = "" if negation_is_bounded(nodes) else r"\Z"
    regex = re.compile(rf"\A{_sequence(nodes, end_of_negation)}\Z")

    def captures(path: str) -> list[str] | None:
        found = regex.match(path)
        return None if found is None else [found[0], *found.groups("")]

    return captures


def is_quick(nodes: Sequence[Node]) -> bool:
    """Whether Python's backtracking stays quick: no repeated group, and few places with a choice."""
    every = in_order_of_their_ends(nodes)
    if any(isinstance(node, Group) and node.quantifier in ("*", "+") for node in every):
        return False
    return _choices(nodes, last=True) <= _MAX_CHOICES


def _choices(nodes: Sequence[Node], *, last: bool) -> int:
    """How many nodes could match in several ways. `last`: the pattern ends where these nodes do."""
    flat = list(_without_plain_groups(nodes))
    count = 0
    for node, following in zip_longest(flat, flat[1:]):
        if isinstance(node, Group):
            count += 1 + sum(_choices(alternative, last=False) for alternative in node.alternatives)
        elif node is Wildcard.STAR:
            # Before a slash or at the end it has to take all there is.
            stops = following.text[0] == "/" if isinstance(following, Text) else last and following is None
            count += not stops
        elif node is Wildcard.SUPER:
            count += 1
    return count


def _without_plain_groups(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes, with those of groups that only capture in the place of the group."""
    for node in nodes:
        if isinstance(node, Group) and node.quantifier in ("", "@") and len(node.alternatives) == 1:
            yield from _without_plain_groups(node.alternatives[0])
        else:
            yield node


def negation_is_bounded(nodes: Sequence[Node]) -> bool:
    """Whether text or a star follows the negation that ends first.

    If so "!(a)" refuses all that starts with "a", if not only what is "a" to the end of the path.
    """
    seen = False
    for node in in_order_of_their_ends(nodes):
        if isinstance(node, Group) and node.quantifier == "!":
            seen = True
        elif seen and (isinstance(node, Text) or node in (Wildcard.STAR, Wildcard.SUPER)):
            return True
    return False


def in_order_of_their_ends(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, Group):
            for alternative in node.alternatives:
                yield from in_order_of_their_ends(alternative)
        yield node


def _sequence(nodes: Sequence[Node], end_of_negation: str) -> str:
    return "".join(_node(node, end_of_negation) for node in nodes)


def _node(node: Node, end_of_negation: str) -> str:
    return _group(node, end_of_negation) if isinstance(node, Group) else leaf(node)


def leaf(node: Wildcard | Text | CharacterClass) -> str:
    """The regular expression of a node that has no others in it."""
    if isinstance(node, Wildcard):
        return _WILDCARDS[node]
    if isinstance(node, Text):
        return re.escape(node.text)
    ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in node.ranges)
    return f"[{'^' if node.negated else ''}{ranges}]"


def _group(group: Group, end_of_negation: str) -> str:
    alternatives = [_sequence(alternative, end_of_negation) for alternative in group.alternatives]
    match group.quantifier:
        case "":
            return f"(?:{'|'.join(alternatives)})"
        case "@":
            return f"({'|'.join(alternatives)})"
        case "!":
            refused = "|".join(alternative + end_of_negation for alternative in alternatives)
            return f"((?!{refused})[^/]*)"
        case "^":
            raise GlobError("unimplemented quatifier ^")
        case quantifier:
            return f"((?:{'|'.join(alternatives)}){quantifier})"
