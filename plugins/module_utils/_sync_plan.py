# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync has to change. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._local_tree import LocalFile
from ._patterns import ALL, Patterns
from ._wire import RemoteFile

# Paths that a result or a diff lists at most: a task that adds a million files must not print them.
SHOWN_PATHS = 100


@dataclass(frozen=True, slots=True)
class Sync:
    """A declared sync: what of this machine belongs where. `dest` has a leading slash.

    What `patterns` do not keep is none of its business, here and there. `trust_cache` takes a file as read
    that is as it was when an earlier run read it.
    """

    src: str
    project: str
    repo: str
    branch: str
    dest: str
    delete: bool = False
    allow_empty: bool = False
    description: str = ""
    patterns: Patterns = ALL
    trust_cache: bool = True

    def manages(self, path: str) -> bool:
        """Whether a file at this path of the branch is one that `delete` removes if it is not declared."""
        base = self.dest.rstrip("/") + "/"
        return path.startswith(base) and self.patterns.keep(path[len(base) :])

    @property
    def repo_label(self) -> str:
        return f"{self.project}/{self.repo}"

    @property
    def label(self) -> str:
        return f"{self.repo_label}@{self.branch}"


@dataclass(frozen=True, slots=True)
class TreeChange:
    """What one commit adds, updates (overwrites) and deletes, each sorted by path.

    `rewrite` says that nothing of the branch's head can be relied on: all of it is written again.
    """

    added: tuple[LocalFile, ...] = ()
    updated: tuple[tuple[LocalFile, RemoteFile], ...] = ()
    deleted: tuple[RemoteFile, ...] = ()
    unchanged: int = 0
    rewrite: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.deleted or self.rewrite)

    @property
    def uploads(self) -> Iterator[LocalFile]:
        """The files to send."""
        yield from self.added
        for local, _remote in self.updated:
            yield local

    @property
    def upload_bytes(self) -> int:
        return sum(file.size for file in self.uploads)

    def counts(self) -> dict[str, int]:
        return {
            "added": len(self.added),
            "updated": len(self.updated),
            "deleted": len(self.deleted),
            "unchanged": self.unchanged,
        }

    def title(self) -> str:
        """What the commit is called where the user gives no description."""
        return "pachyderm_sync: {added} added, {updated} updated, {deleted} deleted".format_map(self.counts())

    def paths(self) -> dict[str, list[str]]:
        """The first SHOWN_PATHS of each kind."""
        return {
            "added": [file.path for file in self.added[:SHOWN_PATHS]],
            "updated": [local.path for local, _remote in self.updated[:SHOWN_PATHS]],
            "deleted": [file.path for file in self.deleted[:SHOWN_PATHS]],
        }

    def before(self) -> dict[str, Any]:
        """The side of a diff that shows what the branch holds now, of the paths that change."""
        shown = {remote.path: _remote_text(remote) for _local, remote in self.updated[:SHOWN_PATHS]}
        shown |= {remote.path: _remote_text(remote) for remote in self.deleted[:SHOWN_PATHS]}
        return dict(sorted(shown.items()))

    def after(self) -> dict[str, Any]:
        """The side of a diff that shows what the branch will hold, of the paths that change."""
        shown = {file.path: f"{file.size} bytes" for file in self.added[:SHOWN_PATHS]}
        for local, _remote in self.updated[:SHOWN_PATHS]:
            shown[local.path] = f"{local.size} bytes, new content"
        left = sum(max(0, len(kind) - SHOWN_PATHS) for kind in (self.added, self.updated, self.deleted))
        return dict(sorted(shown.items())) | ({"...": f"{left} more paths change"} if left else {})


def plan_sync(
    sync: Sync,
    local: Sequence[LocalFile],
    remote: Sequence[RemoteFile],
    hash_of: Callable[[LocalFile], bytes],
) -> TreeChange:
    """The change that brings `local` into the branch.

    `remote` is what the branch holds below the sync's dest, at it and above it, directories included.
    `hash_of` is asked only for files whose size is that of the remote one. Raises PachydermError where a
    file would take the place of a directory, or the other way round, and the sync may not delete that.
    """
    files = {entry.path: entry for entry in remote if not entry.is_dir}
    # With delete, what is managed goes if it is not declared, so only the rest can be in the way.
    staying = {path for path in files if not (sync.delete and sync.manages(path))}
    _refuse_conflicts(sync, local, staying)
    added, updated, unchanged = [], [], 0
    for file in local:
        there = files.get(file.path)
        if there is None:
            added.append(file)
        elif there.size == file.size and there.hash == hash_of(file):
            unchanged += 1
        else:
            updated.append((file, there))
    declared = {file.path for file in local}
    deleted = sorted(path for path in files if path not in staying and path not in declared)
    return TreeChange(tuple(added), tuple(updated), tuple(files[path] for path in deleted), unchanged)


def to_hash(local: Sequence[LocalFile], remote: Sequence[RemoteFile]) -> list[LocalFile]:
    """The files of which plan_sync asks for the hash: there is one there, of the same size."""
    sizes = {entry.path: entry.size for entry in remote if not entry.is_dir}
    return [file for file in local if sizes.get(file.path) == file.size]


def refuse_overlaps(syncs: Sequence[Sync], trees: Sequence[Sequence[LocalFile]]) -> None:
    """Raises PachydermError where two syncs would undo each other at each run, or cannot both be there."""
    if len(syncs) == 1:
        return
    owners: dict[tuple[str, str], int] = {}
    for index, (sync, tree) in enumerate(zip(syncs, trees, strict=True)):
        for file in tree:
            first = owners.setdefault((sync.label, file.path), index)
            if first != index:
                raise PachydermError(
                    f"syncs[{index}]: {file.path} of {sync.label} is written by syncs[{first}] too"
                )
    _refuse_files_as_directories(owners)
    for index, sync in enumerate(syncs):
        for (label, path), owner in owners.items():
            if sync.delete and owner != index and label == sync.label and sync.manages(path):
                raise PachydermError(
                    f"syncs[{index}]: delete would remove {path} of {label}, which syncs[{owner}] writes"
                )


def _refuse_files_as_directories(owners: Mapping[tuple[str, str], int]) -> None:
    """`owners` has the index of the sync that writes a path of a branch. Within one tree no path is both."""
    for (label, path), owner in owners.items():
        for above in _directories_of(path):
            if (label, above) in owners:
                raise PachydermError(
                    f"{above} of {label} is a file of syncs[{owners[label, above]}], and {path} of"
                    f" syncs[{owner}] needs a directory there; give one of them another dest"
                )


def _refuse_conflicts(sync: Sync, local: Sequence[LocalFile], staying: Collection[str]) -> None:
    """Where a file would take the place of a directory of what stays, or the other way round."""
    directories = {above for path in staying for above in _directories_of(path)}
    problems = []
    for file in local:
        if file.path in directories:
            problems.append(f"{file.path} is a directory there and a file here")
        for above in _directories_of(file.path):
            if above in staying:
                problems.append(f"{above} is a file there, and {file.path} needs a directory")
    if problems:
        raise PachydermError(f"{sync.label}: {first_few(problems, 3)}; delete what is in the way, or rename")


def _directories_of(path: str) -> Iterator[str]:
    above = path.rsplit("/", 1)[0]
    while above:
        yield above
        above = above.rsplit("/", 1)[0]


def _remote_text(remote: RemoteFile) -> str:
    return f"{remote.size} bytes"
