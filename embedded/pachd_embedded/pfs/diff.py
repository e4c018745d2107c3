# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffFile: the files and directories that differ between two trees, below two paths."""

from __future__ import annotations

from collections.abc import Iterator

from ..store.tree import Root, TreeStore
from .entries import parents, split_key
from .snapshot import FileInfo, Snapshot

Pair = tuple[FileInfo | None, FileInfo | None]


def diff(trees: TreeStore, new: tuple[Root, str], old: tuple[Root, str], shallow: bool) -> Iterator[Pair]:
    """(new, old) for each path that differs, in order; None on the side where it does not exist.

    `shallow` looks at the direct children only (a directory that differs is one pair).
    """
    new_tree, old_tree = Snapshot(trees, new[0]), Snapshot(trees, old[0])
    if new[1] == old[1] and not shallow:
        for path in _changed_paths(trees, new[0], old[0], new[1]):
            yield new_tree.inspect(path), old_tree.inspect(path)
        return
    read = Snapshot.children if shallow else Snapshot.walk
    after = {_below(info.path, new[1]): info for info in read(new_tree, new[1])}
    before = {_below(info.path, old[1]): info for info in read(old_tree, old[1])}
    for name in sorted(after.keys() | before.keys()):
        pair = after.get(name), before.get(name)
        if pair[0] is None or pair[1] is None or pair[0].hash != pair[1].hash:
            yield pair


def _changed_paths(trees: TreeStore, new: Root, old: Root, top: str) -> list[str]:
    """Files that changed below `top`, and the directories above them."""
    changed: set[str] = set()
    for key, _, _ in trees.diff(old, new):
        path, _ = split_key(key)
        if top in ("/", path) or path.startswith(f"{top}/"):
            changed.add(path)
            changed.update(p for p in (*parents(path), "/") if top in ("/", p) or p.startswith(f"{top}/"))
    return sorted(changed, key=lambda path: path.replace("/", "\0"))


def _below(path: str, top: str) -> str:
    return path[len(top.rstrip("/")) :]
