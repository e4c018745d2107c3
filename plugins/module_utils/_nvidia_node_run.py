# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are only read, with an end in sight. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import NamedTuple

# Which an ordinary PATH may lack, and sudo's may not.
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class Result(NamedTuple):
    """What a command printed; `code` is None if it did not run or did not end, which `error` explains."""

    code: int | None
    output: str
    error: str


def run(command: list[str], timeout: float) -> Result:
    """Runs a command, in the C locale, for at most `timeout` seconds."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS])
    program = shutil.which(command[0], path=path)
    if program is None:
        return Result(None, "", f"{command[0]} is not installed")
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Programs look for helpers as well: dockerd for docker-proxy.
            env={**os.environ, "LC_ALL": "C", "PATH": path},
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return Result(None, "", f"{program} does not start: {error.strerror}")
    try:
        output, text = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # Not waited for, as subprocess.run() would: a process that hangs inside of the driver does not even
        # take a SIGKILL, and this one would hang with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return Result(None, "", f"{command[0]} did not answer within {timeout:g} s")
    return Result(process.returncode, output, text)
