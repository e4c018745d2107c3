# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that the driver was removed from is as it was before, but for what builds modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

# Others may use them: docs of nvidia_driver_state.
STAYING = {"dkms-stand-in"}
STAYING_FILES = {"/etc/kernel/header_postinst.d/dkms"}
# The linker's, and an empty file that unattended-upgrade makes where there is none.
REMADE = {"/etc/ld.so.cache", "/etc/apt/sources.list"}


@pytest.fixture(scope="session")
def again(play: Callable[..., Any]) -> Any:
    return play("absent.yml")


def files(text: str) -> dict[str, str]:
    """Path -> checksum."""
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in text.splitlines())}


def test_packages_are_as_before(host: Host) -> None:
    before = set(host.file("/srv/expected/packages").content_string.splitlines())
    now = set(host.check_output("dpkg --get-selections").splitlines())
    assert before - now == set()
    left = {line.split()[0] for line in now - before}
    assert {name for name in left if not name.startswith("linux-headers-")} == STAYING


def test_files_are_as_before(host: Host) -> None:
    before = files(host.file("/srv/expected/files").content_string)
    now = files(host.check_output("find /etc -type f -exec sha256sum {} +"))
    changed = {path for path in before | now if before.get(path) != now.get(path)}
    assert changed - REMADE == STAYING_FILES
    assert host.check_output("find /etc/modprobe.d /etc/systemd -xtype l") == ""


def test_nothing_is_loaded_on_disk_or_in_the_initramfs(host: Host) -> None:
    assert not host.file("/proc/driver/nvidia").exists
    assert host.check_output("find /lib/modules /usr/lib/x86_64-linux-gnu -name '*nvidia*'") == ""
    assert "nvidia" not in host.check_output("cat /boot/initrd.img-$(uname -r)")


def test_again_changes_nothing(host: Host, again: Any) -> None:
    assert again.changed[host.check_output("hostname")] == 0
