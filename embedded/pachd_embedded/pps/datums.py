# SPDX-License-Identifier: GPL-3.0-or-later
"""Datums: which files of the inputs make one, what its id and hash are, and the variables its code sees."""

from __future__ import annotations

import hashlib
import itertools
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pachd_embedded.errors import unknown
from pachd_embedded.pfs.glob import Glob
from pachd_embedded.pps.inputs import as_pfs, children_of, is_set, kinds_of

PFS_ROOT = "/pfs"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file or directory of one input, as the glob found it.

    `name` is the input's; `path` is absolute, that of a directory ends in a slash; `commit` is the id of the
    commit that the file is read from; `size` is in bytes; `hash` is FileInfo's. `join_on` and `group_by` have
    the glob's captures filled in. A `reference` file may change without its datums being processed again.
    """

    name: str
    project: str
    repo: str
    branch: str
    commit: str
    path: str
    hash: bytes
    is_dir: bool
    size: int
    lazy: bool = False
    empty_files: bool = False
    join_on: str = ""
    outer_join: bool = False
    group_by: str = ""
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Datum:
    """The unit of work: files that one run of the transform sees. `id` is 64 hex digits."""

    files: tuple[InputFile, ...]
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", _datum_id(self.files))

    def content_hash(self, salt: str) -> bytes:
        """What decides whether the datum was processed before: its id, the content, the pipeline's salt.

        The transform is not part of it, so an update without `reprocess` (which changes the salt) skips.
        """
        digest = hashlib.blake2b(self.id.encode(), digest_size=32)
        for file in self.files:
            if not file.reference:
                digest.update(file.hash)
        digest.update(salt.encode())
        return digest.digest()


def _datum_id(files: Iterable[InputFile]) -> str:
    """BLAKE2b-256 over name, repo, branch and path of each file, each followed by its length in 8 bytes."""
    digest = hashlib.blake2b(digest_size=32)
    for file in files:
        for text in (file.name, file.repo, file.branch, file.path):
            data = text.encode()
            digest.update(data + len(data).to_bytes(8, "big"))
    return digest.hexdigest()


def input_files(pfs: Any, found: Iterable[tuple[str, str, bytes, int]]) -> Iterator[InputFile]:
    """Files of one pps.PfsInput with the input's options.

    `found` is what the input's glob matched: path (with a trailing slash for a directory), commit id, hash
    and size in bytes.
    """
    glob = Glob(pfs.glob) if pfs.join_on or pfs.group_by else None
    for path, commit, file_hash, size in found:
        yield InputFile(
            name=pfs.name,
            project=pfs.project,
            repo=pfs.repo,
            branch=pfs.branch,
            commit=commit,
            path=path,
            hash=file_hash,
            is_dir=path.endswith("/"),
            size=size,
            lazy=pfs.lazy,
            empty_files=pfs.empty_files,
            join_on=glob.replace(path, pfs.join_on) if glob else "",
            outer_join=pfs.outer_join,
            group_by=glob.replace(path, pfs.group_by) if glob else "",
            reference=pfs.reference,
        )


def list_datums(node: Any, glob_files: Callable[[Any], Iterable[InputFile]]) -> Iterator[Datum]:
    """The datums of a pps.Input, each once, in the order of their ids.

    `glob_files` gives the files that a pps.PfsInput matches. Names and branches are filled in beforehand.
    """
    datums: dict[str, Datum] = {}
    for datum in _datums_of(node, glob_files):
        datums.setdefault(datum.id, datum)
    for datum_id in sorted(datums):
        yield datums[datum_id]


def _datums_of(node: Any, glob_files: Callable[[Any], Iterable[InputFile]]) -> Iterator[Datum]:
    if is_set(node.pfs):
        return (Datum((file,)) for file in glob_files(node.pfs))
    if is_set(node.cron):
        return (Datum((file,)) for file in glob_files(as_pfs(node.cron)))
    inner = [list(list_datums(child, glob_files)) for child in children_of(node)]
    kinds = kinds_of(node)
    if "union" in kinds:
        return itertools.chain.from_iterable(inner)
    if "cross" in kinds:
        return _cross([[datum.files for datum in datums] for datums in inner])
    if "join" in kinds:
        return _join(_by_key(inner, lambda file: file.join_on), len(inner))
    if "group" in kinds:
        return _group(_by_key(inner, lambda file: file.group_by))
    raise unknown("unrecognized input type")


def _cross(choices: list[list[tuple[InputFile, ...]]]) -> Iterator[Datum]:
    """One datum for each way to take one element of every list."""
    for parts in itertools.product(*choices):
        yield Datum(tuple(itertools.chain.from_iterable(parts)))


def _by_key(inner: list[list[Datum]], key: Callable[[InputFile], str]) -> Iterator[list[list[InputFile]]]:
    """For each key the files that have it: one list for each input that has any, in the order of inputs."""
    found: dict[str, dict[int, list[InputFile]]] = {}
    for index, datums in enumerate(inner):
        for file in itertools.chain.from_iterable(datum.files for datum in datums):
            found.setdefault(key(file), {}).setdefault(index, []).append(file)
    return (list(lists.values()) for lists in found.values())


def _join(groups: Iterable[list[list[InputFile]]], inputs: int) -> Iterator[Datum]:
    """Crosses the files of a key that all inputs have; of other keys only outer_join files make datums."""
    for group in groups:
        for files in itertools.product(*group):
            kept = files if len(group) == inputs else tuple(file for file in files if file.outer_join)
            if kept:
                yield Datum(kept)


def _group(groups: Iterable[list[list[InputFile]]]) -> Iterator[Datum]:
    """All files of a key are one datum."""
    return (Datum(tuple(itertools.chain.from_iterable(group))) for group in groups)


def datum_env(
    datum: Datum,
    *,
    project: str,
    pipeline: str,
    job_id: str,
    spec_commit: str,
    pod_name: str,
) -> dict[str, str]:
    """The environment variables that Pachyderm gives the code of a datum, where they mean something here.

    The variable of an input names its file under /pfs, the last one where a group has several.
    """
    env = {
        "PACH_IN_WORKER": "true",
        "PPS_PROJECT_NAME": project,
        "PPS_PIPELINE_NAME": pipeline,
        "PPS_POD_NAME": pod_name,
        "PPS_SPEC_COMMIT": spec_commit,
        "PACH_JOB_ID": job_id,
        # The output commit of a job has the job's id.
        "PACH_OUTPUT_COMMIT_ID": job_id,
        "PACH_DATUM_ID": datum.id,
    }
    for file in datum.files:
        env[file.name] = posixpath.normpath(f"{PFS_ROOT}/{file.name}/{file.path}")
        env[f"{file.name}_COMMIT"] = file.commit
        if file.join_on:
            env[f"PACH_DATUM_{file.name}_JOIN_ON"] = file.join_on
        if file.group_by:
            env[f"PACH_DATUM_{file.name}_GROUP_BY"] = file.group_by
    return env
