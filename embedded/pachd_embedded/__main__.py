# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m pachd_embedded serve: the command line."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from . import PACHYDERM_VERSION, __version__


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    # Else gRPC's core adds its own words where a port is taken.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        # Imported here so that --help and --version answer at once.
        from .server import Server, Settings, StartError
        from .store.db import DataDirError
    except ImportError as error:
        print(f"pachd-embedded: {error}; install pachyderm-sdk and numpy", file=sys.stderr)
        return 1
    settings = Settings(
        data_dir=options.data_dir,
        address=options.address,
        gpus=options.gpus,
        images=dict(options.image),
        journal=options.journal,
        private_pfs=options.private_pfs,
        insecure=options.insecure,
    )
    # A byte comes for each signal, also when one of gRPC's threads gets it and this one would sleep on.
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        server = Server(settings)
    except (StartError, DataDirError, OSError) as error:
        print(f"pachd-embedded: {error}", file=sys.stderr)
        return 1
    version = ".".join(map(str, PACHYDERM_VERSION))
    print(f"pachd-embedded ready address={server.address} version={version} pid={os.getpid()}", flush=True)
    told.recv(1)
    server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pachd_embedded", description="Pachyderm 2.12's own API on one machine."
    )
    parser.add_argument("--version", action="version", version=f"pachd-embedded {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve until SIGTERM")
    serve.add_argument(
        "--data-dir", type=Path, required=True, help="everything is kept here; made if missing"
    )
    serve.add_argument(
        "--address", default="127.0.0.1:30650", help="HOST:PORT; port 0 picks a free one (%(default)s)"
    )
    serve.add_argument(
        "--gpus",
        type=_gpus,
        default=0,
        help='GPUs for pipelines: a number of simulated ones, or "auto" for those that nvidia-smi lists'
        " (%(default)s)",
    )
    serve.add_argument(
        "--image",
        type=_image,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a directory that is laid over the root where a pipeline's image is NAME; may be repeated",
    )
    serve.add_argument("--journal", type=Path, help="debugging: append one JSON line for each call received")
    serve.add_argument(
        "--private-pfs",
        action="store_true",
        help="run without isolation, with /pfs in a private directory, where the kernel refuses namespaces",
    )
    serve.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond loopback although anyone there may run commands",
    )
    return parser


def _gpus(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is neither a number nor "auto"')
    return int(text)


def _image(text: str) -> tuple[str, Path]:
    name, equals, directory = text.partition("=")
    path = Path(directory)
    if not name or not equals or not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=DIR, and DIR must be a directory")
    return name, path.resolve()


if __name__ == "__main__":
    sys.exit(main())
