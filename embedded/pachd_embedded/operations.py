# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a running server beside Pachyderm's API: the routes of its doors call it."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import PACHYDERM_VERSION, __version__, directories
from .control.client import SOCKET
from .core import Core
from .figures import figures
from .transfer.local import LocalPachd
from .transfer.seed import seed

if TYPE_CHECKING:
    from .server import Server

log = logging.getLogger(__name__)

# That running calls are given to end when the server is emptied, in seconds.
GRACE = 2.0
# In the data directory, and not Pachyderm's data: the lock of the one server, and its socket.
OWN_FILES = frozenset({"lock", SOCKET})


class Operations:
    """Thread-safe; `reset` and `seed` one at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._started = time.time()
        self._lock = threading.Lock()
        self.faults = server.faults
        self.journal = server.journal

    def status(self) -> dict[str, Any]:
        """See cli/status.py, which shows it."""
        server, settings = self._server, self._server.settings
        with self._lock:
            core = server.core
            return {
                "state": "running",
                "data_dir": str(settings.data_dir.absolute()),
                **versions(),
                "address": server.address,
                "control": server.control,
                "pid": os.getpid(),
                "started": round(self._started, 3),
                "worker": settings.worker,
                "gpus": {"in_use": core.gpus.in_use, "total": core.gpus.total},
                **figures(settings.data_dir, core.db.rows),
            }

    def collect_garbage(self) -> dict[str, Any]:
        with self._lock:
            return garbage(self._server.core)

    def fsck(self, fix: bool) -> list[dict[str, Any]]:
        with self._lock:
            return findings(self._server.core, fix)

    def reset(self) -> None:
        """Back to an empty server at the same address: jobs stopped, data deleted, faults taken back.

        Calls that run are ended UNAVAILABLE, as are those that come meanwhile.
        """
        with self._lock:
            server = self._server
            server.calls.refuse("the embedded pachd is being reset")
            server.core.stop()
            server.calls.drain(GRACE)
            server.core.close()
            self.faults.clear()
            for path in server.settings.data_dir.iterdir():
                if path.name not in OWN_FILES:
                    directories.remove(path) if path.is_dir() else path.unlink()
            server.core = Core(server.settings)
            server.calls.serve(server.core.servicers())
            server.core.start()
            log.info("reset")

    def seed(self, directory: Path) -> dict[str, Any]:
        """Make what a directory holds that `export` wrote. Raises TransferError and PachError."""
        with self._lock:
            return seed(LocalPachd(self._server.core), directory)


def versions() -> dict[str, str]:
    return {"version": __version__, "pachyderm": ".".join(map(str, PACHYDERM_VERSION))}


def garbage(core: Core) -> dict[str, Any]:
    """Collect it; how much that was, in bytes and chunks."""
    collected = core.pfs.storage.collect()
    return {"freed_bytes": collected.freed_bytes, "freed_chunks": collected.freed_chunks}


def findings(core: Core, fix: bool) -> list[dict[str, Any]]:
    """What is wrong, each in a line, and whether it is repaired now."""
    return [{"text": str(found), "fixed": found.fixed} for found in core.pfs.fsck.check(fix)]
