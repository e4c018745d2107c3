# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m pachd_embedded: one file a command. Each has `add`, which declares it, and `run`, its exit code.

Commands import what they need when they run, so that --help and --version answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import __version__
from . import export, fsck, gc, serve, status, stop
from .common import CommandError

COMMANDS = (serve, status, stop, gc, fsck, export)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # Else gRPC's core adds its own words where a port is taken.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        code: int = options.run(options)
    except ImportError as error:
        print(f"pachd-embedded: {error}; install pachyderm-sdk and numpy", file=sys.stderr)
    except CommandError as error:
        print(f"pachd-embedded: {error}", file=sys.stderr)
    else:
        return code
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pachd_embedded", description="Pachyderm 2.12's own API on one machine."
    )
    parser.add_argument("--version", action="version", version=f"pachd-embedded {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser
