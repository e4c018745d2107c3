# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia_driver on each platform: what a bare node is asked to do, against the table in cases_driver.py."""

from __future__ import annotations

import pytest

from .cases_driver import CHECKED, ROWS, Row
from .conftest import Rendering
from .harness import Rendered
from .tables import (
    QUESTIONS,
    acts,
    bare,
    contents,
    installed,
    predicted,
    repositories,
    services,
    streams,
    versions,
)


def entries(row: Row, done: Rendered) -> list[str]:
    """The archives that the node got: their addresses (dnf), or the lines of their entries (apt), sorted."""
    if row.dnf:
        return [found["baseurl"] for found in repositories(done)]
    texts = [text for text in done.written if "URIs: " in text]
    return sorted(line for text in texts for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", ROWS)
def test_a_bare_node_gets_repository_packages_and_commands(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver")[name]
    assert done.failure == ""
    assert installed(done) == {bare(package) for package in row.packages}
    assert set(versions(done).values()) - {row.kernel} == ({row.pin} if row.pin else set())
    assert entries(row, done) == (list(row.repository) if row.dnf else sorted(row.repository))
    keys = [call.args["url"] for call in done.of("get_url")] + [
        found["gpgkey"] for found in repositories(done)[:1]
    ]
    assert keys == ([row.key] if row.key else [])
    assert streams(done) == ({row.stream} if row.stream else set())
    assert [line for line in acts(done) if "versionlock" not in line] == [row.initramfs, "modprobe nvidia"]
    fabric = {"nvidia-fabricmanager"} if row.fabric_manager else set()
    assert services(done) == {"nvidia-persistenced"} | fabric


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_predicts_the_same_and_changes_nothing(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver in check mode")[name]
    assert done.failure == ""
    assert {bare(package) for package in predicted(done)} == {
        bare(package) for package in row.packages if package != "python3-dnf-plugin-versionlock"
    }
    assert entries(row, done) == (list(row.repository) if row.dnf else sorted(row.repository))
    assert all(call.check for call in done.writes() if not call.command.startswith(QUESTIONS))


@pytest.mark.parametrize("name", ROWS)
def test_the_packages_of_the_driver_are_held(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver")[name]
    held = {call.args["name"] for call in done.of("dpkg_selections") if call.args["selection"] == "hold"}
    for line in done.commands:
        if line.startswith("dnf -y versionlock add "):
            held |= set(line.split()[4:])
    others = ("linux-headers", "kernel-devel", "python3-dnf-plugin")
    assert held == {package for package in row.packages if not package.startswith(others)}


@pytest.mark.parametrize("name", ROWS)
def test_nouveau_is_blocked(name: str, rendering: Rendering) -> None:
    texts = contents(rendering("driver")[name])
    (text,) = [text for path, text in texts.items() if path.startswith("/etc/modprobe.d/")]
    assert {"blacklist nouveau", "options nouveau modeset=0"} <= set(text.splitlines())
