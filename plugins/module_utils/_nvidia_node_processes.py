# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a node by the files that they have open. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def holders(root: Path, prefix: str) -> Iterator[dict[str, Any]]:
    """`pid` and `command` of processes with a file open whose path begins with `prefix`, by number.

    Only the names: command lines can hold passwords.
    """
    processes = root / "proc"
    for pid in sorted(int(entry.name) for entry in processes.iterdir() if entry.name.isdigit()):
        try:
            command = (processes / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
            holds = any(
                os.readlink(entry.path).startswith(prefix)
                for entry in os.scandir(processes / str(pid) / "fd")
            )
        except OSError:
            continue  # it ended while we look
        if holds:
            yield {"pid": pid, "command": command}
