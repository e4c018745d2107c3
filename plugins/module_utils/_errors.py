# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the modules. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from typing import Any


class PachydermError(Exception):
    """What a user reads when a module fails: one line, naming the key or file and what to do.

    `details` are further keys of the failed result (jobs and their logs, for example).
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(one_line(message))
        self.details = details


class LibraryMissingError(PachydermError):
    """A Python library that the module needs cannot be imported; `library` is its name on PyPI."""

    def __init__(self, library: str, reason: str) -> None:
        super().__init__(f"{library} cannot be imported: {reason}")
        self.library = library


class PachdError(PachydermError):
    """An answer of pachd that is an error: `code` is the gRPC status code's name, `text` pachd's own text."""

    def __init__(self, code: str, text: str, message: str | None = None) -> None:
        super().__init__(message or text)
        self.code = code
        self.text = text


def one_line(text: str) -> str:
    """`text` with each run of white space as one space: messages stay readable in a terminal and in a log."""
    return " ".join(text.split())


def first_few(items: list[str], number: int = 5) -> str:
    """At most `number` of `items` for a message, and how many more there are."""
    more = len(items) - number
    return "; ".join(items[:number]) + (f"; and {more} more" if more > 0 else "")
