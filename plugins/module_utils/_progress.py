# SPDX-License-Identifier: GPL-3.0-or-later
"""How far long work has come, for who watches. PRIVATE to the collection: it may change at any time.

A module's output reaches nobody before its end. So, where the environment variable GPULAB_PROGRESS names a
file (or a pipe that somebody reads), lines of JSON are appended to it: time (seconds since 1970), what,
done, total and unit. The first comes after EVERY_SECONDS, so short work is quiet, and then at most one each.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time

EVERY_SECONDS = 2.0


class Progress:
    """Counts what is done of `total`; any thread may add."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self._fields = {"what": what, "total": total, "unit": unit}
        self._path = os.environ.get("GPULAB_PROGRESS", "")
        self._done = 0
        self._next = time.monotonic() + EVERY_SECONDS
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """That much more is done."""
        if not self._path:
            return
        with self._lock:
            self._done += count
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + EVERY_SECONDS
                self._tell()

    def _tell(self) -> None:
        line = json.dumps({"time": round(time.time(), 1), "done": self._done, **self._fields})
        # Nobody may fail, or wait, because nobody listens any more.
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, f"{line}\n".encode())
            finally:
                os.close(descriptor)
