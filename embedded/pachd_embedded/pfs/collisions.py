# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a finished commit unreadable: a path both file and directory, or written by two datums."""

from __future__ import annotations

from collections.abc import Iterator

from ..store.tree import Root, TreeStore
from .entries import parents, split_key


def find_collision(trees: TreeStore, old: Root, new: Root) -> str:
    """The text of CommitInfo.error, "" when all is well.

    Only what changed since `old` is looked at; pass None to check every file (an ancestor that is
    itself invalid proves nothing).
    """
    checked: set[str] = set()
    for key, _old, value in trees.diff(old, new):
        if value is None:
            continue
        path, _datum = split_key(key)
        owners = [split_key(k)[1] for k, _value in trees.scan_prefix(new, f"{path}\0")]
        if len(owners) > 1:
            named = " and ".join(f"{path} from {owner}" for owner in owners[:2])
            return f"duplicate path output by different datums ({named})"
        for child in _first(trees.scan_prefix(new, f"{path}/")):
            return f"file / directory path collision ({split_key(child)[0]})"
        for parent in parents(path):
            if parent not in checked:
                checked.add(parent)
                if any(_first(trees.scan_prefix(new, f"{parent}\0"))):
                    return f"file / directory path collision ({path})"
    return ""


def _first(entries: Iterator[tuple[str, object]]) -> Iterator[str]:
    for key, _value in entries:
        yield key
        return
