# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files of branches: options and calls. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ._connection import Pachd
from ._converge import converge
from ._errors import PachdError, PachydermError
from ._file_plan import BranchKey, File, Held, Write, above, branch_label, plan_files, shown
from ._items import items
from ._local_tree import FRAME_BYTES
from ._messages import branch_message
from ._names import branch_name, project_name, repo_name
from ._pfs_paths import clean, write_refusal
from ._plan import Action, Outcome, Plan, refuse_twice
from ._sdk import sdk
from ._sync_head import FINISH_SECONDS, branch_head, wait_finished
from ._wire import RemoteFile, add_file, delete_file, read_file_info, set_commit

_MAX_BYTES = 64 * 1024 * 1024
_SOURCES = ("content", "src", "url")
# Paths that one call asks for: a glob of thousands of alternatives takes pachd long.
_PATHS_A_CALL = 100


def parse_files(params: Mapping[str, Any]) -> list[File]:
    """The files that a module's options declare, local ones read. Raises PachydermError."""
    inherited = ("repo", "branch", "project", "state", "force")
    files = [_parse(item, prefix) for item, prefix in items(params, "files", inherited)]
    if problem := refuse_twice("file", [file.label for file in files], "files"):
        raise PachydermError(problem)
    return files


def _parse(item: Mapping[str, Any], prefix: str) -> File:
    if not item["repo"]:
        raise PachydermError(f"{prefix}repo: is required")
    project = project_name(item["project"], f"{prefix}project")
    repo = repo_name(item["repo"], f"{prefix}repo")
    branch = branch_name(item["branch"], f"{prefix}branch")
    if refusal := write_refusal(item["path"]):
        raise PachydermError(f"{prefix}path: {refusal}")
    path = clean(item["path"])
    if path == "/":
        raise PachydermError(f"{prefix}path: is the root of the branch; give a file's path")
    given = [name for name in _SOURCES if item[name] is not None]
    content, url = b"", ""
    if item["state"] == "present":
        if len(given) != 1:
            raise PachydermError(f"{prefix}content: exactly one of content, src and url is required")
        url = _url(item["url"], f"{prefix}url") if item["url"] is not None else ""
        content = _content(item, prefix)
    return File((project, repo, branch), path, content, url, bool(item["force"]), item["state"], prefix)


def _url(url: str, where: str) -> str:
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise PachydermError(f"{where}: {url}: {error}") from error
    if not scheme:
        raise PachydermError(f"{where}: {url}: must begin with a scheme that pachd knows, such as https://")
    return url


def _content(item: Mapping[str, Any], prefix: str) -> bytes:
    if item["src"] is not None:
        if "\0" in item["src"]:
            raise PachydermError(f"{prefix}src: {item['src']}: is no path, since it holds a NUL")
        try:
            if Path(item["src"]).stat().st_size <= _MAX_BYTES:
                return Path(item["src"]).read_bytes()
        except OSError as error:
            raise PachydermError(f"{prefix}src: {item['src']}: {error.strerror}") from error
        raise PachydermError(f"{prefix}src: {item['src']}: is larger than 64 MiB; use pachyderm_sync")
    content = item["content"]
    if content is None:
        return b""
    if isinstance(content, bool) or not isinstance(content, (str, int, float)):
        raise PachydermError(f"{prefix}content: must be text; use the filter to_json or to_yaml for data")
    return str(content).encode()


def run_files(pachd: Pachd, declared: Sequence[File], check_mode: bool) -> Outcome:
    """Brings the declared files about, by one commit for each branch; in check mode it only says how."""
    plan, held = _planned(pachd, declared, check_mode)
    if not check_mode:
        converge(plan, partial(_apply, pachd), lambda: _planned(pachd, declared, check_mode)[0])
    return Outcome(plan, {"files": [shown(file, plan, held) for file in declared]})


