# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commits of a history wrote or deleted a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import unavailable
from .model import Commit, CommitRef

if TYPE_CHECKING:
    from .service import Pfs


def find_commits(pfs: Pfs, start: CommitRef, path: str) -> Iterator[tuple[Commit, bool]]:
    """(commit, whether it changed the file) from `start` back along the parents.

    `path` is taken as it is: pachd cleans nothing here. Raises UNAVAILABLE at a commit that is not finished.
    """
    commit: Commit | None = pfs.lookup.get_commit(start)
    while commit is not None:
        if commit.finished is None:
            raise unavailable(f"commit {commit} not finished")
        trees = (pfs.commits.base(commit), commit.tree)
        before, after = (list(pfs.trees.scan_prefix(tree, f"{path}\0")) for tree in trees)
        yield commit, before != after
        commit = pfs.lookup.commit_by_seq(commit.parent) if commit.parent else None
