# SPDX-License-Identifier: GPL-3.0-or-later
"""Each Molecule scenario, whole. As tests they run beside the other labs: most of a lab's time is waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in SCENARIOS]
)
def test_scenario(scenario: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario],
        cwd=ROOT,
        env={
            **os.environ,
            "MOLECULE_GLOB": "molecule/*/molecule.yml",
            "MOLECULE_COMMAND_BORDERS": "0",
            "NO_COLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
