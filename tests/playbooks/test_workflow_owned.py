# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachyderm_workflow, killed: what it made until then is its lab's, and prune deletes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .test_workflow_killed import Workflow, workflow

__all__ = ["workflow"]

MARKS = "Mark what this lab made, and delete what it declares no more"
KINDS = ("projects", "repos", "branches", "pipelines")


def change(killed: Workflow, **variables: Any) -> None:
    file = killed.directory / "variables.json"
    given = json.loads(file.read_text())
    named = {f"pachyderm_workflow_{name}": value for name, value in variables.items()}
    file.write_text(json.dumps(given | named))


def there(killed: Workflow) -> dict[str, list[str]]:
    found = killed.lab.run("info", gather=list(KINDS))
    return {kind: sorted(one["name"] for one in found[kind]) for kind in KINDS}


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", ["Declare the branches", MARKS])
def test_what_a_killed_run_made_is_pruned(workflow: Callable[[], Any], kill_at: str) -> None:
    with workflow() as killed:
        # What was there before is never the lab's.
        killed.lab.run("repo", name="before")
        release = {"repo": "data", "name": "release", "head": "master"}
        change(killed, lab="mine", repos=[{"name": "data"}, {"name": "before"}], branches=[release])
        assert killed.run(kill_at)[0] == -9
        assert killed.run()[0] == 0
        nothing: dict[str, list[Any]] = {
            key: [] for key in (*KINDS, "data", "defaults", "fetch", "files", "role_bindings")
        }
        change(killed, **nothing, prune=True, prune_data=True)
        assert killed.run()[0] == 0
        assert there(killed) == {
            "projects": ["default"],
            "repos": ["before"],
            "branches": [],
            "pipelines": [],
        }
