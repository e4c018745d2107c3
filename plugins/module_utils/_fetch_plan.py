# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fetch has to write here. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._pfs_paths import write_refusal
from ._wire import RemoteFile

# Paths that a result or a diff lists at most.
SHOWN_PATHS = 100


@dataclass(frozen=True, slots=True)
class Fetch:
    """A declared fetch: which files of a branch, or of a commit, belong below the directory `dest`."""

    project: str
    repo: str
    branch: str
    commit: str
    glob: str
    dest: str

    @property
    def label(self) -> str:
        return f"{self.project}/{self.repo}@{self.commit or self.branch}"

    def target(self, file: RemoteFile) -> str:
        """The local path of a file of PFS."""
        return self.dest.rstrip("/") + file.path


@dataclass(frozen=True, slots=True)
class Here:
    """What is at a local path: a regular file of `size` bytes, or nothing if that is None.

    `problem` says why no file can be written there, else "".
    """

    size: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LocalChange:
    """The files to write, in the order of their paths; `updated` ones have the size of the old file."""

    added: tuple[RemoteFile, ...] = ()
    updated: tuple[tuple[RemoteFile, int], ...] = ()
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.updated)

    @property
    def downloads(self) -> list[RemoteFile]:
        files = [*self.added, *(file for file, _size in self.updated)]
        return sorted(files, key=lambda file: file.path)

    @property
    def download_bytes(self) -> int:
        return sum(file.size for file in self.downloads)

    def counts(self) -> dict[str, int]:
        return {"added": len(self.added), "updated": len(self.updated), "unchanged": self.unchanged}

    def paths(self) -> dict[str, list[str]]:
        """The first SHOWN_PATHS of each kind, as PFS has them."""
        return {
            "added": [file.path for file in self.added[:SHOWN_PATHS]],
            "updated": [file.path for file, _size in self.updated[:SHOWN_PATHS]],
        }

    def before(self) -> dict[str, Any]:
        """The side of a diff that shows what is here now, of the paths that change."""
        return {file.path: f"{size} bytes" for file, size in self.updated[:SHOWN_PATHS]}

    def after(self) -> dict[str, Any]:
        """The side of a diff that shows what will be here, of the paths that change."""
        shown = {file.path: f"{file.size} bytes" for file in self.added[:SHOWN_PATHS]}
        shown |= {file.path: f"{file.size} bytes, new content" for file, _size in self.updated[:SHOWN_PATHS]}
        left = sum(max(0, len(kind) - SHOWN_PATHS) for kind in (self.added, self.updated))
        return dict(sorted(shown.items())) | ({"...": f"{left} more paths change"} if left else {})


def plan_fetch(
    fetch: Fetch,
    remote: Sequence[RemoteFile],
    look: Callable[[str], Here],
    hash_of: Callable[[str], bytes],
) -> LocalChange:
    """The change that brings the files among `remote` to this machine.

    `look` tells what is at a local path; `hash_of` is asked only for files whose size is that of the remote
    one. Raises PachydermError, naming what is in the way.
    """
    added, updated, unchanged = [], [], 0
    problems: dict[str, None] = {}
    for file in sorted((entry for entry in remote if not entry.is_dir), key=lambda entry: entry.path):
        target = fetch.target(file)
        # pachd stores no such path; a path that climbs would leave dest all the same.
        problem = write_refusal(file.path) or ""
        here = Here(problem=problem) if problem else look(target)
        if here.problem:
            problems[here.problem] = None
        elif here.size is None:
            added.append(file)
        elif here.size == file.size and hash_of(target) == file.hash:
            unchanged += 1
        else:
            updated.append((file, here.size))
    if problems:
        raise PachydermError(f"{fetch.label}: {first_few(list(problems), 3)}; move it away, or change dest")
    return LocalChange(tuple(added), tuple(updated), unchanged)


def refuse_shared(fetches: Sequence[Fetch], remotes: Sequence[Sequence[RemoteFile]]) -> None:
    """Raises PachydermError where two fetches would overwrite each other's file at each run."""
    owners: dict[str, int] = {}
    for index, (fetch, remote) in enumerate(zip(fetches, remotes, strict=True)):
        for file in remote:
            target = fetch.target(file)
            first = index if file.is_dir else owners.setdefault(target, index)
            if first != index:
                raise PachydermError(f"fetches[{index}]: {target} is written by fetches[{first}] too")
