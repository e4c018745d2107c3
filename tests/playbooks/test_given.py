# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that Ansible lets through and no module takes: a line that names them, before pachd is asked."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import run_module

NOWHERE = "127.0.0.1:1"
FILE = {"repo": "data", "path": "/a", "content": "x"}


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("project", {"name": None}, "name: must not be null; give name or projects"),
        ("project", {"projects": None}, "name: must not be null; give name or projects"),
        ("repo", {"name": None}, "name: must not be null; give name or repos"),
        ("branch", {"repo": None, "name": "b"}, "repo: is required"),
        ("fetch", {"repo": "data", "dest": None}, "dest: must not be null"),
        ("branch", {"repo": "data", "name": None}, "name: must not be null; give name or branches"),
        ("secret", {"name": None}, "name: must not be null; give name or secrets"),
        ("pipeline", {"pipeline": None}, "must not be null; give "),
        ("pipeline", {"src": None}, "must not be null; give "),
        ("file", FILE | {"path": None}, "path: must not be null; give path or files"),
        ("pipeline", {"src": "a\0b"}, "src: a\0b: is no path, since it holds a NUL"),
        ("secret", {"name": "s", "files": {"k": "a\0b"}}, "files.k: is no path, since it holds a NUL"),
    ],
)
def test_it_is_named(
    capsys: pytest.CaptureFixture[str], module: str, options: dict[str, Any], message: str
) -> None:
    result = run_module(capsys, module, pachd_address=NOWHERE, timeout=1, **options)
    assert result["failed"]
    assert message in result["msg"]
    assert NOWHERE not in result["msg"]
