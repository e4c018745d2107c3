# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFS API for file sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pfs

from ..pfs.service import Pfs
from .messages import Context, commit_ref
from .streams import changes_of, confirm, whole


class FileSetServicer:
    _pfs: Pfs

    def create_file_set(self, requests: Iterator[Any], context: Context) -> Any:
        changes = whole(changes_of(requests, self._pfs.source_dirs), context)
        return _created(self._pfs.file_sets.create(changes, lambda: confirm(context)))

    def get_file_set(self, request: Any, _context: Context) -> Any:
        only_changes = request.type == pfs.GetFileSetRequestFileSetType.DIFF
        return _created(self._pfs.file_sets.of_commit(commit_ref(request.commit), only_changes))

    def add_file_set(self, request: Any, _context: Context) -> Any:
        self._pfs.file_sets.add(commit_ref(request.commit), request.file_set_id)
        return Empty()

    def renew_file_set(self, request: Any, _context: Context) -> Any:
        self._pfs.file_sets.renew(request.file_set_id, request.ttl_seconds)
        return Empty()

    def compose_file_set(self, request: Any, _context: Context) -> Any:
        return _created(self._pfs.file_sets.compose(request.file_set_ids, request.ttl_seconds))

    def shard_file_set(self, request: Any, _context: Context) -> Any:
        ranges = self._pfs.file_sets.shards(request.file_set_id, request.num_files, request.size_bytes)
        return pfs.ShardFileSetResponse(
            shards=[pfs.PathRange(lower=lower, upper=upper) for lower, upper in ranges]
        )


def _created(file_set_id: str) -> Any:
    return pfs.CreateFileSetResponse(file_set_id=file_set_id)
