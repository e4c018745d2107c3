# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what docs/performance.md shows of GPU nodes, and prints it as its tables.

    .venv/bin/python benchmarks/nodes.py [--runs 3] [--only peers,scale] [--peers DIRECTORY] [--nodes 20]

A no-op run is one over nodes that are as declared: it changes nothing, or the benchmark says what it changed
and ends. Nodes are those of testlab/ (root is needed; see its README); they are taken away in the end.

peers: playbooks/nodes.yml and its roles on two nodes against other roles on the same two, taking turns. The
others are not part of this repository: DIRECTORY holds clones, under their own names, of
github.com/NVIDIA/ansible-role-nvidia-driver, github.com/NVIDIA/ansible-role-nvidia-docker and
github.com/geerlingguy/ansible-role-docker. One that is missing is reported as not there. What is declared for
them so that they have nothing to do on a Debian node is in PEERS.

scale: playbooks/nodes.yml over many nodes made of the two.

CPU seconds of the controller are those of ansible-playbook, its workers and its ssh; those of nodes are from
their cgroups. They suffer less than seconds from what else the machine does, whose load is printed with them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from testlab import __main__ as verbs
from testlab import lab
from tests.nodes import labs

# Runs that a side may take until it has nothing more to do.
SETTLING = 4
TASKS_SHOWN = 12


@dataclass(frozen=True)
class Peer:
    """Another role, and what makes it one that has nothing to do on the nodes."""

    directory: str
    # Debian is taken for Ubuntu where a role knows no Debian.
    ubuntu: bool
    variables: dict[str, Any]


PEERS = {
    # Four packages that ours has installed, in place of its four of Ubuntu's archive.
    "NVIDIA's nvidia_driver": Peer(
        "ansible-role-nvidia-driver",
        True,
        {
            "nvidia_driver_ubuntu_packages": [
                "nvidia-kernel-dkms",
                "nvidia-smi",
                "nvidia-persistenced",
                "libcuda1",
            ]
        },
    ),
    # Its repository is not asked: apt-key, which it needs, is gone from Debian 13. Ours has no wrapper.
    "NVIDIA's nvidia_docker": Peer(
        "ansible-role-nvidia-docker",
        True,
        {"nvidia_docker_add_repo": False, "nvidia_docker_install_wrapper": False},
    ),
    # Debian's Docker in place of Docker's own, and nothing of it among what is to be removed.
    "geerlingguy.docker": Peer(
        "ansible-role-docker",
        False,
        {
            "docker_packages": ["docker.io", "containerd"],
            "docker_obsolete_packages": ["docker-engine", "docker-ce", "podman-docker"],
            "docker_add_repo": False,
            "docker_install_compose_plugin": False,
        },
    ),
}
# apt_repository, which one of them uses, needs gpg, or apt-key, which Debian 13 has no more. The package is
# what another installs by name; this stand-in, like NVIDIA's own today, only needs the toolkit.
PEERS_NEED = """
apt-get -qq --yes --no-install-recommends install gpg
d=$(mktemp -d); mkdir $d/DEBIAN
printf 'Package: nvidia-container-runtime\\nVersion: 3.14.0-1\\nArchitecture: all\\nMaintainer: stand-in
Depends: nvidia-container-toolkit\\nDescription: stand-in\\n' >$d/DEBIAN/control
dpkg-deb --build $d $d.deb && dpkg --install $d.deb
"""


@dataclass(frozen=True)
class Figure:
    """One run. Seconds; `load` is the machine's at its end, over one minute."""

    run: labs.Run
    seconds: float
    controller: float
    nodes: float
    load: float


@dataclass(frozen=True)
class Side:
    """What is run, and how."""

    what: str
    playbook: Path
    arguments: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default 3)")
    parser.add_argument("--only", default="peers,scale", help="which groups, by name (default both)")
    parser.add_argument("--peers", type=Path, help="directory of clones of the other roles")
    parser.add_argument("--nodes", type=int, default=20, help="nodes for scale (default 20)")
    options = parser.parse_args()
    only = options.only.split(",")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        labs.nodes("bench", "n1=bookworm:2", "n2=trixie:2") as two,
    ):
        settle(two, Side("playbooks/nodes.yml", labs.PLAYBOOK))
        if "peers" in only:
            peer_figures(two, options.runs, options.peers, Path(scratch))
        if "scale" in only:
            with copies(two, options.nodes) as many:
                scale_figures(many, options.runs)


