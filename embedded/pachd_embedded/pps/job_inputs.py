# SPDX-License-Identifier: GPL-3.0-or-later
"""The input commits of a job, and the datums that the pipeline's input makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pachyderm_sdk.api import pps

from ..errors import unknown
from ..pfs.model import BranchKey, Commit, CommitRef, RepoKey
from ..pfs.service import Pfs
from .datums import Datum, InputFile, input_files, list_datums
from .inputs import as_pfs, walk_files, walk_inputs


class JobInputs:
    """`output` is the seq of the job's output commit: its provenance says which commits are read."""

    def __init__(self, pfs: Pfs, request: Any, output: int) -> None:
        self._pfs = pfs
        self._request = request
        self._commits = pfs.lookup.provenance_by_branch(output)

    def commit(self, node: Any) -> Commit | None:
        """The commit that a pps.PfsInput reads in this job."""
        repo = RepoKey(node.project, node.repo, node.repo_type or "user")
        return self._commits.get(BranchKey(repo, node.branch))

    def ready(self) -> bool:
        return all(commit.finished is not None for commit in self._commits.values())

    def failed(self) -> str | None:
        """Names of the inputs whose commit ended in an error, None when all are well."""
        failed = [
            node.name
            for node in walk_files(self._request.input)
            if (commit := self.commit(node)) is not None and commit.reason
        ]
        return ", ".join(failed) or None

    def datums(self) -> Iterator[Datum]:
        """In the order of their ids."""
        return list_datums(self._request.input, self._files)

    def with_trees(self, datum: Datum) -> list[tuple[InputFile, bytes | None]]:
        """The datum's files, each with the tree of the commit that it is read from."""
        trees = {
            (node.name, node.repo, node.branch): commit.tree
            for node in walk_files(self._request.input)
            if (commit := self.commit(node)) is not None
        }
        return [(file, trees[file.name, file.repo, file.branch]) for file in datum.files]

    def described(self) -> Any:
        """The pipeline's input with the commits of this job filled in, as JobInfo shows it."""
        request = type(self._request).FromString(bytes(self._request))
        for node in walk_inputs(request.input):
            commit = self.commit(as_pfs(node) if isinstance(node, pps.CronInput) else node)
            node.commit = commit.id if commit else ""
        return request.input

    def _files(self, node: Any) -> Iterator[InputFile]:
        commit = self.commit(node)
        return _found(self._pfs, node, commit) if commit is not None else iter(())


def preview(pfs: Pfs, request: Any) -> Iterator[Datum]:
    """The datums that an input would make of the branches as they are now."""

    def files(node: Any) -> Iterator[InputFile]:
        key = RepoKey(node.project, node.repo, node.repo_type or "user")
        commit, _snapshot = pfs.files.snapshot(CommitRef(key, branch=node.branch))
        return _found(pfs, node, commit)

    return list_datums(request.input, files)


def _found(pfs: Pfs, node: Any, commit: Commit) -> Iterator[InputFile]:
    if commit.invalid:
        raise unknown(commit.invalid)
    matches = pfs.files.tree(commit.tree).glob(node.glob)
    found = ((info.api_path, info.commit or commit.id, info.hash, info.size) for info in matches)
    return input_files(node, found)
