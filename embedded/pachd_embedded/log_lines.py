# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: one event a line, as text for people or as JSON for programs.

An event is a short sentence and fields, given as `extra`: method, code, ms (milliseconds), pipeline, job,
datum, pid, address. Messages of clients are no fields, so that no secret comes into the log.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure(form: str, level: str) -> None:
    """Write events of this level and above to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class TextLines(logging.Formatter):
    """2026-11-23T14:00:00.000+00:00 INFO call method=/pfs_v2.API/CreateRepo code=OK ms=1.2"""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname} {record.getMessage()}{fields}"
        if record.exc_info:
            line += f" exception={self.formatException(record.exc_info)}"
        return line.replace("\n", "\\n")


class JsonLines(logging.Formatter):
    """{"time": ..., "level": "info", "event": "call", "method": ...}; an exception is a field as well."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
