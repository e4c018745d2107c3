# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes in a pachd what a directory holds that `export` wrote (layout.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pachyderm_sdk.api import pfs, pps

from .. import directories
from .layout import FORMAT, MANIFEST, TransferError, checked, file_of_pipeline, files_of_branch

# Of one message.
FRAME_BYTES = 1 << 20


def seed(pachd: Any, directory: Path) -> dict[str, Any]:
    """How many projects, repos, files and pipelines were made.

    Raises TransferError where the directory is not as it should be, and where one of its repos or pipelines
    exists; then nothing was made. PachError as pachd refuses something, a pipeline for instance.
    """
    manifest = _manifest(directory)
    projects, repos, pipelines = manifest["projects"], manifest["repos"], manifest["pipelines"]
    specs = [_spec(directory, each) for each in pipelines]
    folders = [_files(directory, repo, branch) for repo in repos for branch in repo["branches"]]
    _refuse_existing(pachd, [*repos, *pipelines])
    known = {info.project.name for info in pachd.pfs.list_project()}
    for project in projects:
        if project["name"] not in known:
            pachd.pfs.create_project(
                project=pfs.Project(name=project["name"]), description=project["description"]
            )
    for repo in repos:
        pachd.pfs.create_repo(repo=_repo(repo), description=repo["description"])
    branches = [(repo, branch) for repo in repos for branch in repo["branches"]]
    for (repo, branch), files in zip(branches, folders, strict=True):
        _make_branch(pachd, repo, branch, files)
    for each, spec in zip(pipelines, specs, strict=True):
        pachd.pps.create_pipeline_v2(create_pipeline_request_json=spec)
        if each["stopped"]:
            pachd.pps.stop_pipeline(pipeline=_pipeline(each))
    return {
        "projects": len(projects),
        "repos": len(repos),
        "files": sum(map(len, folders)),
        "pipelines": len(pipelines),
    }


def _manifest(directory: Path) -> dict[str, Any]:
    """Checked as far as it is used. What is left out is empty, or of the project `default`."""
    path = directory / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TransferError(f"{directory} holds no {MANIFEST}; `export` writes one") from None
    except (OSError, ValueError) as error:
        raise TransferError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise TransferError(f'{path}: "format" is not {FORMAT}')
    repos = _named(path, found, "repos", project="default", description="", branches=[])
    return {
        "projects": _named(path, found, "projects", description=""),
        "repos": [{**repo, "branches": _named(path, repo, "branches", provenance=[])} for repo in repos],
        "pipelines": _named(path, found, "pipelines", project="default", stopped=False),
    }


def _named(path: Path, holder: dict[str, Any], field: str, **defaults: Any) -> list[dict[str, Any]]:
    """The objects of a list in the manifest, with what they leave out."""
    wanted = {"name": "", **defaults}
    entries = holder.get(field, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise TransferError(f"{path}: {field} is no list of objects")
    complete = [{**wanted, **each} for each in entries]
    for each in complete:
        for name, default in wanted.items():
            value = each[name]
            # True is a number to Python.
            if not isinstance(value, type(default)) or isinstance(value, bool) != isinstance(default, bool):
                raise TransferError(f"{path}: {name} {value!r} in {field} is no {type(default).__name__}")
        checked(each["name"])
    return complete


def _spec(directory: Path, pipeline: dict[str, Any]) -> str:
    path = file_of_pipeline(directory, pipeline["project"], pipeline["name"])
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TransferError(f"{path} cannot be read: {error}") from None


def _files(directory: Path, repo: dict[str, Any], branch: dict[str, Any]) -> list[tuple[str, Path]]:
    """Path in PFS and on disk of each file; links are refused, for they may lead to what is not meant."""
    folder = files_of_branch(directory, repo["project"], repo["name"], branch["name"])
    if folder.is_symlink() or not folder.is_dir():
        raise TransferError(f"{folder} is no directory")
    found = []
    try:
        for entry in directories.walk(folder):
            if not entry.is_file(follow_symlinks=False):
                raise TransferError(f"{entry.path} is neither a file nor a directory")
            found.append((entry.path.removeprefix(str(folder)), Path(entry.path)))
    except OSError as error:
        raise TransferError(f"{error.filename}: {error.strerror}") from None
    return sorted(found)


def _refuse_existing(pachd: Any, wanted: list[dict[str, Any]]) -> None:
    there = {(info.repo.project.name, info.repo.name) for info in pachd.pfs.list_repo(type="user")}
    for each in wanted:
        if (each["project"], each["name"]) in there:
            raise TransferError(f"{each['project']}/{each['name']} exists already; reset first")


def _make_branch(
    pachd: Any, repo: dict[str, Any], branch: dict[str, Any], files: list[tuple[str, Path]]
) -> None:
    made = pfs.Branch(repo=_repo(repo), name=branch["name"])
    provenance = [_branch(name) for name in branch["provenance"]]
    if files and not provenance:
        pachd.pfs.modify_file(_changes(made, files))
    else:
        pachd.pfs.create_branch(branch=made, provenance=provenance)


def _changes(branch: pfs.Branch, files: list[tuple[str, Path]]) -> Iterator[pfs.ModifyFileRequest]:
    yield pfs.ModifyFileRequest(set_commit=pfs.Commit(branch=branch, repo=branch.repo))
    for name, path in files:
        with path.open("rb") as file:
            frame = file.read(FRAME_BYTES)
            yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=name, raw=frame))
            while frame := file.read(FRAME_BYTES):
                yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=name, raw=frame))


def _repo(each: dict[str, Any]) -> pfs.Repo:
    return pfs.Repo(name=each["name"], type="user", project=pfs.Project(name=each["project"]))


def _pipeline(each: dict[str, Any]) -> pps.Pipeline:
    return pps.Pipeline(name=each["name"], project=pfs.Project(name=each["project"]))


def _branch(text: str) -> pfs.Branch:
    """project/repo@branch."""
    path, at, name = str(text).partition("@")
    project, slash, repo = path.partition("/")
    if not at or not slash:
        raise TransferError(f"provenance: {text!r} is not PROJECT/REPO@BRANCH")
    return pfs.Branch(repo=_repo({"project": project, "name": repo}), name=name)
