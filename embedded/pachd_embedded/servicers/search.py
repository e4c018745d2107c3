# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFS API for what is rarely asked of commits: FindCommits, ForgetCommit; and of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pfs

from ..pfs.search import find_commits
from ..pfs.service import Pfs
from .messages import Context, commit_message, commit_ref, picked_commit


class SearchServicer:
    _pfs: Pfs

    def find_commits(self, request: Any, context: Context) -> Iterator[Any]:
        """Each commit found, and at the end the one that was looked at last."""
        searched = found = 0
        commit = None
        for commit, changed in find_commits(self._pfs, commit_ref(request.start), request.file_path):
            if changed:
                found += 1
                yield pfs.FindCommitsResponse(found_commit=commit_message(commit), commits_searched=searched)
            searched += 1
            if found == request.limit > 0 or not context.is_active():
                break
        assert commit is not None, "the start is a commit, or an error was raised"
        yield pfs.FindCommitsResponse(last_searched_commit=commit_message(commit), commits_searched=searched)

    def forget_commit(self, request: Any, _context: Context) -> Any:
        self._pfs.commits.forget(picked_commit(request.commit))
        return pfs.ForgetCommitResponse()

    def delete_all(self, _request: Any, _context: Context) -> Any:
        self._pfs.delete_all()
        return Empty()

    def check_storage(self, request: Any, _context: Context) -> Any:
        count = self._pfs.chunks.check(request.chunk_begin, request.chunk_end, request.read_chunk_data)
        return pfs.CheckStorageResponse(chunk_object_count=count)

    def list_task(self, _request: Any, _context: Context) -> Iterator[Any]:
        """Tasks of the storage that wait for a worker: here each is done within its call."""
        return iter(())
