# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders each table of cases once a test run, whichever process asks first."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable

import pytest

from .cases import TABLES
from .harness import Rendered, render

Rendering = Callable[[str], dict[str, Rendered]]


def attempt(name: str) -> dict[str, Rendered] | str:
    """A rendered table, or why it could not be rendered: that is not tried again for each test."""
    try:
        return render(TABLES[name])
    except AssertionError as error:
        return str(error)


@pytest.fixture(scope="session")
def rendering(tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    """What became of all cases of a table, by its name."""
    root = tmp_path_factory.getbasetemp()
    # Below it, each process of pytest-xdist has a directory of its own.
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    known: dict[str, dict[str, Rendered]] = {}

    def table(name: str) -> dict[str, Rendered]:
        if name not in known:
            kept = root / f"rendered-{name}"
            with (root / f"rendered-{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not kept.exists():
                    kept.write_bytes(pickle.dumps(attempt(name)))
            found = pickle.loads(kept.read_bytes())
            assert not isinstance(found, str), found
            known[name] = found
        return known[name]

    return table
