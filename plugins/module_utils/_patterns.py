# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths of a tree count. Pure: no I/O. PRIVATE to the collection: it may change at any time.

Patterns are read as rsync and git read them: one without a slash is a name at any depth, one with a slash
starts at the top of the tree, one that ends with a slash is a directory. What is in a directory that matches
matches too. `*`, `?` and `[...]` stay within a name, `**` does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ._errors import PachydermError


@dataclass(frozen=True, slots=True)
class Patterns:
    """Paths to keep: those that an include matches (None: all), without those that an exclude matches."""

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, include: Sequence[str] | None, exclude: Sequence[str] | None, prefix: str) -> Patterns:
        """Raises PachydermError, naming the option, which `prefix` comes before."""
        return cls(
            None if include is None else _compiled(include, f"{prefix}include"),
            _compiled(exclude, f"{prefix}exclude") if exclude else None,
        )

    def __bool__(self) -> bool:
        return not (self.include is None and self.exclude is None)

    def keep(self, path: str) -> bool:
        """Whether the file at `path`, relative to the top, counts."""
        return not self._excluded(path) and (self.include is None or bool(self.include.fullmatch(path)))

    def enter(self, directory: str) -> bool:
        """Whether something below `directory`, relative to the top, may count."""
        return not self._excluded(f"{directory}/")

    def _excluded(self, path: str) -> bool:
        return self.exclude is not None and bool(self.exclude.fullmatch(path))


ALL = Patterns()


def _compiled(patterns: Sequence[str], option: str) -> re.Pattern[str]:
    parts = []
    for index, pattern in enumerate(patterns):
        if not pattern.strip("/"):
            raise PachydermError(f"{option}[{index}]: {pattern!r} names nothing; give a name or a path")
        try:
            re.compile(part := _regex(pattern))
        except re.error as error:
            raise PachydermError(f"{option}[{index}]: {pattern}: {error}") from error
        parts.append(part)
    # No pattern at all matches nothing.
    return re.compile("|".join(parts) or "(?!)", re.DOTALL)


def _regex(pattern: str) -> str:
    """A regular expression of the files that match and of those in directories that do."""
    core = pattern.strip("/")
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    tokens = re.findall(r"\*\*/|\*\*|\[!?\]?[^\]/]*\]|.", core, re.DOTALL)
    return anywhere + "".join(map(_token, tokens)) + below


def _token(token: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in known:
        return known[token]
    if len(token) > 1:
        inner = token[1:-1].replace("\\", "\\\\")
        return f"(?!/)[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(token)
