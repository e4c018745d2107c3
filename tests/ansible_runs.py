# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of Ansible as users start them, in a process of their own: what they print and their status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A play on this machine alone, without an inventory.
LOCAL = ("-i", "localhost,", "-c", "local")
# More than any run needs; what hangs ends here.
SECONDS = 900


def home_environment(home: Path, **others: str) -> dict[str, str]:
    """Of a user who has the collection and nothing else, whatever is set where the tests run."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        **others,
    }


def ansible(
    command: str, *arguments: str, home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command such as playbook or doc, called in the user's home."""
    return _run([command, *arguments], home, home_environment(home, **environment))


def checkout_playbook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """ansible-playbook, called in the checkout with its ansible.cfg."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    return _run(["playbook", *arguments], ROOT, inherited | settings | environment)


def _run(
    arguments: list[str], directory: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ansible", *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
