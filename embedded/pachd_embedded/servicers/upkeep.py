# SPDX-License-Identifier: GPL-3.0-or-later
"""The PFS API for what looks after the whole: Fsck; and Egress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import betterproto
from pachyderm_sdk.api import pfs

from ..errors import unimplemented, unknown
from ..pfs.service import Pfs
from .messages import Context, commit_ref


class UpkeepServicer:
    def __init__(self, service: Pfs) -> None:
        self._pfs = service

    def fsck(self, request: Any, _context: Context) -> Iterator[Any]:
        """Streams nothing when all is well."""
        for finding in self._pfs.fsck.check(request.fix):
            yield (
                pfs.FsckResponse(fix=str(finding)) if finding.fixed else pfs.FsckResponse(error=str(finding))
            )
        kind, target = betterproto.which_one_of(request, "zombie_check")
        stale: Iterator[str] = iter(())
        if kind == "zombie_target":
            stale = self._pfs.fsck.zombies(self._pfs.lookup.get_commit(commit_ref(target)))
        elif kind == "zombie_all" and target:
            stale = self._pfs.fsck.all_zombies()
        yield from (pfs.FsckResponse(error=text) for text in stale)

    def egress(self, request: Any, _context: Context) -> Any:
        kind, target = betterproto.which_one_of(request, "target")
        commit = self._pfs.lookup.get_commit(commit_ref(request.commit))
        if kind == "sql_database":
            raise unimplemented("the embedded pachd does not egress to databases: give a file:// URL")
        if kind != "object_storage":
            raise unknown("egress failed")
        result = pfs.EgressResponseObjectStorageResult(
            bytes_written=self._pfs.egress.write(commit, target.url)
        )
        return pfs.EgressResponse(object_storage=result)
