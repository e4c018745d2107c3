# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs of PFS 2.12: which paths a pattern matches and what its parentheses capture."""

from __future__ import annotations

import re

from pachd_embedded.pfs import glob_regex, glob_search, path_rule
from pachd_embedded.pfs.glob_syntax import GlobError, parse

__all__ = ["Glob", "GlobError"]

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
        # The pattern is a path, and matches that one alone.
        self.is_literal = self.literal_prefix == self.pattern and "\\" not in self.pattern
        nodes = parse(self.pattern)
        self._matcher = (
            glob_regex.matcher(nodes) if glob_regex.is_quick(nodes) else glob_search.matcher(nodes)
        )

    def match(self, path: str) -> bool:
        """Whether the file or directory at `path` is matched."""
        if path == "/":
            return self.pattern == "/"
        path = path.rstrip("/")
        return path.startswith(self.literal_prefix) and self._matcher(path) is not None

    def captures(self, path: str) -> list[str] | None:
        """What each parenthesis captured, from index 1 (index 0 is the whole path); None: no match.

        A parenthesis that took no part in the match captured "". The root never matches here, as in pachd.
        """
        return self._matcher(path.rstrip("/"))

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
