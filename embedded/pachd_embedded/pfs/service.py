# SPDX-License-Identifier: GPL-3.0-or-later
"""PFS as a whole: what the API's methods and the job engine call."""

from __future__ import annotations

from pathlib import Path

from ..store.chunks import ChunkStore
from ..store.db import Database
from ..store.tree import Root, TreeStore
from .branches import Branches
from .commit_sets import CommitSets
from .commits import Commits
from .entries import bytes_of_entry
from .lookup import Lookup
from .modify import Files
from .repos import Projects, Repos


class Pfs:
    def __init__(self, db: Database, directory: Path) -> None:
        self.db = db
        self.trees = TreeStore(db, weigh=bytes_of_entry)
        self.chunks = ChunkStore(db, directory)
        self.lookup = Lookup(db)
        self.projects = Projects(db, self.lookup)
        self.branches = Branches(db, self.lookup)
        self.repos = Repos(db, self.lookup, self.branches)
        self.commits = Commits(db, self.trees, self.lookup, self.branches)
        self.sets = CommitSets(db, self.lookup, self.branches)
        self.files = Files(db, self.chunks, self.trees, self.lookup, self.commits)

    def tree_size(self, tree: Root) -> int:
        """Bytes in all files of a tree."""
        return self.trees.weight(tree)
