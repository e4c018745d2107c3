# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane whose nodes kwok only simulates, for what needs no container."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.api import ROOT, Api


@contextmanager
def running(name: str, nodes: int) -> Iterator[Api]:
    verb = [sys.executable, "-m", "testlab", "cluster", "kwok"]
    try:
        up = subprocess.run(
            [*verb, "up", "--lab", name, "--nodes", str(nodes)], cwd=ROOT, capture_output=True, text=True
        )
        assert up.returncode == 0, up.stdout + up.stderr
        yield Api(name)
    finally:
        subprocess.run([*verb, "down", "--lab", name], cwd=ROOT, check=True, capture_output=True)
