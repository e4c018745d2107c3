# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs of PFS 2.12: which paths a pattern matches and what its parentheses capture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pachd_embedded.pfs import path_rule
from pachd_embedded.pfs.glob_syntax import CharacterClass, GlobError, Group, Node, Text, Wildcard, parse

__all__ = ["Glob", "GlobError"]

_WILDCARDS = {Wildcard.SINGLE: "[^/]", Wildcard.STAR: "[^/]*", Wildcard.SUPER: ".*"}
_REFERENCE = re.compile(r"\$(?:(\$)|([0-9]+)|\{([0-9]+)\})")


class Glob:
    """A pattern, compiled. Raises GlobError where pachd refuses the pattern.

    The pattern is first cleaned as a path is, so "a", "/a/" and "//a" are all "/a", and "" is "/".
    Paths are passed as "/a/b", directories without (or with) a trailing slash, the root as "/".
    The root is matched by the pattern "/" alone.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = path_rule.clean(pattern)
        # Everything before the first globbing character: each path that matches starts with it.
        # A backslash in it is not resolved, in pachd neither, so such a pattern matches nothing.
        self.literal_prefix = path_rule.literal_prefix(self.pattern)
        # The pattern has no globbing character: it matches the path that it is, or nothing.
        self.is_literal = self.literal_prefix == self.pattern
        self._regex = re.compile(_regex(parse(self.pattern)))

    def match(self, path: str) -> bool:
        """Whether the file or directory at `path` is matched."""
        if path == "/":
            return self.pattern == "/"
        path = path.rstrip("/")
        return path.startswith(self.literal_prefix) and self._regex.match(path) is not None

    def captures(self, path: str) -> list[str] | None:
        """What each parenthesis captured, from index 1 (index 0 is the whole path); None: no match.

        A parenthesis that took no part in the match captured "". The root never matches here, as in pachd.
        """
        found = self._regex.match(path.rstrip("/"))
        return None if found is None else [found[0], *found.groups("")]

    def replace(self, path: str, template: str) -> str:
        """`template` with "$1" or "${1}" replaced by what the first parenthesis captured, and so on.

        "$$" is a dollar sign. A number without a parenthesis, or any number when the path does not match,
        gives "".
        """
        captures = self.captures(path) or []

        def value(reference: re.Match[str]) -> str:
            if reference[1]:
                return "$"
            number = int(reference[2] or reference[3])
            return captures[number] if number < len(captures) else ""

        return _REFERENCE.sub(value, template)


def _regex(nodes: Sequence[Node]) -> str:
    """The whole pattern as a regular expression of Python."""
    end_of_negation = "" if _negation_is_bounded(nodes) else r"\Z"
    return rf"\A{_sequence(nodes, end_of_negation)}\Z"


def _negation_is_bounded(nodes: Sequence[Node]) -> bool:
    """Whether text or a star follows the negation that ends first.

    If so "!(a)" refuses all that starts with "a", if not only what is "a" to the end of the path.
    """
    seen = False
    for node in _in_order_of_their_ends(nodes):
        if isinstance(node, Group) and node.quantifier == "!":
            seen = True
        elif seen and (isinstance(node, Text) or node in (Wildcard.STAR, Wildcard.SUPER)):
            return True
    return False


def _in_order_of_their_ends(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, Group):
            for alternative in node.alternatives:
                yield from _in_order_of_their_ends(alternative)
        yield node


def _sequence(nodes: Sequence[Node], end_of_negation: str) -> str:
    return "".join(_node(node, end_of_negation) for node in nodes)


def _node(node: Node, end_of_negation: str) -> str:
    if isinstance(node, Wildcard):
        return _WILDCARDS[node]
    if isinstance(node, Text):
        return re.escape(node.text)
    if isinstance(node, CharacterClass):
        ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in node.ranges)
        return f"[{'^' if node.negated else ''}{ranges}]"
    return _group(node, end_of_negation)


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
