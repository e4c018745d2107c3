# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running garbage collection must leave alone although nothing refers to it yet."""

from __future__ import annotations

import threading
import weakref


class Guard:
    """Ids that were written but may not be referred to yet, and trees that are being read. Thread-safe.

    A writer holds what it writes until its work is committed. A collection knows what is referred to at
    its start; what is held then, and all that is written later, is fresh and stays until the next one.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._writers: list[set[bytes]] = []
        self._readers: weakref.WeakKeyDictionary[object, bytes] = weakref.WeakKeyDictionary()
        self._fresh: set[bytes] | None = None

    def read(self, reader: object, root: bytes | None) -> None:
        """Keep a tree for as long as `reader` lives, also when its commit is deleted meanwhile."""
        if root is not None:
            with self.lock:
                self._readers[reader] = root

    def enter(self) -> set[bytes]:
        """A new writer: what is added to the answer with `hold` is kept until `leave`."""
        held: set[bytes] = set()
        with self.lock:
            self._writers.append(held)
        return held

    def leave(self, held: set[bytes]) -> None:
        with self.lock:
            self._writers = [writer for writer in self._writers if writer is not held]

    def hold(self, held: set[bytes], digest: bytes) -> None:
        """To be called before the look whether the content is there already."""
        with self.lock:
            held.add(digest)
            if self._fresh is not None:
                self._fresh.add(digest)

    def note(self, digest: bytes) -> None:
        """The same for what is referred to within the transaction that writes it."""
        with self.lock:
            if self._fresh is not None:
                self._fresh.add(digest)

    def start(self) -> list[bytes]:
        """A collection begins; the answer is the trees that are being read.

        The caller lets nobody commit between this and its look at what else is in use.
        """
        with self.lock:
            self._fresh = set().union(*self._writers)
            return list(self._readers.values())

    def end(self) -> None:
        with self.lock:
            self._fresh = None

    def is_fresh(self, digest: bytes) -> bool:
        """For a collection; with `lock` held where the answer must stay true."""
        return self._fresh is not None and digest in self._fresh
