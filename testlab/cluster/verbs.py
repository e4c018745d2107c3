# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs below `python -m testlab cluster`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from testlab import image, lab
from testlab.cluster import cluster, commands, kwok, node
from testlab.cluster.cluster import Parts
from testlab.engine import Engine

LAB = "simulated"
NODES = 1000
# What its control plane is made of, and what its users call.
KWOK_COMMANDS = (*kwok.COMMANDS.values(), "kwokctl", "kubectl", "helm")
Build = Callable[[Engine], tuple[dict[str, str], Path]]


def add(parser: argparse.ArgumentParser, lab_name: Callable[[str], str]) -> None:
    verbs = parser.add_subparsers(dest="cluster_verb", required=True)

    def named(verb: argparse.ArgumentParser, default: str) -> argparse.ArgumentParser:
        verb.add_argument("--lab", default=default, type=lab_name, help="%(default)s")
        return verb

    verbs.add_parser(
        "build", help="make what is missing of commands, images and nodes; the first time ten minutes"
    )
    named(
        verbs.add_parser(
            "up", help="start two nodes with Kubernetes; build/testlab/LAB/{inventory.yml,kubeconfig}"
        ),
        LAB,
    )
    named(verbs.add_parser("down", help="take them away"), LAB)
    named(verbs.add_parser("inventory", help="its inventory as JSON, for Ansible"), LAB)
    scale = verbs.add_parser("kwok", help="a control plane with nodes that are only simulated, for scale")
    steps = scale.add_subparsers(dest="kwok_verb", required=True)
    start = named(steps.add_parser("up", help="start it"), "kwok")
    start.add_argument("--nodes", default=NODES, type=int, help="with 8 GPUs each (%(default)s)")
    named(steps.add_parser("down", help="take it away"), "kwok")


def run(engine: Engine, options: argparse.Namespace, build_all: Build) -> None:
    match options.cluster_verb, getattr(options, "kwok_verb", None):
        case "build", _:
            build(engine, build_all)
        case "up", _:
            cluster.up(engine, options.lab, build(engine, build_all))
            print(lab.inventory_path(options.lab))
        case "down", _:
            down(engine, [options.lab])
        case "inventory", _:
            print(json.dumps(cluster.script(options.lab)))
        case _, "up":
            kwok.up(
                engine.directory, options.lab, options.nodes, commands.build(engine.directory, KWOK_COMMANDS)
            )
            print(lab.inventory_path(options.lab))
        case _:
            down_simulated(engine, [options.lab])


def build(engine: Engine, build_all: Build) -> Parts:
    """Make all that is missing. `build_all` makes what every lab needs."""
    releases, archive = build_all(engine)
    made = commands.build(engine.directory)
    base = image.base_name("bookworm")
    nodes = node.build(engine, releases["trixie"], archive, made)
    store = node.store(engine, made, nodes, base)
    return Parts(nodes, store, archive, made["helm"], made["kubectl"])


def down(engine: Engine, patterns: list[str]) -> None:
    if engine.used:
        # A restart of the machine takes the namespace, but the nodes' containers stay, stopped.
        engine.start()
    lab.down(engine, patterns)


def down_simulated(engine: Engine, patterns: list[str]) -> None:
    if kwok.names(engine.directory):
        kwokctl = commands.build(engine.directory, ("kwokctl",))["kwokctl"]
        kwok.down(engine.directory, patterns, kwokctl)
