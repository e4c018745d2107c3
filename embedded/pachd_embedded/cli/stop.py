# SPDX-License-Identifier: GPL-3.0-or-later
"""stop: end the server of a data directory, and wait until it has ended."""

from __future__ import annotations

import argparse
import os
import select
import signal
from typing import Any

from .common import CommandError, add_data_dir, seconds

SECONDS = 30.0


def add(commands: Any) -> None:
    parser = commands.add_parser("stop", help="end the server of a data directory; what it holds stays")
    parser.set_defaults(run=run)
    add_data_dir(parser)
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=SECONDS,
        metavar="SECONDS",
        help="to wait for its end (%(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Nothing to do is no error. A server that does not end in time is left as it is."""
    from ..control.client import server_pid

    pid = server_pid(options.data_dir)
    if pid is None:
        print(f"no embedded pachd serves {options.data_dir}")
        return 0
    if pid == 0:
        raise CommandError(f"{options.data_dir} is served by a process that cannot be seen from here")
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0  # ended by itself just now
    try:
        # The number was the server's before there was a handle on it; if it still is, the handle is, too.
        if server_pid(options.data_dir) == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], options.timeout)[0]:
            raise CommandError(f"process {pid} did not end within {options.timeout:g} s of SIGTERM")
    except PermissionError:
        raise CommandError(f"process {pid} is another user's") from None
    finally:
        os.close(process)
    print(f"stopped process {pid}")
    return 0