def peer_figures(two: labs.Nodes, runs: int, peers: Path | None, scratch: Path) -> None:
    """No-op runs of our roles and of others, on two nodes."""
    sides = [
        Side("**playbooks/nodes.yml**, containers seen to have the GPUs", labs.PLAYBOOK, serial("100%")),
        Side("the same, one node after the other (its default)", labs.PLAYBOOK),
        *(ours(name, scratch) for name in ("nvidia_driver", "nvidia_docker")),
    ]
    daemon = same_daemon_json(two)
    missing = []
    for what, peer in PEERS.items():
        if peers and (peers / peer.directory / "tasks/main.yml").is_file():
            sides.append(theirs(what, peer, peers.resolve() / peer.directory, daemon, scratch))
        else:
            missing.append(
                f"{what}: not there ({(peers or Path('DIRECTORY')) / peer.directory}; see --peers)"
            )
    for side in reversed(sides):
        settle(two, side)
    figures(two, sides, runs)
    print("\n".join(missing))


def scale_figures(many: labs.Nodes, runs: int) -> None:
    """playbooks/nodes.yml with nothing to do, over many nodes."""
    settle(many, Side("playbooks/nodes.yml", labs.PLAYBOOK, serial("100%")))
    count = len(many.names)
    forked = [(n, ("--forks", str(n))) for n in (5, 10, 20)]
    all_at_once = [
        Side(f"{count} nodes, {n} forks, all at once", labs.PLAYBOOK, (*serial("100%"), *forks))
        for n, forks in forked
    ]
    batches = Side(f"{count} nodes, 10 forks, default batches", labs.PLAYBOOK, forked[1][1])
    taken = figures(many, [*all_at_once, batches], runs)
    print(f"\nWhere the seconds go ({all_at_once[1].what}):\n\n| task | s |\n| --- | ---: |")
    spent = tasks_seconds(taken[all_at_once[1].what][-1].run.output)
    for task, seconds in spent[:TASKS_SHOWN]:
        print(f"| {task} | {seconds:.1f} |")
    print(
        f"| the other {len(spent[TASKS_SHOWN:])} | {sum(seconds for _, seconds in spent[TASKS_SHOWN:]):.1f} |"
    )


def tasks_seconds(output: str) -> list[tuple[str, float]]:
    """What ansible.posix.profile_tasks says at the end, by task; the longest first."""
    spent: defaultdict[str, float] = defaultdict(float)
    for task, seconds in re.findall(r"^(\S.*?) -{2,} +([0-9.]+)s$", output, re.MULTILINE):
        spent[task.removeprefix("gpulab.pachyderm.")] += float(seconds)
    return sorted(spent.items(), key=lambda entry: -entry[1])


def serial(batches: str) -> tuple[str, ...]:
    return ("--extra-vars", json.dumps({"nodes_serial": batches}))


def ours(role: str, scratch: Path) -> Side:
    return Side(f"**{role}**", play(scratch / f"{role}.json", f"gpulab.pachyderm.{role}", []))


def theirs(what: str, peer: Peer, path: Path, daemon: dict[str, Any], scratch: Path) -> Side:
    """A play with a role that lies elsewhere."""
    fact = {"ansible.builtin.set_fact": {"ansible_distribution": "Ubuntu", "cacheable": True}}
    playbook = play(scratch / f"{peer.directory}.json", str(path), [fact] if peer.ubuntu else [])
    # The same content under each name that one of them has for it.
    variables = {**peer.variables, "docker_daemon_json": daemon, "docker_daemon_options": daemon}
    return Side(what, playbook, ("--extra-vars", json.dumps(variables)))


def play(path: Path, role: str, pre_tasks: list[dict[str, Any]]) -> Path:
    """A playbook (JSON is YAML) of one role, with as few facts as ours has."""
    facts = {"gather_facts": True, "gather_subset": ["!all", "min"]}
    path.write_text(json.dumps([{"hosts": "gpu_nodes", **facts, "pre_tasks": pre_tasks, "roles": [role]}]))
    return path


