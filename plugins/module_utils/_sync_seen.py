# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commit a tree was found in. PRIVATE to the collection: it may change at any time.

A finished commit never changes, and whether a sync has anything to do follows from the sync, what the commit
holds, and the paths, sizes and hashes of the tree. So where all of these are as they were when nothing was to
be done, nothing is to be done now, and the commit need not be listed.

It is noted by a run that has listed the commit, never by the one that writes it: what another program puts
into the commit while it is open belongs to it too. What is kept are two digests. One covers cluster, sync,
commit, paths and sizes, so that a file is read only if a comparison would have to; the other covers the
hashes. A note that is damaged, or belongs to anything else, is no equal digest, and all is listed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence

from . import _cache_file
from ._local_tree import LocalFile
from ._sync_head import Head
from ._sync_plan import Sync

# Another version of the rules above has another number.
_VERSION = "1"


class Seen:
    """Whether a tree was found in a commit of a cluster before."""

    def __init__(self, cluster: str, sync: Sync, head: Head, tree: Sequence[LocalFile]) -> None:
        self._tree = tree
        patterns = [one.pattern if one else None for one in (sync.patterns.include, sync.patterns.exclude)]
        where = (sync.project, sync.repo, sync.branch, sync.dest, sync.delete, *patterns)
        key = repr((_VERSION, cluster, os.path.realpath(sync.src), *where)).encode()
        self._path = _cache_file.cache_file(key, "seen")
        self._kept = _cache_file.read(self._path)
        there = f"{head.commit} {head.finished!r}\n".encode()
        sizes = (f"{file.size} {file.path}\n".encode() for file in tree)
        self._sizes = _digest((key, there), sizes)

    @property
    def same_sizes(self) -> bool:
        """Whether paths and sizes are those that were found in the commit."""
        return self._kept[: _cache_file.DIGEST_BYTES] == self._sizes

    def same(self, hash_of: Callable[[LocalFile], bytes]) -> bool:
        """Whether the whole tree is what was found in the commit."""
        return self._kept == self._note(hash_of)

    def keep(self, hash_of: Callable[[LocalFile], bytes]) -> None:
        """The tree has just been found in the commit, by its listing."""
        note = self._note(hash_of)
        if note != self._kept:
            _cache_file.write(self._path, note)

    def _note(self, hash_of: Callable[[LocalFile], bytes]) -> bytes:
        return self._sizes + _digest((self._sizes,), map(hash_of, self._tree))


def _digest(first: Iterable[bytes], rest: Iterable[bytes]) -> bytes:
    made = hashlib.blake2b(digest_size=_cache_file.DIGEST_BYTES)
    for parts in (first, rest):
        for part in parts:
            made.update(part)
    return made.digest()
