# SPDX-License-Identifier: GPL-3.0-or-later
"""Each Molecule scenario, whole; `molecule test --scenario-name NAME` runs one by hand.

As tests they run beside the other labs, since most of a lab's time is waiting. Each is a class, because tests
are shared out by class and by file. In this order three workers end at about the same time: each is given two
classes of one test at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Scenario:
    name: str

    def test_sequence(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "molecule", "test", "--scenario-name", self.name],
            cwd=ROOT,
            env={
                **os.environ,
                # It calls Ansible's commands by name.
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
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


class TestRuntime(Scenario):
    name = "runtime"


@pytest.mark.slow
class TestDriverDebian(Scenario):
    name = "driver_debian"


class TestTestlab(Scenario):
    name = "testlab"

    def test_no_scenario_is_left_out(self) -> None:
        directories = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
        assert {scenario.name for scenario in Scenario.__subclasses__()} == directories


@pytest.mark.slow
class TestDriver(Scenario):
    name = "driver"
