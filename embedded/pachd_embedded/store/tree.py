# SPDX-License-Identifier: GPL-3.0-or-later
"""A persistent sorted map, kept in SQLite: the files of a commit, the datums of a job.

A tree is a B+ tree whose nodes never change and are named by the hash of their content. A new version
shares every node that an edit did not touch: adding one entry to 100,000 writes three nodes of at most
128 entries, and comparing two versions skips what they share. `None` is the empty tree.
"""

from __future__ import annotations

import hashlib
import json
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .db import Database

MAX_ENTRIES = 128
CACHED_NODES = 4096

Root = bytes | None
Value = Any
Entry = tuple[str, Value]


@dataclass(frozen=True, slots=True)
class _Ref:
    """A child: its first key, its id, its number of entries (small neighbours are joined), its weight."""

    first: str
    id: bytes
    entries: int
    weight: int


@dataclass(frozen=True, slots=True)
class _Node:
    keys: list[str]
    values: list[Value]  # of a leaf
    children: list[_Ref]  # of an inner node


def node_id(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=20).digest()


def parse_node(data: bytes) -> tuple[list[bytes], list[Entry]]:
    """What a node consists of: the ids of its children, or its entries when it is a leaf."""
    content = json.loads(data)
    children = [bytes.fromhex(child[1]) for child in content.get("c", [])]
    return children, list(zip(content.get("k", []), content.get("v", []), strict=True))


