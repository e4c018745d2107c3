# SPDX-License-Identifier: GPL-3.0-or-later
"""Each file of the roles takes part in some case: one that is added without a case fails here."""

from __future__ import annotations

import pytest

from tests.ansible_runs import ROOT

from .cases import TABLES
from .conftest import Rendering

FILES = [
    str(path.relative_to(ROOT))
    for role in ("nvidia_driver", "nvidia_docker")
    for folder in ("tasks", "vars")
    for path in sorted((ROOT / f"roles/{role}/{folder}").iterdir())
    # Ansible loads vars/main.yml, or those in vars/main, with the role, without a word.
    if (folder, path.stem) != ("vars", "main")
]


@pytest.mark.parametrize("file", FILES)
def test_a_case_runs_a_task_of_it(file: str, rendering: Rendering) -> None:
    for table in TABLES:
        for done in rendering(table).values():
            for event in done.events:
                ran = event["file"] if event["status"] != "skipped" else ""
                if any(name.endswith(file) for name in (ran, *event["files"])):
                    return
    pytest.fail(f"no case in tests/playbooks/rendered runs a task of {file}, or reads it")