def same_daemon_json(two: labs.Nodes) -> dict[str, Any]:
    """Write daemon.json as the others do, who compare it byte by byte; what it says stays. Its content."""
    content: dict[str, Any] = {}
    for node in two.names:
        content = json.loads(two.sh(node, "cat /etc/docker/daemon.json"))
        text = json.dumps(content, indent=4, sort_keys=True)
        two.sh(node, f"printf %s '{text}' >/etc/docker/daemon.json")
        two.sh(node, PEERS_NEED)
    return content


@contextmanager
def copies(two: labs.Nodes, count: int) -> Iterator[labs.Nodes]:
    """Nodes made of the two, whose packages and configuration they have."""
    engine = two.engine
    archive = verbs.build(engine)[1]
    images: dict[str, str] = {}
    for node in lab.nodes(engine, [two.lab]):
        images[node.release] = f"localhost/testlab-bench-{node.release}"
        engine.podman("exec", node.container, "sh", "-ec", "apt-get clean; : >/etc/machine-id")
        engine.podman("stop", node.container)
        engine.podman("commit", "--quiet", node.container, images[node.release])
    names = [f"n{number:02}" for number in range(1, count + 1)]
    wanted = [lab.Wanted(name, list(images)[number % 2], 2) for number, name in enumerate(names)]
    try:
        lab.down(engine, ["scale"])
        lab.up(engine, "scale", wanted, images, archive)
        yield replace(two, lab="scale", names=names)
    finally:
        lab.down(engine, ["scale"])
        for image in images.values():
            engine.podman("rmi", image, check=False)


def figures(nodes: labs.Nodes, sides: Sequence[Side], runs: int) -> dict[str, list[Figure]]:
    """Run the sides in turns and print a table of them."""
    taken: dict[str, list[Figure]] = {side.what: [] for side in sides}
    for _ in range(runs):
        for side in sides:
            figure = measured(nodes, side)
            if changes := changed(figure.run):
                sys.exit(f"{side.what}: not a no-op run, since it changed: {', '.join(changes)}")
            taken[side.what].append(figure)
            print(f"{side.what}: {figure.seconds:.1f} s, load {figure.load:.1f}", file=sys.stderr, flush=True)
    print(
        f"\nMedian of {runs}, {os.cpu_count()} cores\n\n"
        "| no-op run | tasks | skipped | s | min | max | CPU s controller | CPU s nodes | load |\n"
        "| --- | " + " | ".join(["---:"] * 8) + " |"
    )
    for what, several in taken.items():
        tasks = Counter(event.status for event in several[0].run.events if event.host == nodes.names[-1])
        seconds = [figure.seconds for figure in several]
        cells = [
            *(what, str(tasks["ok"] + tasks["ignored"]), str(tasks["skipped"])),
            *(f"{value:.1f}" for value in (statistics.median(seconds), min(seconds), max(seconds))),
            *(
                f"{statistics.median(getattr(figure, name) for figure in several):.1f}"
                for name in ("controller", "nodes", "load")
            ),
        ]
        print("| " + " | ".join(cells) + " |")
    return taken


def settle(nodes: labs.Nodes, side: Side) -> None:
    """Run it until it changes nothing."""
    for _ in range(SETTLING):
        run = measured(nodes, side).run
        if not (changes := changed(run)):
            return
        print(f"{side.what}: changed {', '.join(changes)}", file=sys.stderr, flush=True)
    sys.exit(f"{side.what}: still changes after {SETTLING} runs: {', '.join(changes)}")


def changed(run: labs.Run) -> list[str]:
    return sorted({event.task for event in run.events if event.changed})


def measured(nodes: labs.Nodes, side: Side) -> Figure:
    """One run, which must succeed."""
    on_nodes, own, start = nodes_cpu(nodes), controller_cpu(), time.perf_counter()
    run = nodes.run(side.playbook, *side.arguments, callbacks="events,ansible.posix.profile_tasks")
    seconds, own = time.perf_counter() - start, controller_cpu() - own
    if run.status:
        sys.exit(f"{side.what} failed:\n{run.output}")
    return Figure(run, seconds, own, nodes_cpu(nodes) - on_nodes, os.getloadavg()[0])


def controller_cpu() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def nodes_cpu(nodes: labs.Nodes) -> float:
    """CPU seconds that all processes in the nodes have used since they were started."""
    texts = [nodes.sh(name, "cat /sys/fs/cgroup/cpu.stat") for name in nodes.names]
    return sum(int(text.split()[1]) for text in texts) / 1e6


if __name__ == "__main__":
    main()
