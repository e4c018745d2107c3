# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab for each file of tests and for each scenario; each is one worker's."""

from __future__ import annotations

import os

import pytest

from testlab import cache, host


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if reason := host.refusal(cache.directory()):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _path() -> None:
    """What Debian keeps in sbin, which an ordinary user's PATH may lack."""
    os.environ["PATH"] = host.path()
