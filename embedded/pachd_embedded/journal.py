# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of received calls, a debug option: one JSON object a line, written at the end of each call.

{"time": 1790000000.1, "method": "/pfs_v2.API/CreateRepo", "mutating": true, "code": "OK"}
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path


class Journal:
    """Appends to `path`; with None nothing is kept. Messages are never written, so no secret is."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._lock = threading.Lock()

    def record(self, method: str, mutating: bool, code: str) -> None:
        line = {"time": round(time.time(), 3), "method": method, "mutating": mutating, "code": code}
        with self._lock:
            # A call may outlive the server that it came to.
            if self._file is not None and not self._file.closed:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
