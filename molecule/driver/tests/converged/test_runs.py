# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of nodes that are as declared, and of one that has no GPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import testinfra
from testinfra.host import Host


@pytest.fixture(scope="session")
def checked(play: Callable[..., Any]) -> Any:
    return play("converge.yml", "--check", "--diff")


@pytest.fixture(scope="session")
def cpu1() -> Host:
    lab = f"{os.environ['MOLECULE_PROJECT_DIRECTORY']}/build/testlab/molecule-driver"
    return testinfra.get_host("ansible://cpu1", ansible_inventory=f"{lab}/inventory.yml")


def test_check_mode_predicts_nothing(host: Host, checked: Any) -> None:
    assert checked.changed[host.check_output("hostname")] == 0


def test_a_node_without_gpu_is_left_alone_with_a_word(checked: Any, cpu1: Host) -> None:
    assert "cpu1 has no NVIDIA GPU: nothing to do" in checked.output
    before = cpu1.file("/srv/expected/packages").content_string
    assert cpu1.check_output("dpkg --get-selections") + "\n" == before
    files = cpu1.file("/srv/expected/files").content_string.splitlines()
    now = cpu1.check_output("find /etc -type f -exec sha256sum {} +").splitlines()
    assert sorted(now) == sorted(files)
