# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of docs/testing-playbooks.md, run as it stands there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from pachd_embedded.server import Server, Settings
from tests.ansible_runs import LOCAL, ROOT, ansible

PAGE = ROOT / "docs/testing-playbooks.md"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What the playbook finds beside it: a lab of five bytes, and images of more than a thousand."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "test.yml").write_text(block, encoding="utf-8")
    (tmp_path / "images").mkdir()
    for number in range(5):
        (tmp_path / f"images/{number}").write_bytes(bytes([number]) * 500)
    (tmp_path / "lab/repos/default/data/master").mkdir(parents=True)
    (tmp_path / "lab/repos/default/data/master/first").write_bytes(b"first")
    manifest = {"format": 1, "repos": [{"name": "data", "branches": [{"name": "master"}]}]}
    (tmp_path / "lab/manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_the_example_runs_as_it_stands_in_the_document(directory: Path) -> None:
    server = Server(Settings(directory / "data", "127.0.0.1:0", private_pfs=True, control="127.0.0.1:0"))
    variables = {
        "pachd": server.address,
        "control": f"http://{server.control}",
        "ansible_python_interpreter": sys.executable,
    }
    done = ansible("playbook", *LOCAL, "-e", json.dumps(variables), "test.yml", home=directory)
    server.stop(0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"ok=12 .*failed=0 .*ignored=1", done.stdout), done.stdout
