# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes that a program writes, made into lines of a log."""

from __future__ import annotations

import codecs
from collections.abc import Callable

# Characters of one line of a log; a longer line becomes several.
MAX_LINE = 64 * 1024


class LineSplitter:
    """Calls `log` once for each line, without its end; bytes that are not UTF-8 become U+FFFD."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > MAX_LINE:
            self._log(self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]

    def close(self) -> None:
        """Logs what came after the last end of line."""
        rest = self._rest + self._decoder.decode(b"", final=True)
        self._rest = ""
        if rest:
            self._emit(rest)

    def _emit(self, line: str) -> None:
        line = line.removesuffix("\r")
        for start in range(0, len(line) or 1, MAX_LINE):
            self._log(line[start : start + MAX_LINE])
