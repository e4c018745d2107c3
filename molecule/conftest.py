# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the scenarios' tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Run:
    """What a run of a playbook said, and how many tasks changed something, by host."""

    output: str
    changed: dict[str, int]


@pytest.fixture(scope="session")
def play() -> Callable[..., Run]:
    """Run a playbook of the scenario on its nodes. Fails if it fails."""
    project, scenario = (Path(os.environ[f"MOLECULE_{name}_DIRECTORY"]) for name in ("PROJECT", "SCENARIO"))
    inventory = project / f"build/testlab/molecule-{scenario.name}/inventory.yml"

    def run(playbook: str, *arguments: str) -> Run:
        command = [sys.executable, "-m", "ansible.cli.playbook", "--inventory", str(inventory)]
        done = subprocess.run(
            [*command, *arguments, str(scenario / playbook)],
            cwd=project,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "false",
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", done.stdout, re.MULTILINE)
        return Run(done.stdout, {host: int(changed) for host, changed in recap})

    return run
