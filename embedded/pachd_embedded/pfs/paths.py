# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths in PFS requests: checked and brought to the one form in which they are stored."""

from __future__ import annotations

from pachd_embedded.errors import unknown
from pachd_embedded.pfs import path_rule


def clean_write_path(path: str) -> str:
    """The stored form of a path that a client adds or copies to, for instance "a//b/" is "/a/b".

    Raises PachError (UNKNOWN) with pachd's text for a path that PFS does not store.
    """
    refusal = path_rule.write_refusal(path)
    if refusal is not None:
        raise unknown(refusal)
    return path_rule.clean(path)


def clean_delete_path(path: str) -> str:
    """As clean_write_path, but a trailing slash stays: "/d/" deletes a directory's tree, "/d" a file only."""
    cleaned = clean_write_path(path)
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def clean_read_path(path: str) -> str:
    """The stored form of a path that a client reads: "./a", "//a", "/b/../a" and "a/" are all "/a".

    No path is refused. The root is "/"; a directory comes back without its trailing slash.
    """
    return path_rule.clean(path)
