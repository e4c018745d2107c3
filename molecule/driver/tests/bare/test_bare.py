# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode on a bare node has only looked."""

from __future__ import annotations

from testinfra.host import Host


def test_nothing_is_installed(host: Host) -> None:
    before = host.file("/srv/expected/packages").content_string
    assert host.check_output("dpkg --get-selections") + "\n" == before


def test_no_file_is_written(host: Host) -> None:
    before = host.file("/srv/expected/files").content_string.splitlines()
    now = host.check_output("find /etc -type f -exec sha256sum {} +").splitlines()
    assert sorted(now) == sorted(before)
    assert not host.file("/srv/expected/initramfs").exists


def test_the_node_has_not_been_rebooted_and_nouveau_still_has_the_gpus(host: Host) -> None:
    boot = host.file("/proc/sys/kernel/random/boot_id").content_string
    assert host.file("/srv/expected/boots").content_string == boot
    assert host.file("/sys/module/nouveau").exists
