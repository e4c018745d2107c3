# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the testlab."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from testlab import bare, cache, host, image, lab, packages
from testlab.cache import TestlabError
from testlab.cluster import verbs as cluster
from testlab.engine import Engine


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testlab", description="Nodes with systemd to test on.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="make what is missing of node images and package repository")
    up = verbs.add_parser("up", help="start nodes, wait for them, write build/testlab/LAB/inventory.yml")
    up.add_argument("--lab", required=True, type=lab_name)
    up.add_argument("nodes", nargs="+", metavar="NAME=RELEASE[:GPUS]")
    restart = verbs.add_parser("restart", help="restart nodes, as by the reset button, and wait for them")
    restart.add_argument("--lab", required=True, type=lab_name)
    restart.add_argument("nodes", nargs="*", metavar="NAME")
    down = verbs.add_parser("down", help="take labs away")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("--lab", action="append", help="name or shell pattern; may be given more than once")
    which.add_argument("--all", action="store_true", help="every lab of this cache, and what they share")
    cluster.add(
        verbs.add_parser("cluster", help="a real Kubernetes on nodes, or with simulated nodes"), lab_name
    )
    command = verbs.add_parser("run", help="run a command in a bare Debian, in a copy of the checkout")
    command.add_argument("release", choices=image.RELEASES)
    command.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("list", help="the nodes that there are")
    verbs.add_parser("usable", help="say why this machine cannot run nodes (exit status 1), or nothing")
    return parser


def lab_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise argparse.ArgumentTypeError(f"{text}: a lab's name is made of a-z, 0-9, - and _")
    return text


def build(engine: Engine) -> tuple[dict[str, str], Path]:
    """Make all that is missing: the image of each release, and the directory of the package repository."""
    host.install_packages()
    engine.start()
    return image.build(engine), packages.build(engine.directory)


def usable_engine() -> Engine:
    """Raises TestlabError where this machine cannot run nodes."""
    engine = Engine(cache.directory())
    if reason := host.refusal(engine.directory):
        raise TestlabError(reason)
    engine.directory.mkdir(parents=True, exist_ok=True)
    return engine


def run(options: argparse.Namespace) -> int:
    """The exit status."""
    engine = usable_engine()
    match options.verb:
        case "build":
            build(engine)
        case "up":
            wanted = [lab.parse(text) for text in options.nodes]
            lab.up(engine, options.lab, wanted, *build(engine))
            print(lab.inventory_path(options.lab))
        case "restart":
            lab.restart(engine, options.lab, options.nodes)
        case "down":
            patterns = ["*"] if options.all else options.lab
            cluster.down(engine, patterns)
            cluster.down_simulated(engine, patterns)
            if options.all:
                engine.stop()
        case "cluster":
            cluster.run(engine, options, build)
        case "run":
            return bare.run(engine, options.release, options.command)
        case "list":
            lab.table(lab.nodes(engine))
    return 0


def main() -> int:
    options = arguments().parse_args()
    try:
        return run(options)
    except TestlabError as error:
        print(f"testlab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("testlab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
