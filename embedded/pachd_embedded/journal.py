# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of received calls: one JSON object each, written at the end of the call.

{"seq": 7, "time": 1790000000.1, "method": "/pfs_v2.API/CreateRepo",
 "mutating": true, "code": "OK", "ms": 1.2}
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

# Calls that are remembered for the control API.
REMEMBERED = 10_000


class Journal:
    """Appends to `path`, where there is one, and keeps the last calls. Messages are not, so no secret is."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._lock = threading.Lock()
        self._last: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._seq = 0

    def record(self, method: str, mutating: bool, code: str, ms: float) -> None:
        with self._lock:
            self._seq += 1
            line = {"seq": self._seq, "time": round(time.time(), 3), "method": method}
            line |= {"mutating": mutating, "code": code, "ms": ms}
            self._last.append(line)
            # A call may outlive the server that it came to.
            if self._file is not None and not self._file.closed:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The calls after number `seq`, oldest first, as far as they are remembered."""
        with self._lock:
            return [line for line in self._last if line["seq"] > seq]

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
