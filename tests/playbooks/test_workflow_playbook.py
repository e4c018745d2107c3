# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/workflow.yml on a Pachyderm that somebody else runs: no host is in pachyderm_embedded."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from tests.ansible_runs import ROOT, ansible

from .conftest import Lab


def test_a_pachyderm_that_runs_already(lab: Lab, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "pachyderm_workflow_pachd_address": f"grpc://{lab.address.removeprefix('grpc://')}",
        "pachyderm_workflow_repos": [{"name": "data"}],
    }
    inventory.write_text(yaml.safe_dump({"workflow": {"hosts": {"controller": variables}}}))
    for changed, arguments in ((1, ["--check"]), (1, []), (0, []), (0, ["--check"])):
        done = ansible(
            *("playbook", "-i", str(inventory), str(ROOT / "playbooks/workflow.yml"), *arguments),
            home=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"changed=(\d+)", done.stdout)
        assert found
        assert int(found[1]) == changed, done.stdout
    assert [info.repo.name for info in lab.client.pfs.list_repo()] == ["data"]
