# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that tests write and run at once."""

from __future__ import annotations

import subprocess
from pathlib import Path


def write_program(path: Path, text: str) -> None:
    """An executable file, written by a process of its own.

    A server's thread that forks while this process has it open for writing would hand that on, and the
    kernel starts no file that somebody writes ("Text file busy").
    """
    command = ["sh", "-ec", 'cat >"$0"; chmod 755 "$0"', str(path)]
    subprocess.run(command, input=text, text=True, encoding="utf-8", check=True)
