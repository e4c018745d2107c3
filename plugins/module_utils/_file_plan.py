# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about single files. Pure: no I/O. PRIVATE: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._errors import PachydermError
from ._file_hash import hash_bytes
from ._plan import Action, Plan
from ._wire import RemoteFile

BranchKey = tuple[str, str, str]  # (project, repo, branch)


@dataclass(frozen=True, slots=True)
class File:
    """A declared file: its `content`, or the `url` that pachd fetches it from. `path` has a leading slash.

    `force` fetches a URL again although the file exists.
    """

    branch: BranchKey
    path: str
    content: bytes = field(default=b"", repr=False)
    url: str = ""
    force: bool = False
    state: str = "present"
    where: str = ""

    @property
    def label(self) -> str:
        return f"{branch_label(self.branch)}:{self.path}"


@dataclass(frozen=True, slots=True)
class Held:
    """What a branch holds at the declared paths and above them, by path without a slash at its end.

    `missing` tells that the repo does not exist, `broken` is the error of the head commit.
    """

    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    missing: bool = False
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """One commit."""

    branch: BranchKey
    puts: tuple[File, ...]
    deletes: tuple[RemoteFile, ...]


def branch_label(key: BranchKey) -> str:
    return f"{key[0]}/{key[1]}@{key[2]}"


def above(path: str) -> Iterator[str]:
    """The directories that a path needs, the nearest first."""
    while path := path.rsplit("/", 1)[0]:
        yield path


def plan_files(declared: Sequence[File], held: Mapping[BranchKey, Held], check: bool) -> Plan:
    """One commit for each branch whose files differ. Raises PachydermError.

    In check mode a repo that does not exist is a warning: an earlier task may be about to create it.
    """
    actions, warnings = [], []
    for key in dict.fromkeys(file.branch for file in declared):
        there = held[key]
        files = [file for file in declared if file.branch == key]
        present = [file for file in files if file.state == "present"]
        if there.missing and present:
            text = f"{present[0].where}repo {key[0]}/{key[1]} does not exist"
            if not check:
                raise PachydermError(f"{text}; create it first, with pachyderm_repo for example")
            warnings.append(f"{text} yet")
        if there.broken:
            warnings.append(
                f"{branch_label(key)}: its head has an error: {there.broken}; files are rewritten"
            )
        gone = [there.files[f.path] for f in files if f.state == "absent" and f.path in there.files]
        _refuse(present, there, {entry.path.rstrip("/") for entry in gone})
        puts = [file for file in present if _differs(file, there.files.get(file.path))]
        if puts or gone:
            write = Write(key, tuple(puts), tuple(gone))
            actions.append(Action("commit", "branch", branch_label(key), *_diff(write, there), write))
    return Plan(tuple(actions), tuple(warnings))


def _differs(file: File, there: RemoteFile | None) -> bool:
    if there is None:
        return True
    if file.url:
        return file.force
    return there.size != len(file.content) or there.hash != hash_bytes(file.content)


def _refuse(present: Sequence[File], there: Held, gone: set[str]) -> None:
    """Raises PachydermError where a file and a directory would be at one path."""
    declared = {file.path for file in present}
    for file in present:
        entry = there.files.get(file.path)
        if entry and entry.is_dir:
            raise PachydermError(f"{file.where}path: {file.label} is a directory there; delete it first")
        for directory in above(file.path):
            entry = there.files.get(directory)
            in_the_way = entry and not entry.is_dir and directory not in gone
            if directory in declared or in_the_way:
                raise PachydermError(
                    f"{file.where}path: {file.label} needs a directory at {directory}, which is a file;"
                    " take another path, or declare that file absent"
                )


def _diff(write: Write, there: Held) -> tuple[dict[str, Any], dict[str, Any]]:
    """Before and after: sizes, as contents may be nobody's business."""
    before = {entry.path: f"{entry.size} bytes" for entry in write.deletes}
    after = {}
    for file in write.puts:
        known = there.files.get(file.path)
        new = ", new content" if known else ""
        if known:
            before[file.path] = f"{known.size} bytes"
        after[file.path] = f"from {file.url}" if file.url else f"{len(file.content)} bytes{new}"
    return dict(sorted(before.items())), dict(sorted(after.items()))


def shown(file: File, plan: Plan, held: Mapping[BranchKey, Held]) -> dict[str, Any]:
    """What a result shows of a file: what it is called, and what becomes of it."""
    project, repo, branch = file.branch
    put = any(file in action.item.puts for action in plan.actions)
    there = file.path in held[file.branch].files
    if file.state == "absent":
        change = "deleted" if there else "none"
    else:
        change = ("updated" if there else "added") if put else "none"
    return {"project": project, "repo": repo, "branch": branch, "path": file.path, "change": change}
