# SPDX-License-Identifier: GPL-3.0-or-later
"""gc: free the storage that nothing refers to any more, of a running server or of data that none has."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_data_dir, ask_server, opened


def add(commands: Any) -> None:
    parser = commands.add_parser("gc", help="free the storage that nothing refers to any more")
    parser.set_defaults(run=run)
    add_data_dir(parser)


def run(options: argparse.Namespace) -> int:
    from ..operations import garbage

    freed = ask_server(options.data_dir, "POST", "/gc")
    if freed is None:
        with opened(options.data_dir) as core:
            freed = garbage(core)
    print(f"freed {freed['freed_bytes']} bytes, {freed['freed_chunks']} chunks")
    return 0
