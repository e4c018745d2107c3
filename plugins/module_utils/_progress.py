# SPDX-License-Identifier: GPL-3.0-or-later
"""How far long work has come, for who watches. PRIVATE to the collection: it may change at any time.

A module's output reaches nobody before its end. So, where the environment variable GPULAB_PROGRESS names a
file (or a pipe that somebody reads), lines of JSON are appended to it: time (seconds since 1970), pid, what,
and done, total and unit where something is counted, note where there is more to say. The first comes after
EVERY_SECONDS, so short work is quiet, and then at most one each. The callback `progress` shows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping

from ._errors import PachydermError

EVERY_SECONDS = 2.0


class Progress:
    """What is worked on or waited for; any thread may add, or tell."""

    def __init__(self, what: str, total: int = 0, unit: str = "") -> None:
        self._what = what
        self._total = total
        self._unit = unit
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
            if self._is_due():
                self._write({"done": self._done, "total": self._total, "unit": self._unit})

    def tell(self, look: Callable[[], Mapping[str, str | int]]) -> None:
        """What `look` finds. It is called only if a line is due, so it may ask a server, also in vain."""
        if not self._path:
            return
        with self._lock, contextlib.suppress(PachydermError):
            if self._is_due():
                self._write(look())

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + EVERY_SECONDS
        return True

    def _write(self, found: Mapping[str, str | int]) -> None:
        said = {"time": round(time.time(), 1), "pid": os.getpid(), "what": self._what, **found}
        # Nobody may fail, or wait, because nobody listens any more.
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, f"{json.dumps(said)}\n".encode())
            finally:
                os.close(descriptor)
