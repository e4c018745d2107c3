# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles and their tests take for granted of a test node."""

from __future__ import annotations

from testinfra.host import Host


def test_systemd_has_started_everything(host: Host) -> None:
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_a_restart_is_seen_as_one(host: Host) -> None:
    assert host.file("/etc/first-boot-id").content_string != host.check_output(
        "cat /proc/sys/kernel/random/boot_id"
    )
    # What was installed before is still there: a restart is no new node.
    assert host.package("pciutils").is_installed


def test_the_kernel_of_the_machine_below_is_out_of_reach(host: Host) -> None:
    bounding = int(host.check_output("sed -n 's/^CapBnd:\t//p' /proc/self/status"), 16)
    cap_sys_module = 16
    assert not bounding & 1 << cap_sys_module


def test_the_package_repository_is_there_but_not_known_to_apt(host: Host) -> None:
    assert host.file("/srv/testlab/apt/key.asc").exists
    assert host.file("/srv/testlab/apt/dists/testlab").is_directory
    assert "/srv/testlab" not in host.check_output("apt-get indextargets --format '$(URI)'")


def test_engines_have_a_real_disk(host: Host) -> None:
    for directory in ("/var/lib/docker", "/var/lib/containerd"):
        assert host.check_output(f"stat --file-system --format %T {directory}") != "overlayfs"


def test_a_node_has_the_gpus_that_were_asked_for(host: Host) -> None:
    found = host.check_output("grep -l 0x10de /sys/bus/pci/devices/*/vendor 2>/dev/null || true").split()
    assert len(found) == (2 if host.check_output("hostname") == "two" else 0)
