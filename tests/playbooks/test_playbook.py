# SPDX-License-Identifier: GPL-3.0-or-later
"""A real playbook, as a user runs it: check mode on an empty lab, then the real run, then nothing to do."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.ansible_runs import LOCAL, ansible

from .conftest import Lab


def play(lab: Lab, source: Path, *arguments: str) -> tuple[int, str]:
    """How many tasks changed something, and all that Ansible printed, on one line."""
    variables = {"address": lab.address, "source": str(source), "ansible_python_interpreter": sys.executable}
    playbook = str(Path(__file__).parent / "lab.yml")
    done = ansible("playbook", *LOCAL, "-e", json.dumps(variables), playbook, *arguments, home=source.parent)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, done.stdout + done.stderr
    changed = re.search(r"changed=(\d+)", text)
    assert changed, text
    return int(changed[1]), text


def test_lab(lab: Lab, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "1").write_bytes(b"a")
    (source / "2").write_bytes(b"b")

    changed, text = play(lab, source, "--check", "--diff")
    assert changed == 4
    assert lab.mutations() == []
    for named in (
        "repo vision/images: project vision does not exist yet",
        "repo default/data does not exist yet; it is taken as an empty one",
        "pipeline default/first: input repo default/data does not exist yet",
        '"project vision": {',
        '"/raw/1": "1 bytes"',
        '"pipeline default/last": {',
    ):
        assert named in text

    changed, text = play(lab, source)
    assert changed == 4
    assert "[WARNING]" not in text
    seen = lab.mutations()
    assert seen

    for arguments in ((), ("--check",)):
        changed, text = play(lab, source, *arguments)
        assert changed == 0
        assert "[WARNING]" not in text
    assert lab.mutations() == seen
