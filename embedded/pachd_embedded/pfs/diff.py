# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffFile: the files and directories that differ between two trees, below two paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..store.tree import Root, TreeStore
from .entries import parents, split_key
from .snapshot import FileInfo, Snapshot

Pair = tuple[FileInfo | None, FileInfo | None]


def diff(trees: TreeStore, new: tuple[Root, str], old: tuple[Root, str]) -> Iterator[Pair]:
    """(new, old) for each path whose content differs, in order; None on the side where it does not exist.

    Paths are compared as they are in the commits: two different directories have no path in common.
    """
    new_tree, old_tree = Snapshot(trees, new[0]), Snapshot(trees, old[0])
    if new[1] == old[1]:
        changed = _changed_paths(trees, new[0], old[0], new[1])
        after, before = (_by_path(map(tree.inspect, changed)) for tree in (new_tree, old_tree))
    else:
        after, before = _by_path(new_tree.walk(new[1])), _by_path(old_tree.walk(old[1]))
    for path in sorted(after.keys() | before.keys()):
        pair = after.get(path), before.get(path)
        if pair[0] is None or pair[1] is None or pair[0].hash != pair[1].hash:
            yield pair


def _by_path(infos: Iterable[FileInfo | None]) -> dict[str, FileInfo]:
    return {info.api_path: info for info in infos if info is not None}


def _changed_paths(trees: TreeStore, new: Root, old: Root, top: str) -> set[str]:
    """Files at or below `top` that were written or deleted between the two, and the directories above."""
    changed: set[str] = set()
    for key, _old, _new in trees.diff(old, new):
        path, _datum = split_key(key)
        changed.update(p for p in (path, *parents(path), "/") if top in ("/", p) or p.startswith(f"{top}/"))
    return changed
