# SPDX-License-Identifier: GPL-3.0-or-later
"""fsck: look for damage, of a running server's data or of data that none has."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_data_dir, ask_server, opened


def add(commands: Any) -> None:
    parser = commands.add_parser("fsck", help="look for damage; exit code 2 where there is some left")
    parser.set_defaults(run=run)
    add_data_dir(parser)
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired")


def run(options: argparse.Namespace) -> int:
    from ..operations import findings

    answer = ask_server(options.data_dir, "POST", "/fsck", {"fix": options.fix})
    if answer is None:
        with opened(options.data_dir) as core:
            found = findings(core, options.fix)
    else:
        found = answer["findings"]
    for finding in found:
        print(f"{'repaired: ' if finding['fixed'] else ''}{finding['text']}")
    if not found:
        print("clean")
    return 2 if any(not finding["fixed"] for finding in found) else 0