class TreeStore:
    """Keys are strings in code point order; values are anything JSON can hold. Thread-safe.

    `weigh` gives each value a number whose sum is kept with the nodes, so that `weight` of a whole tree
    reads one node.
    """

    def __init__(self, db: Database, weigh: Callable[[Value], int]) -> None:
        self._db = db
        self._weigh = weigh
        self._cache: dict[bytes, _Node] = {}
        self._cache_lock = threading.Lock()

    def get(self, root: Root, key: str) -> Value | None:
        if root is None:
            return None
        node = self._load(root)
        while node.children:
            node = self._load(node.children[max(0, bisect_right(node.keys, key) - 1)].id)
        at = bisect_left(node.keys, key)
        return node.values[at] if at < len(node.keys) and node.keys[at] == key else None

    def weight(self, root: Root) -> int:
        """The sum of what the values weigh."""
        if root is None:
            return 0
        node = self._load(root)
        return sum(ref.weight for ref in node.children) + sum(map(self._weigh, node.values))

    def scan(self, root: Root, start: str = "") -> Iterator[Entry]:
        """Entries with key >= `start`, in order. Nodes are read as they are reached."""
        if root is None:
            return
        node = self._load(root)
        if node.children:
            for child in node.children[max(0, bisect_right(node.keys, start) - 1) :]:
                yield from self.scan(child.id, start)
        else:
            at = bisect_left(node.keys, start)
            yield from zip(node.keys[at:], node.values[at:], strict=True)

    def scan_prefix(self, root: Root, prefix: str) -> Iterator[Entry]:
        for key, value in self.scan(root, prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def apply(self, root: Root, edits: Mapping[str, Value | None]) -> Root:
        """A tree with `edits` laid over `root`; the value None removes a key.

        To be called within the transaction that makes something refer to the new tree.
        """
        if not edits:
            return root
        refs = self._edit(root, sorted(edits.items()))
        while len(refs) > 1:
            refs = [self._store_inner(part) for part in _split(refs)]
        if not refs:
            return None
        top = refs[0].id
        while len(children := self._load(top).children) == 1:
            top = children[0].id
        return top

    def diff(self, old: Root, new: Root) -> Iterator[tuple[str, Value | None, Value | None]]:
        """(key, old value, new value) for each key whose value differs, in order of the keys."""
        before, after = _Cursor(self, old), _Cursor(self, new)
        while before.key is not None or after.key is not None:
            if before.key == after.key and before.child == after.child and before.child is not None:
                before.step()
                after.step()
                continue
            ahead = _first(before, after)
            if any(cursor.child is not None for cursor in ahead):
                for cursor in ahead:
                    cursor.enter()
                continue
            key = ahead[0].key or ""
            old_value = before.value if before in ahead else None
            new_value = after.value if after in ahead else None
            for cursor in ahead:
                cursor.step()
            if old_value != new_value:
                yield key, old_value, new_value

    def _edit(self, node_id: Root, edits: list[Entry]) -> list[_Ref]:
        if node_id is None:
            return self._store_leaves([(key, value) for key, value in edits if value is not None])
        node = self._load(node_id)
        if not node.children:
            merged = dict(zip(node.keys, node.values, strict=True))
            merged.update(edits)
            return self._store_leaves(sorted((k, v) for k, v in merged.items() if v is not None))
        refs: list[_Ref] = []
        done = 0
        for index, child in enumerate(node.children):
            last = index + 1 == len(node.children)
            upto = len(edits) if last else bisect_left(edits, node.keys[index + 1], done, key=lambda e: e[0])
            refs += self._edit(child.id, edits[done:upto]) if upto > done else [child]
            done = upto
        refs = self._join_small(refs)
        return [self._store_inner(part) for part in _split(refs)]

    def _join_small(self, refs: list[_Ref]) -> list[_Ref]:
        """Neighbours that deletions left small become one, so that the tree shrinks with its content."""
        joined: list[_Ref] = []
        for ref in refs:
            if joined and joined[-1].entries + ref.entries <= MAX_ENTRIES // 2:
                left, right = self._load(joined[-1].id), self._load(ref.id)
                if left.children:
                    joined[-1] = self._store_inner(left.children + right.children)
                else:
                    keys, values = left.keys + right.keys, left.values + right.values
                    joined[-1] = self._store_leaves(list(zip(keys, values, strict=True)))[0]
            else:
                joined.append(ref)
        return joined

    def _store_leaves(self, entries: list[Entry]) -> list[_Ref]:
        return [
            self._store(
                part[0][0],
                len(part),
                sum(self._weigh(value) for _key, value in part),
                {"k": [key for key, _value in part], "v": [value for _key, value in part]},
            )
            for part in _split(entries)
        ]

    def _store_inner(self, refs: list[_Ref]) -> _Ref:
        children = [[ref.first, ref.id.hex(), ref.entries, ref.weight] for ref in refs]
        weight = sum(ref.weight for ref in refs)
        return self._store(refs[0].first, len(refs), weight, {"c": children})

    def _store(self, first: str, entries: int, weight: int, content: object) -> _Ref:
        data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        digest = node_id(data)
        self._db.guard.note(digest)
        self._db.execute("INSERT OR IGNORE INTO node VALUES (?, ?)", digest, data)
        return _Ref(first, digest, entries, weight)

    def _load(self, node_id: bytes) -> _Node:
        with self._cache_lock:
            node = self._cache.get(node_id)
        if node is None:
            row = self._db.row("SELECT data FROM node WHERE id = ?", node_id)
            if row is None:
                raise LookupError(f"tree node {node_id.hex()} is missing from the database")
            content = json.loads(row["data"])
            children = [_Ref(first, bytes.fromhex(name), n, w) for first, name, n, w in content.get("c", [])]
            keys = [child.first for child in children] or content["k"]
            node = _Node(keys, content.get("v", []), children)
            with self._cache_lock:
                if len(self._cache) >= CACHED_NODES:
                    self._cache.clear()
                self._cache[node_id] = node
        return node


class _Cursor:
    """A position in a tree: at an entry, or at a node whose content it has not looked at yet."""

    def __init__(self, trees: TreeStore, root: Root) -> None:
        self._trees = trees
        # Nodes from the root on, each with the index of the entry or child that is next.
        self._path: list[tuple[_Node, int]] = []
        if root is not None:
            self._path.append((trees._load(root), 0))

    @property
    def key(self) -> str | None:
        """Of the entry, or the first one in the node; None at the end."""
        if not self._path:
            return None
        node, index = self._path[-1]
        return node.keys[index]

    @property
    def child(self) -> bytes | None:
        """The id of the node that this stands at, None at an entry."""
        if not self._path:
            return None
        node, index = self._path[-1]
        return node.children[index].id if node.children else None

    @property
    def value(self) -> Value:
        node, index = self._path[-1]
        return node.values[index]

    def enter(self) -> None:
        """From a node to the first of what is in it; an entry stays where it is."""
        if self.child is not None:
            self._path.append((self._trees._load(self.child), 0))

    def step(self) -> None:
        """Past the entry, or past the node with all that is in it."""
        while self._path:
            node, index = self._path.pop()
            if index + 1 < len(node.keys):
                self._path.append((node, index + 1))
                return


def _first(one: _Cursor, other: _Cursor) -> list[_Cursor]:
    """The cursor with the smaller key, or both when they are equal. At most one of them is at its end."""
    if one.key == other.key:
        return [one, other]
    if other.key is None or (one.key is not None and one.key < other.key):
        return [one]
    return [other]


def _split(items: list[Any]) -> Iterable[list[Any]]:
    """Parts of at most MAX_ENTRIES, of equal size, so that a full node leaves room in both halves."""
    parts = -(-len(items) // MAX_ENTRIES)
    for n in range(parts):
        yield items[n * len(items) // parts : (n + 1) * len(items) // parts]
