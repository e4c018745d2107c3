# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync has to change. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._local_tree import LocalFile
from ._wire import RemoteFile

# Paths that a result or a diff lists at most: a task that adds a million files must not print them.
SHOWN_PATHS = 100


@dataclass(frozen=True, slots=True)
class Sync:
    """A declared sync: what of this machine belongs where. `dest` has a leading slash."""

    src: str
    project: str
    repo: str
    branch: str
    dest: str
    delete: bool = False
    allow_empty: bool = False
    description: str = ""

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
    base = sync.dest.rstrip("/") + "/"
    files = {entry.path: entry for entry in remote if not entry.is_dir}
    if sync.delete:
        # What is below dest goes if it is not declared; only a file at dest or above it can be in the way.
        outside = {path: entry for path, entry in files.items() if not path.startswith(base)}
        _refuse_conflicts(sync, local, outside, set())
    else:
        directories = {entry.path.rstrip("/") for entry in remote if entry.is_dir}
        _refuse_conflicts(sync, local, files, directories)
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
    deleted = (
        sorted(path for path in files if path.startswith(base) and path not in declared)
        if sync.delete
        else []
    )
    return TreeChange(tuple(added), tuple(updated), tuple(files[path] for path in deleted), unchanged)


def refuse_overlaps(syncs: Sequence[Sync], trees: Sequence[Sequence[LocalFile]]) -> None:
    """Raises PachydermError where two syncs would undo each other at each run, or cannot both be there."""
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
        base = sync.dest.rstrip("/") + "/"
        for (label, path), owner in owners.items():
            if sync.delete and owner != index and label == sync.label and path.startswith(base):
                raise PachydermError(
                    f"syncs[{index}]: delete would remove {path} of {label}, which syncs[{owner}] writes"
                )


def _refuse_files_as_directories(owners: Mapping[tuple[str, str], int]) -> None:
    """`owners` has the index of the sync that writes a path of a branch. Within one tree no path is both."""
    for (label, path), owner in owners.items():
        above = path.rsplit("/", 1)[0]
        while above:
            if (label, above) in owners:
                raise PachydermError(
                    f"{above} of {label} is a file of syncs[{owners[label, above]}], and {path} of"
                    f" syncs[{owner}] needs a directory there; give one of them another dest"
                )
            above = above.rsplit("/", 1)[0]


def _refuse_conflicts(
    sync: Sync, local: Sequence[LocalFile], files: Mapping[str, RemoteFile], directories: Collection[str]
) -> None:
    problems = []
    for file in local:
        if file.path in directories:
            problems.append(f"{file.path} is a directory there and a file here")
        above = file.path.rsplit("/", 1)[0]
        while above:
            if above in files:
                problems.append(f"{above} is a file there, and {file.path} needs a directory")
            above = above.rsplit("/", 1)[0]
    if problems:
        raise PachydermError(f"{sync.label}: {first_few(problems, 3)}; delete what is in the way, or rename")


def _remote_text(remote: RemoteFile) -> str:
    return f"{remote.size} bytes"
