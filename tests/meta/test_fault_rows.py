# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module of Pachyderm, and each method that modules ask for, is in the table of faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.playbooks.fault_labs import METHODS
from tests.playbooks.fault_rows import ROWS
from tests.playbooks.test_faults import EVERY_RUN

ROOT = Path(__file__).resolve().parents[2]
MODULES = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["pachyderm"]
BROKEN = {method for row in ROWS.values() for method in row.calls} | set(EVERY_RUN)
# With why it is no row.
ELSEWHERE = {"RenewFileSet": "sent every two minutes of an upload, and an error of it is told by the commit"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_row(module: str) -> None:
    assert module in {f"pachyderm_{row.module}" for row in ROWS.values()}


def test_each_method_that_modules_name_is_broken() -> None:
    by_attribute = {method.attribute: name for name, method in METHODS.items()}
    named = set()
    for path in (ROOT / "plugins/module_utils").glob("_*.py"):
        text = path.read_text(encoding="utf-8")
        called = re.findall(r"\bpachd\.(?:admin|auth|metadata|pfs|pps|transaction)\.(\w+)", text)
        named |= {by_attribute[attribute] for attribute in called}
        named |= {name for name in re.findall(r'"(?:/pfs_v2\.API/)?([A-Z]\w+)"', text) if name in METHODS}
    assert named - ELSEWHERE.keys() <= BROKEN
