# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a pachd holds to a directory: files of branch heads and specs of pipelines (layout.py)."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pachyderm_sdk.api import pfs, pps

from .. import directories
from .layout import FORMAT, MANIFEST, TransferError, file_of_pipeline, files_of_branch

# Reading a file set that holds nothing says that "/" does not exist, so it is looked at first.
ROOT = "/"

Key = tuple[str, str]  # project and name


def export(pachd: Any, target: Path, outputs: bool = False) -> dict[str, Any]:
    """Have all of it at `target`, or nothing; the answer is the manifest.

    `pachd` is a client of the SDK, or LocalPachd, whose errors are passed on. Raises TransferError where
    there is something already, or where it cannot be written.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise TransferError(f"{target} exists and is no empty directory; choose a new one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            manifest = _write(pachd, draft, outputs)
            draft.chmod(0o755)
            os.rename(draft, target)
        except BaseException:
            directories.remove(draft)
            raise
    except ConnectionError:  # the SDK's, of the address; to Python it is an error of files as well
        raise
    except OSError as error:
        raise TransferError(f"{error.filename or target}: {error.strerror}") from None
    return manifest


def _write(pachd: Any, directory: Path, outputs: bool) -> dict[str, Any]:
    pipelines = {
        (info.pipeline.project.name, info.pipeline.name): info
        for info in pachd.pps.list_pipeline(details=True)
    }
    derived = pipelines.keys() | {repo for key, info in pipelines.items() for repo in _cron_repos(key, info)}
    repos = []
    for info in pachd.pfs.list_repo(type="user"):
        key = (info.repo.project.name, info.repo.name)
        if key not in derived:
            branches = [_write_branch(pachd, directory, branch) for branch in _branches(pachd, info.repo)]
            repos.append(
                {"project": key[0], "name": key[1], "description": info.description, "branches": branches}
            )
        elif outputs and key in pipelines:
            for branch in _branches(pachd, info.repo):
                _write_branch(pachd, directory, branch, outputs=True)
    manifest = {
        "format": FORMAT,
        "projects": [
            {"name": info.project.name, "description": info.description} for info in pachd.pfs.list_project()
        ],
        "repos": repos,
        "pipelines": [_write_pipeline(directory, key, pipelines[key]) for key in _in_order(pipelines)],
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _branches(pachd: Any, repo: pfs.Repo) -> list[pfs.BranchInfo]:
    """Oldest first, which is an order in which they can be made."""
    return list(reversed(list(pachd.pfs.list_branch(repo=repo))))


def _write_branch(pachd: Any, directory: Path, info: pfs.BranchInfo, outputs: bool = False) -> dict[str, Any]:
    repo, name = info.branch.repo, info.branch.name
    commit = _finished(pachd, info)
    folder = files_of_branch(directory, repo.project.name, repo.name, name, outputs)
    folder.mkdir(parents=True)
    if commit is not None:
        _write_files(pachd, commit, folder)
    return {
        "name": name,
        "commit": commit.id if commit else "",
        "provenance": [
            f"{branch.repo.project.name}/{branch.repo.name}@{branch.name}"
            for branch in info.direct_provenance
        ],
    }


def _finished(pachd: Any, info: pfs.BranchInfo) -> pfs.Commit | None:
    """The head, or where that is open its newest ancestor that is not; None where there is none."""
    commit: pfs.Commit | None = info.head
    while commit is not None and commit.id:
        found = pachd.pfs.inspect_commit(commit=commit)
        if found.finished and found.finished.timestamp() > 0:
            return pfs.Commit(id=commit.id, repo=info.branch.repo)
        commit = found.parent_commit
    return None


def _write_files(pachd: Any, commit: pfs.Commit, folder: Path) -> None:
    top = pfs.File(commit=commit, path=ROOT)
    if not any(True for _file in pachd.pfs.list_file(file=top)):
        return
    frames = (frame.value for frame in pachd.pfs.get_file_tar(file=top))
    with tarfile.open(fileobj=io.BufferedReader(_Frames(frames)), mode="r|") as archive:
        for member in archive:
            path = folder.joinpath(*_parts(member.name))
            if member.isdir():
                directories.make(path)
            elif content := archive.extractfile(member):
                directories.make(path.parent)
                with path.open("xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)


def _parts(name: str) -> list[str]:
    """Of a path in PFS; the other end may be any server, and must not reach out of the directory."""
    parts = [part for part in name.split("/") if part]
    if ".." in parts or "." in parts:
        raise TransferError(f"{name} is no path of PFS")
    return parts


class _Frames(io.RawIOBase):
    """A stream of byte strings, read as a file."""

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = memoryview(next(self._frames))
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _write_pipeline(directory: Path, key: Key, info: pps.PipelineInfo) -> dict[str, Any]:
    path = file_of_pipeline(directory, *key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(info.user_spec_json.rstrip() + "\n", encoding="utf-8")
    return {"project": key[0], "name": key[1], "stopped": bool(info.stopped)}


def _inputs(node: pps.Input | None) -> Iterator[pps.Input]:
    if node is None:
        return
    yield node
    for group in (node.cross, node.union, node.join, node.group):
        for inner in group:
            yield from _inputs(inner)


def _cron_repos(key: Key, info: pps.PipelineInfo) -> Iterator[Key]:
    for node in _inputs(info.details.input):
        if node.cron and node.cron.name:
            yield (node.cron.project or key[0], node.cron.repo or f"{key[1]}_{node.cron.name}")


def _in_order(pipelines: dict[Key, Any]) -> Iterable[Key]:
    """Those that others read from first."""
    upstream = {
        key: {
            (node.pfs.project or key[0], node.pfs.repo)
            for node in _inputs(info.details.input)
            if node.pfs and node.pfs.repo
        }
        & pipelines.keys()
        for key, info in pipelines.items()
    }
    with contextlib.suppress(CycleError):
        return list(TopologicalSorter(upstream).static_order())
    raise TransferError("the pipelines read from one another in a circle")
