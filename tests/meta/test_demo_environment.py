# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make setup` installs is enough for the demo: ansible-core alone, without collections of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/reset.yml"])
def test_a_lab_without_a_cluster_needs_no_other_collection(playbook: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "--syntax-check", playbook],
        cwd=ROOT,
        # Those that come with PyPI's `ansible`, which the tests have, are then out of reach.
        env={**os.environ, "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