def _planned(pachd: Pachd, declared: Sequence[File], check_mode: bool) -> tuple[Plan, dict[BranchKey, Held]]:
    """What is to be done, and what is there."""
    held = {}
    for key in dict.fromkeys(file.branch for file in declared):
        held[key] = _read(pachd, key, [file.path for file in declared if file.branch == key])
    return plan_files(declared, held, check_mode), held


def _read(pachd: Pachd, key: BranchKey, paths: Sequence[str]) -> Held:
    """What the branch holds at the paths and above them. Raises PachydermError if its head is open."""
    branch = branch_message(*key)
    try:
        pachd.pfs.inspect_repo(repo=branch.repo)
    except PachdError as error:
        if error.code != "NOT_FOUND":
            raise
        return Held(missing=True)
    commit = branch_head(pachd, branch)
    if commit is None:
        return Held()
    info = pachd.pfs.inspect_commit(commit=commit)
    if not info.finishing.timestamp():
        raise PachydermError(
            f"{branch_label(key)}: commit {commit.id} is still open; finish it (pachctl finish commit"
            f" {key[1]}@{key[2]}) or let its writer do so, then run again"
        )
    if not info.finished.timestamp():
        info = wait_finished(pachd, commit, FINISH_SECONDS)
    if info.error:
        return Held(broken=info.error)
    return Held({entry.path.rstrip("/"): entry for entry in _entries(pachd, commit, paths)})


def _entries(pachd: Pachd, commit: Any, paths: Sequence[str]) -> Iterator[RemoteFile]:
    """What is at the paths and above them, by a call for each hundred.

    A comma or a backslash has a meaning in the pattern, so any character is asked for in its place; what else
    comes with it does no harm.
    """
    pfs = sdk().pfs
    glob = pachd.calls.unary_stream(
        "/pfs_v2.API/GlobFile",
        request_serializer=pfs.GlobFileRequest.SerializeToString,
        response_deserializer=read_file_info,
    )
    names = sorted({name for path in paths for name in (path, *above(path))})
    for start in range(0, len(names), _PATHS_A_CALL):
        some = [
            name[1:].replace("\\", "?").replace(",", "?") for name in names[start : start + _PATHS_A_CALL]
        ]
        yield from glob(pfs.GlobFileRequest(commit=commit, pattern=f"/{{{','.join(some)}}}"))


def _apply(pachd: Pachd, plan: Plan) -> None:
    for action in plan.actions:
        _write(pachd, action)


def _write(pachd: Pachd, action: Action) -> None:
    """One commit, awaited. Raises PachydermError, also when pachd finishes it with an error."""
    write: Write = action.item
    branch = branch_message(*write.branch)
    modify = pachd.calls.stream_unary(
        "/pfs_v2.API/ModifyFile", request_serializer=None, response_deserializer=None
    )
    try:
        modify(lambda: _messages(write, sdk().pfs.Commit(repo=branch.repo, branch=branch)), FINISH_SECONDS)
        head = branch_head(pachd, branch)
        info = wait_finished(pachd, head, FINISH_SECONDS)
    except PachdError as error:
        raise PachydermError(f"{action.name}: cannot write its files: {error}") from error
    if info.error:
        raise PachydermError(f"{action.name}: pachd finished commit {head.id} with an error: {info.error}")


def _messages(write: Write, commit: Any) -> Iterator[bytes]:
    """The stream of the commit. What is put is deleted before, since a put appends to what is there."""
    pfs = sdk().pfs
    yield set_commit(bytes(commit))
    for entry in write.deletes:
        yield delete_file(entry.path)
    for file in write.puts:
        yield delete_file(file.path)
    for file in write.puts:
        if file.url:
            source = pfs.AddFileUrlSource(url=file.url)
            yield bytes(pfs.ModifyFileRequest(add_file=pfs.AddFile(path=file.path, url=source)))
            continue
        for start in range(0, max(len(file.content), 1), FRAME_BYTES):
            yield add_file(file.path, file.content[start : start + FRAME_BYTES])
