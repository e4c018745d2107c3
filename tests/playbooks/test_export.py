# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/export.yml: what it writes, applied to the lab that it was exported from, changes nothing."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.ansible_runs import ROOT, ansible

from .conftest import Lab
from .pipelines import spec


def play(home: Path, playbook: Path, *arguments: str, **variables: Any) -> tuple[int, str]:
    """How many tasks changed something, and what Ansible said."""
    extra = json.dumps({"ansible_python_interpreter": sys.executable, **variables})
    done = ansible(
        "playbook", "-i", "localhost,", "-c", "local", str(playbook), "-e", extra, *arguments, home=home
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found
    return int(found[1]), done.stdout + done.stderr


def test_a_rich_lab_applied_to_itself_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    lab.run("project", name="vision", description="Images", metadata={"owner": "ops"})
    lab.run(
        "repo", repos=[{"name": "data", "description": "d: {{ x }}"}, {"name": "raw", "project": "vision"}]
    )
    lab.run("prune", lab="mine", repos=["default/data"])
    script = "echo '{{ go }}' {% x %} $KEY > /pfs/out/a"
    first = spec("first", "data", script, datum_tries=2)
    first["transform"]["env"] = {"KEY": "hush"}
    lab.run("pipeline", pipelines=[first, spec("second", "first")])
    exported = tmp_path / "exported.yml"
    address = {"pachyderm_workflow_pachd_address": f"grpc://{lab.address.removeprefix('grpc://')}"}
    seen = lab.mutations()
    _changed, text = play(
        tmp_path, ROOT / "playbooks/export.yml", "-vvv", export_file=str(exported), **address
    )
    assert lab.mutations() == seen
    assert "hush" not in text
    assert exported.stat().st_mode & 0o777 == 0o600
    written = yaml.safe_load(exported.read_text())
    assert [repo["name"] for repo in written["pachyderm_workflow_repos"]] == ["data", "raw"]
    assert "gpulab.lab" not in exported.read_text()

    apply = tmp_path / "apply.yml"
    role = {"role": "gpulab.pachyderm.pachyderm_workflow"}
    apply.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": [role]}]))
    for mode in (["--check"], []):
        changed, text = play(
            tmp_path, apply, "-e", f"@{exported}", *mode, pachyderm_workflow_wait=False, **address
        )
        assert changed == 0, text
    assert lab.mutations() == seen


def test_it_is_not_written_where_ansible_reads_it_as_an_inventory(lab: Lab, tmp_path: Path) -> None:
    inventory, home = tmp_path / "inventory", tmp_path / "home"
    inventory.mkdir()
    home.mkdir()
    (inventory / "hosts.yml").write_text(json.dumps({"workflow": {"hosts": {"localhost": None}}}))
    settings = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "pachyderm_workflow_pachd_address": f"grpc://{lab.address.removeprefix('grpc://')}",
    }
    command = ("-i", str(inventory), str(ROOT / "playbooks/export.yml"), "-e", json.dumps(settings))
    for _ in range(2):
        done = ansible("playbook", *command, home=home, PWD=str(home))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "not a valid group" not in done.stdout + done.stderr
    assert (home / "exported.yml").is_file()


def test_the_role_prunes_what_earlier_runs_made(lab: Lab, tmp_path: Path) -> None:
    lab.run("repo", name="before")
    address = {"pachyderm_workflow_pachd_address": f"grpc://{lab.address.removeprefix('grpc://')}"}
    apply = tmp_path / "apply.yml"
    role = {"role": "gpulab.pachyderm.pachyderm_workflow"}
    apply.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": [role]}]))
    whole = {
        "pachyderm_workflow_lab": "mine",
        "pachyderm_workflow_repos": [{"name": "data"}, {"name": "before"}],
        "pachyderm_workflow_pipelines": [spec("p", "data")],
        **address,
    }
    less = whole | {"pachyderm_workflow_repos": [], "pachyderm_workflow_pipelines": []}
    pruned = less | {"pachyderm_workflow_prune": True}
    assert play(tmp_path, apply, **whole)[0] == 4
    assert play(tmp_path, apply, **whole)[0] == 0
    assert play(tmp_path, apply, **less)[0] == 0
    seen = lab.mutations()
    changed, text = play(tmp_path, apply, "--check", "--diff", **pruned)
    assert changed == 1
    assert "pipeline default/p" in text
    assert lab.mutations() == seen
    assert play(tmp_path, apply, **pruned)[0] == 1
    assert play(tmp_path, apply, **pruned)[0] == 0
    assert [info.repo.name for info in lab.client.pfs.list_repo(type="user")] == ["before"]
