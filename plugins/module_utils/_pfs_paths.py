# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that PFS takes, in one place for the modules and for the embedded pachd.

PRIVATE to the collection: may change at any time.
Pure functions on text, no I/O. The rules and texts are those of pachd 2.12.
"""

from __future__ import annotations

import posixpath
import re

# pachd reads each of these as the start of a glob, so no stored path may contain one.
GLOB_CHARACTERS = "*?[]{}!()@+^"

# What most paths are like, all in one look: there may be very many of them.
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")
_PRINTABLE_ASCII = re.compile(r"[ -~]+")
_GLOB_CHARACTER = re.compile(f"[{re.escape(GLOB_CHARACTERS)}]")


def write_refusal(path: str) -> str | None:
    """Why pachd refuses to write (or delete) at `path`, in its own words; None if it takes the path."""
    if _PLAIN.fullmatch(path):
        return None
    if not _PRINTABLE_ASCII.fullmatch(path):
        return f"path ({path}) invalid: only printable ASCII characters allowed"
    if found := _GLOB_CHARACTER.search(path):
        return f"path ({path}) invalid: globbing character ({found[0]}) not allowed in path"
    if any(element in (".", "..") for element in path.split("/")):
        return f"path ({path}) invalid: relative file paths are not allowed"
    return None


def clean(path: str) -> str:
    """`path` as PFS keeps it: one leading slash, no trailing one, no empty, "." or ".." elements.

    "" and "/" are the root, "/". A ".." that leads above a relative path's start stays, as in pachd.
    """
    normal = posixpath.normpath(path)
    return "/" if normal == "." else "/" + normal.strip("/")


def literal_prefix(pattern: str) -> str:
    """The part of a glob pattern before its first globbing character; escapes are left as they are."""
    found = _GLOB_CHARACTER.search(pattern)
    return pattern[: found.start()] if found else pattern
