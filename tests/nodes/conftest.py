# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for each file of tests and for each scenario, each of them one worker's."""

from __future__ import annotations

import os

import pytest

from testlab import cache, host


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := host.refusal(cache.directory()):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _path() -> None:
    """What Debian keeps in sbin, which an ordinary user's PATH may lack."""
    os.environ["PATH"] = host.path()
