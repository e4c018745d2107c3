# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed between any two tasks is taken up by the next one.

Each node begins bare and has a run of its own, killed where the task starts that the node is listed with.
One run then converges all nodes, and one more finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.nodes import labs

pytestmark = pytest.mark.slow

# In the order of a run; the odd ones are bookworm, the even ones trixie.
KILLED_AT = {
    "k1": "Pin the version",
    "k2": "Install the driver; a build by DKMS takes minutes",
    "k3": "Hold the driver's packages, or let them go",
    "k4": "Build what is missing",
    "k5": "Reboot",
    "k6": "Run NVIDIA's daemons",
    "k7": "Install by apt",
    "k8": "Hold them, or let go of them",
    "k9": "Restart the engines that have to be",
    "k10": "Write it for the driver that is loaded",
}
# Each kills an ansible-playbook, of which more at a time are no faster.
AT_ONCE = 4


@dataclass(frozen=True)
class Story:
    """What happened to all nodes: a killed run each, then two runs over all of them."""

    nodes: labs.Nodes
    killed: dict[str, labs.Run]
    next: labs.Run
    after: labs.Run


@pytest.fixture(scope="session")
def story() -> Iterator[Story]:
    wanted = [f"{name}={'bookworm' if int(name[1:]) % 2 else 'trixie'}:2" for name in KILLED_AT]
    with labs.nodes("test-killed", *wanted) as nodes:

        def kill(name: str) -> labs.Run:
            return nodes.run(labs.PLAYBOOK, "--limit", name, kill_at=KILLED_AT[name])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            killed = dict(zip(KILLED_AT, pool.map(kill, KILLED_AT), strict=True))
        together = ("--extra-vars", f"nodes_serial={len(KILLED_AT)}")
        yield Story(nodes, killed, nodes.run(labs.PLAYBOOK, *together), nodes.run(labs.PLAYBOOK, *together))


@pytest.mark.parametrize("name", KILLED_AT)
def test_a_run_killed_before(name: str, story: Story) -> None:
    killed = story.killed[name]
    # By the callback, and not for want of the task.
    assert killed.status == -9, killed.output
    done = set(killed.changed(name))
    assert KILLED_AT[name] not in done
    # The next run does the rest, verify being its last task; what was done already is not done again.
    assert not story.next.failure(name), story.next.failure(name)
    assert "Ask for the GPUs in a container" in {
        event.task.split(" : ")[-1] for event in story.next.events if event.host == name
    }
    assert story.after.changed(name) == []
    assert not story.after.failure(name)


def test_a_kill_leaves_no_file_half_written(story: Story) -> None:
    for name in KILLED_AT:
        left = story.nodes.sh(
            name, "find /etc -name '.ansible_tmp*' -o -name '*gpulab*tmp*' -o -name '*.gpulab-kept'"
        )
        assert left == ""
        assert story.nodes.sh(name, "ls -A /run/gpulab-nvidia 2>/dev/null || true") == ""
