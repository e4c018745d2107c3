# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/nodes.yml with tags of other plays: it is a part of site.yml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ansible_runs import checkout_playbook

# This machine in the place of a node.
NODE = "gpu_nodes: {hosts: {node: {ansible_connection: local, ansible_become: false}}}"


@pytest.mark.parametrize("playbook", ["nodes", "verify"])
@pytest.mark.parametrize("tags", [("--tags", "workflow"), ("--skip-tags", "nodes,verify")])
def test_tags_of_other_plays_leave_nodes_alone(playbook: str, tags: tuple[str, str], tmp_path: Path) -> None:
    """Roles have their arguments validated whatever the tags are."""
    (tmp_path / "inventory.yml").write_text(NODE)
    run = checkout_playbook("-i", str(tmp_path / "inventory.yml"), f"playbooks/{playbook}.yml", *tags)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "changed=1" not in run.stdout
