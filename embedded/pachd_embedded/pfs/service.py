# SPDX-License-Identifier: GPL-3.0-or-later
"""PFS as a whole: what the API's methods and the job engine call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..store.chunks import ChunkStore
from ..store.collector import Storage
from ..store.db import Database
from ..store.tree import Root, TreeStore
from ..store.verify import Verifier
from .branches import Branches
from .commit_sets import CommitSets
from .commits import Commits
from .cron_triggers import CronTriggers
from .egress import Egress
from .entries import bytes_of_entry, chunks_of_entry
from .file_set_store import FileSetStore
from .file_sets import FileSets
from .fsck import Fsck
from .lookup import Lookup
from .model import DEFAULT_PROJECT
from .modify import Files
from .repos import Projects, Repos
from .triggers import Triggers


class Pfs:
    """`egress_dirs`: below these egress may write. `source_dirs`: below these file:// URLs may name files."""

    def __init__(
        self,
        db: Database,
        directory: Path,
        egress_dirs: Sequence[Path] = (),
        source_dirs: Sequence[Path] = (),
    ) -> None:
        self.source_dirs = source_dirs
        self.db = db
        self.trees = TreeStore(db, weigh=bytes_of_entry)
        self.chunks = ChunkStore(db, directory)
        self.lookup = Lookup(db)
        self.projects = Projects(db, self.lookup)
        self.triggers = Triggers(db, self.lookup, self.trees)
        self.branches = Branches(db, self.lookup, self.triggers)
        self.cron_triggers = CronTriggers(db, self.lookup, self.branches, self.triggers)
        self.repos = Repos(db, self.lookup, self.branches)
        self.commits = Commits(db, self.trees, self.lookup, self.branches)
        self.sets = CommitSets(db, self.lookup, self.branches)
        file_sets = FileSetStore(db)
        self.files = Files(db, self.chunks, self.trees, self.lookup, self.commits, file_sets)
        self.file_sets = FileSets(
            db, self.chunks, self.trees, self.lookup, self.commits, self.files, file_sets
        )
        self.egress = Egress(self.files, egress_dirs)
        self.storage = Storage(db, self.chunks, chunks_of_entry)
        self.fsck = Fsck(
            db,
            self.lookup,
            self.trees,
            lambda: Verifier(db, self.chunks, chunks_of_entry),
            self.storage.busy,
        )

    def delete_all(self) -> None:
        """Every repo and project; what is left is an empty project "default"."""
        with self.db.transaction():
            self.repos.delete_all([], all_projects=True, force=True)
            for project in self.lookup.projects():
                self.projects.delete(project.name, force=True)
            self.projects.create(DEFAULT_PROJECT, "", update=False)

    def tree_size(self, tree: Root) -> int:
        """Bytes in all files of a tree."""
        return self.trees.weight(tree)
