# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what docs/performance.md shows of clusters of many nodes, and prints it as its tables.

    .venv/bin/python benchmarks/cluster.py [--runs 3] [--sizes 10,100,1000]

A real control plane, and nodes with 8 GPUs each that kwok only simulates (testlab/README.md). They are added
from one size to the next, so that all sizes are of one run. Taken away in the end.

A look is nvidia_gpu_capacity's work alone: all nodes, the pods that hold GPUs, the device plugins. One
request a node is what it would take to ask for each node by itself. A run is ansible-playbook with the role
nvidia_device_plugin, its own start included: the first one installs the plugin and waits until it is ready on
every node, the others find nothing to do. Requests are those in the API server's audit log.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "collections")]

from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity import (
    parse_options,
    run_capacity,
)
from ansible_collections.gpulab.pachyderm.plugins.modules.nvidia_gpu_capacity import ARGUMENTS
from testlab.cluster import kwok
from tests.cluster import simulated
from tests.cluster.api import Counted, Request, connection
from tests.cluster.device_plugin import ROLE, declared
from tests.cluster.runs import changed, done
from tests.cluster.simulated import Simulated

LAB = "benchmark"
READY_SECONDS = 300


@dataclass(frozen=True)
class Measured:
    """Seconds, and what was asked of the API server meanwhile."""

    seconds: list[float]
    requests: Counter[str]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def times(self, other: Measured) -> str:
        """How many times as long as the other."""
        return f"{self.median / other.median:.1f}"

    @property
    def verbs(self) -> str:
        return ", ".join(f"{count} {verb}" for verb, count in sorted(self.requests.items()))


@dataclass(frozen=True)
class Size:
    """What was measured of so many nodes."""

    nodes: int
    look: Measured
    one_by_one: Measured
    install: Measured
    again: Measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of what changes nothing (default 3)")
    parser.add_argument("--sizes", default="10,100,1000", help="nodes, rising (default %(default)s)")
    options = parser.parse_args()
    numbers = [int(text) for text in options.sizes.split(",")]
    load = os.getloadavg()[0]
    with simulated.running(LAB, numbers[0]) as cluster:
        sizes = []
        for before, count in zip([numbers[0], *numbers], numbers, strict=False):
            grow(cluster, before, count)
            sizes.append(measure(cluster, count, options.runs))
    report(sizes)
    print(f"\nload of the machine before: {load:.1f}; {os.cpu_count()} cores")


def grow(cluster: Simulated, before: int, count: int) -> None:
    """Add nodes until there are so many, and wait for them."""
    api = connection(cluster.kubeconfig)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: api.create("/api/v1/nodes", kwok.node(n)), range(before, count)))
    end = time.monotonic() + READY_SECONDS
    while look(api)["totals"]["nvidia.com/gpu"]["allocatable"] < count * kwok.GPUS:
        if time.monotonic() > end:
            sys.exit(f"{count} nodes: not ready after {READY_SECONDS} s")
        time.sleep(1)


def look(api: Counted) -> dict[str, dict[str, dict[str, int]]]:
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
    options = parse_options({**defaults, "node_selector": "nvidia.com/gpu.present=true"})
    return dict(run_capacity(api, options, True).values)


def measure(cluster: Simulated, count: int, runs: int) -> Size:
    api = connection(cluster.kubeconfig)

    def one_by_one() -> None:
        for number in range(count):
            api.get(f"/api/v1/nodes/{kwok.node(number)['metadata']['name']}")

    def role(**variables: str) -> None:
        done(cluster.role(ROLE, **declared(wait=READY_SECONDS, **variables)))

    # Its first request opens the connection.
    look(api)
    looks = alone(api, lambda: look(api), runs)
    each = alone(api, one_by_one, runs)
    install = audited(cluster, role, 1)
    again = audited(cluster, role, runs)
    assert changed(cluster.role(ROLE, "--check", **declared())) == []
    role(state="absent")
    return Size(count, looks, each, install, again)


def alone(api: Counted, work: Callable[[], object], runs: int) -> Measured:
    """Of requests that this process sends."""
    seconds = []
    for _ in range(runs):
        api.sent.clear()
        seconds.append(timed(work))
    return Measured(seconds, Counter(line.split()[0] for line in api.sent))


def audited(cluster: Simulated, work: Callable[[], object], runs: int) -> Measured:
    """Of requests that another process sends; those of the last run."""
    seconds, sent = [], list[Request]()
    for _ in range(runs):
        with cluster.audited() as requests:
            seconds.append(timed(work))
        sent = requests
    return Measured(seconds, Counter(one.verb for one in sent))


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(sizes: Sequence[Size]) -> None:
    """Two tables: seconds, each also as a multiple of the smallest size's; and requests."""
    first = sizes[0]
    head = ["look", "one request a node", "install and wait", "run that changes nothing"]
    print(f"| nodes | {' | '.join(f'{name}, s | times' for name in head)} |")
    print("| ---: " * (1 + 2 * len(head)) + "|")
    for size in sizes:
        pairs = zip(_parts(size), _parts(first), strict=True)
        cells = [f"{part.median:.3f} | {part.times(small)}" for part, small in pairs]
        print(f"| {size.nodes:,} | {' | '.join(cells)} |")
    print(f"\n| nodes | {' | '.join(f'requests: {name}' for name in head)} |")
    print("| ---: " * (1 + len(head)) + "|")
    for size in sizes:
        print(f"| {size.nodes:,} | {' | '.join(part.verbs for part in _parts(size))} |")


def _parts(size: Size) -> list[Measured]:
    return [size.look, size.one_by_one, size.install, size.again]


if __name__ == "__main__":
    main()
