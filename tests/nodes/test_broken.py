# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are broken on purpose: roles and verify stop, name the fault, and overwrite nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.nodes import labs
from tests.nodes.faults import FAULTS, SAVE

pytestmark = pytest.mark.slow

NAMES = ("n1", "n2")
TOGETHER = ("--extra-vars", "nodes_serial=2")


@pytest.fixture(scope="session")
def nodes() -> Iterator[labs.Nodes]:
    """Converged ones."""
    with labs.nodes("test-broken", "n1=bookworm:2", "n2=trixie:2") as nodes:
        run = nodes.run(labs.PLAYBOOK, *TOGETHER)
        assert run.status == 0, run.output
        for name in NAMES:
            nodes.sh(name, SAVE)
        yield nodes


def state(nodes: labs.Nodes, name: str) -> set[str]:
    """Installed packages, and all files under /etc with their checksums."""
    return set(nodes.sh(name, "dpkg-query -W; find /etc -type f -exec sha256sum {} +").splitlines())


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_node_is_named(name: str, nodes: labs.Nodes) -> None:
    fault = FAULTS[name]
    for node in NAMES:
        nodes.sh(node, fault.breaks)
    try:
        before = {node: state(nodes, node) for node in NAMES}
        run = nodes.run(fault.playbook, *fault.arguments())
        after = {node: state(nodes, node) for node in NAMES}
    finally:
        # All of them, whatever one says: the tests that follow are on the same nodes.
        with ExitStack() as stack:
            for node in NAMES:
                stack.callback(nodes.sh, node, fault.mends)
    assert run.status == 2, run.output
    for node in NAMES:
        assert re.search(fault.words, run.failure(node), re.DOTALL), run.failure(node)
        assert "Traceback" not in run.failure(node)
        assert {line for line in before[node] ^ after[node] if fault.may_change not in line} == set()


def test_output_that_a_busy_node_cut_is_asked_for_again(nodes: labs.Nodes) -> None:
    """Lines of a container's output get lost where containerd is slow: here one of two at first."""
    for node in NAMES:
        nodes.sh(
            node,
            "cat >/usr/local/bin/ctr <<'EOF'; chmod 755 /usr/local/bin/ctr\n"
            "#!/bin/sh\n"
            'case $1 in run) ;; *) exec /usr/bin/ctr "$@" ;; esac\n'
            'if mkdir /run/cut 2>/dev/null; then /usr/bin/ctr "$@" | head -n 1\n'
            'else exec /usr/bin/ctr "$@"; fi\n'
            "EOF",
        )
    try:
        run = nodes.run(labs.VERIFY, *TOGETHER)
        cut = [nodes.sh(node, "ls -d /run/cut") for node in NAMES]
    finally:
        for node in NAMES:
            nodes.sh(node, "rm -rf /usr/local/bin/ctr /run/cut")
    assert run.status == 0, run.output
    assert cut == ["/run/cut"] * len(NAMES)


def test_nodes_that_were_mended_need_nothing(nodes: labs.Nodes) -> None:
    run = nodes.run(labs.PLAYBOOK, *TOGETHER)
    assert run.status == 0, run.output
    assert {node: run.changed(node) for node in NAMES} == {node: [] for node in NAMES}
