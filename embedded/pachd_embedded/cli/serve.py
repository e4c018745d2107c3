# SPDX-License-Identifier: GPL-3.0-or-later
"""serve: run the server until a signal ends it. An option here is a field of Settings of the same name."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
from dataclasses import fields
from pathlib import Path
from typing import Any

from .. import PACHYDERM_VERSION
from ..log_lines import FORMATS, LEVELS, configure
from ..settings import Settings, StartError
from .common import CommandError, seconds

log = logging.getLogger(__name__)


def add(commands: Any) -> None:
    parser = commands.add_parser("serve", help="serve until SIGTERM")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="everything is kept here; made if missing"
    )
    parser.add_argument(
        "--address", default="127.0.0.1:30650", help="HOST:PORT; port 0 picks a free one (%(default)s)"
    )
    parser.add_argument(
        "--gpus",
        type=_gpus,
        default=0,
        help='GPUs for pipelines: a number of simulated ones, or "auto" for those that nvidia-smi lists'
        " (%(default)s)",
    )
    parser.add_argument(
        "--image",
        dest="images",
        type=_image,
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a directory that is laid over the root where a pipeline's image is NAME; may be repeated",
    )
    parser.add_argument("--journal", type=Path, help="debugging: append one JSON line for each call received")
    parser.add_argument(
        "--private-pfs",
        action="store_true",
        help="run without isolation, with /pfs in a private directory, where the kernel refuses namespaces",
    )
    parser.add_argument(
        "--log-format", choices=FORMATS, default="text", help="of the log on stderr (%(default)s)"
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="what the log leaves out is below it; debug has calls that only read, too (%(default)s)",
    )
    parser.add_argument(
        "--worker",
        choices=["process", "container"],
        default="process",
        help="how user code runs: as processes of this machine, or in containers of the transform's own image"
        " (%(default)s)",
    )
    parser.add_argument(
        "--container-engine",
        default="",
        metavar="NAME|PATH",
        help="podman or docker, for --worker container (the one that works here, podman first)",
    )
    parser.add_argument(
        "--container-network",
        default="",
        metavar="NAME",
        help="the network of those containers, as the engine calls it, such as none or host (its default)",
    )
    parser.add_argument(
        "--control",
        metavar="HOST:PORT",
        help="for tests: an HTTP API on loopback that empties and fills the server and orders faults;"
        " see docs/testing-playbooks.md",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="listen beyond loopback although anyone there may run commands",
    )
    parser.add_argument(
        "--egress-dir",
        dest="egress_dirs",
        type=_directory,
        action="append",
        default=[],
        metavar="DIR",
        help="let egress write files below DIR (to file:// URLs); may be repeated",
    )
    parser.add_argument(
        "--source-dir",
        dest="source_dirs",
        type=_directory,
        action="append",
        default=[],
        metavar="DIR",
        help="let clients put files that lie below DIR by file:// URLs; may be repeated",
    )
    parser.add_argument(
        "--gc-period",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="delete what nothing refers to every so often; 0: only when told to (%(default)s)",
    )
    parser.add_argument(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="serve TLS with this PEM certificate, and what leads to its authority",
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's private key, PEM")
    parser.add_argument(
        "--auth-root-token-file",
        type=Path,
        metavar="FILE",
        help="activate auth; the file holds the token of pach:root, and only its owner may read it",
    )


def run(options: argparse.Namespace) -> int:
    configure(options.log_format, options.log_level)
    from ..server import Server
    from ..store.db import DataDirError

    options.images = dict(options.images)
    options.egress_dirs = tuple(options.egress_dirs)
    options.source_dirs = tuple(options.source_dirs)
    settings = Settings(**{field.name: getattr(options, field.name) for field in fields(Settings)})
    # A byte comes for each signal, also when one of gRPC's threads gets it and this one would sleep on.
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_args: None)
    try:
        server = Server(settings)
        server.open_to_owner()
    except (StartError, DataDirError, OSError) as error:
        raise CommandError(str(error)) from None
    version = ".".join(map(str, PACHYDERM_VERSION))
    print(f"pachd-embedded ready address={server.address} version={version} pid={os.getpid()}", flush=True)
    log.info("serving", extra={"address": server.address, "version": version, "pid": os.getpid()})
    if server.control:
        print(f"pachd-embedded control address={server.control}", flush=True)
    name = signal.Signals(told.recv(1)[0]).name
    log.info("stopping", extra={"signal": name})
    server.stop()
    log.info("stopped")
    return 0


def _gpus(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is neither a number nor "auto"')
    return int(text)


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a directory")
    return path.resolve()


def _image(text: str) -> tuple[str, Path]:
    name, equals, directory = text.partition("=")
    path = Path(directory)
    if not name or not equals or not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME=DIR, and DIR must be a directory")
    return name, path.resolve()
