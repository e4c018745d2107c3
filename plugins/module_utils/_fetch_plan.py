# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fetch has to write here. Pure: no I/O. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import PachydermError, first_few
from ._hash_cache import Stamp
from ._pfs_paths import literal_prefix, write_refusal
from ._wire import RemoteFile

# Paths that a result or a diff lists at most.
SHOWN_PATHS = 100


@dataclass(frozen=True, slots=True)
class Fetch:
    """A declared fetch: which files of a branch, or of a commit, belong below the directory `dest`.

    A mode of None is one that nobody cares about. `trust_cache` takes a file as read that is as it was when
    an earlier run read it.
    """

    project: str
    repo: str
    branch: str
    commit: str
    glob: str
    dest: str
    mode: int | None = None
    directory_mode: int | None = None
    delete: bool = False
    allow_empty: bool = False
    trust_cache: bool = True

    @property
    def scope(self) -> str | None:
        """The directory that the glob takes all of, "" for the root; None if the glob is of another kind."""
        prefix = literal_prefix(self.glob)
        return "/".join(["", *filter(None, prefix.split("/"))]) if self.glob == f"{prefix}**" else None

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
    mode: int = 0
    stamp: Stamp = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LocalChange:
    """What to write, in the order of paths.

    `updated` files have the size of the old one, `modes` the old mode and the new. `deleted` are paths below
    dest, with a leading slash.
    """

    added: tuple[RemoteFile, ...] = ()
    updated: tuple[tuple[RemoteFile, int], ...] = ()
    modes: tuple[tuple[RemoteFile, int, int], ...] = ()
    deleted: tuple[str, ...] = ()
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.modes or self.deleted)

    @property
    def downloads(self) -> list[RemoteFile]:
        files = [*self.added, *(file for file, _size in self.updated)]
        return sorted(files, key=lambda file: file.path)

    @property
    def download_bytes(self) -> int:
        return sum(file.size for file in self.downloads)

    def counts(self) -> dict[str, int]:
        return {
            "added": len(self.added),
            "updated": len(self.updated),
            "modes": len(self.modes),
            "deleted": len(self.deleted),
            "unchanged": self.unchanged,
        }

    def paths(self) -> dict[str, list[str]]:
        """The first SHOWN_PATHS of each kind, as PFS has them."""
        return {
            "added": [file.path for file in self.added[:SHOWN_PATHS]],
            "updated": [file.path for file, _size in self.updated[:SHOWN_PATHS]],
            "modes": [file.path for file, _old, _new in self.modes[:SHOWN_PATHS]],
            "deleted": list(self.deleted[:SHOWN_PATHS]),
        }

    def before(self) -> dict[str, Any]:
        """The side of a diff that shows what is here now, of the paths that change."""
        shown = {file.path: f"{size} bytes" for file, size in self.updated[:SHOWN_PATHS]}
        shown |= {file.path: f"mode {mode:04o}" for file, mode, _new in self.modes[:SHOWN_PATHS]}
        shown |= dict.fromkeys(self.deleted[:SHOWN_PATHS], "extraneous")
        return dict(sorted(shown.items()))

    def after(self) -> dict[str, Any]:
        """The side of a diff that shows what will be here, of the paths that change."""
        shown = {file.path: f"{file.size} bytes" for file in self.added[:SHOWN_PATHS]}
        shown |= {file.path: f"{file.size} bytes, new content" for file, _size in self.updated[:SHOWN_PATHS]}
        shown |= {file.path: f"mode {mode:04o}" for file, _old, mode in self.modes[:SHOWN_PATHS]}
        kinds = (self.added, self.updated, self.modes, self.deleted)
        left = sum(max(0, len(kind) - SHOWN_PATHS) for kind in kinds)
        return dict(sorted(shown.items())) | ({"...": f"{left} more paths change"} if left else {})


def plan_fetch(
    fetch: Fetch,
    remote: Iterable[RemoteFile],
    here_at: Mapping[str, Here],
    hash_of: Callable[[str], bytes],
    found: Iterable[str],
) -> LocalChange:
    """The change that brings the files among `remote` to this machine.

    `here_at` tells what is at their local paths; `hash_of` is asked only for those that to_hash() names. Of
    `found`, paths below dest, the fetch deletes what is not declared. Raises PachydermError, naming what is
    in the way.
    """
    added, updated, modes, unchanged = [], [], [], 0
    problems: dict[str, None] = {}
    files = sorted((entry for entry in remote if not entry.is_dir), key=lambda entry: entry.path)
    for file in files:
        target = fetch.target(file)
        # pachd stores no such path; a path that climbs would leave dest all the same.
        problem = write_refusal(file.path) or ""
        here = Here(problem=problem) if problem else here_at[target]
        if here.problem:
            problems[here.problem] = None
        elif here.size is None:
            added.append(file)
        elif here.size != file.size or hash_of(target) != file.hash:
            updated.append((file, here.size))
        elif fetch.mode is not None and fetch.mode != here.mode:
            modes.append((file, here.mode, fetch.mode))
        else:
            unchanged += 1
    if problems:
        raise PachydermError(f"{fetch.label}: {first_few(list(problems), 3)}; move it away, or change dest")
    declared = {file.path for file in files}
    deleted = sorted(path for path in found if path not in declared)
    return LocalChange(tuple(added), tuple(updated), tuple(modes), tuple(deleted), unchanged)


def to_hash(fetch: Fetch, remote: Iterable[RemoteFile], here_at: Mapping[str, Here]) -> list[str]:
    """The local paths of whose hash plan_fetch asks: what is there has the size of the remote file."""
    files = ((fetch.target(file), file.size) for file in remote if not file.is_dir)
    return [target for target, size in files if here_at[target].size == size]


def refuse_shared(fetches: Sequence[Fetch], remotes: Sequence[Sequence[RemoteFile]]) -> None:
    """Raises PachydermError where two fetches would overwrite each other's file at each run."""
    owners: dict[str, int] = {}
    for index, (fetch, remote) in enumerate(zip(fetches, remotes, strict=True)):
        for file in remote:
            target = fetch.target(file)
            first = index if file.is_dir else owners.setdefault(target, index)
            if first != index:
                raise PachydermError(f"fetches[{index}]: {target} is written by fetches[{first}] too")
    for index, fetch in enumerate(fetches):
        top = f"{fetch.dest.rstrip('/')}{fetch.scope}/" if fetch.delete else None
        for target, owner in owners.items():
            if top and owner != index and target.startswith(top):
                raise PachydermError(
                    f"fetches[{index}]: delete would remove {target}, which fetches[{owner}] writes"
                )
