# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node with a driver looks like, after each of the things that are done to it.

/srv/expected/state.json on the node says which version there should be by now, and how often it was rebooted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from testinfra.host import Host

LIBRARIES = {"libcuda1", "libnvidia-ml1", "nvidia-smi"}
MODULES = {"gpu1": {"nvidia-kernel-dkms", "nvidia-kernel-support"}, "gpu2": {"nvidia-open-kernel-dkms"}}
# Name of the module's file, its licence.
FLAVOURS = {"gpu1": ("nvidia-current", "NVIDIA"), "gpu2": ("nvidia-current-open", "Dual MIT/GPL")}
MODPROBE = """\
# Written by the role gpulab.pachyderm.nvidia_driver
blacklist nouveau
options nouveau modeset=0
options nvidia NVreg_EnableStreamMemOPs=1
options nvidia-current NVreg_EnableStreamMemOPs=1
options nvidia-current-open NVreg_EnableStreamMemOPs=1
"""


@dataclass(frozen=True)
class Expected:
    """`pin` is the version that apt would take, which is not always the one that is there."""

    boots: int
    version: str
    pin: str


@pytest.fixture(scope="module")
def expected(host: Host) -> Expected:
    return Expected(**json.loads(host.file("/srv/expected/state.json").content_string))


@pytest.fixture(scope="module")
def name(host: Host) -> str:
    text: str = host.check_output("hostname")
    return text


def test_the_module_on_disk(host: Host, name: str, expected: Expected) -> None:
    module, license_ = FLAVOURS[name]
    folder = f"/lib/modules/{host.check_output('uname -r')}/updates/dkms"
    found = host.check_output(f"ls {folder}").split()
    # Of the other flavour there is nothing.
    assert sorted(found) == sorted(f"{module}{part}.ko" for part in ("", "-uvm", "-modeset", "-drm"))
    assert host.check_output(f"modinfo -F version {folder}/{module}.ko") == expected.version
    assert host.check_output(f"modinfo -F license {folder}/{module}.ko") == license_


def test_the_loaded_module(host: Host, name: str, expected: Expected) -> None:
    said = host.file("/proc/driver/nvidia/version").content_string.splitlines()[0]
    assert f"  {expected.version}  " in said
    assert ("Open Kernel Module" in said) == (name == "gpu2")
    assert not host.file("/sys/module/nouveau").exists


def test_nvidia_smi_lists_both_gpus(host: Host, expected: Expected) -> None:
    answer = host.check_output("nvidia-smi --query-gpu=index,driver_version --format=csv,noheader")
    assert answer.splitlines() == [f"0, {expected.version}", f"1, {expected.version}"]


def test_the_packages_are_of_that_version_and_held(host: Host, name: str, expected: Expected) -> None:
    packages = LIBRARIES | MODULES[name]
    assert {host.package(package).version for package in packages} == {f"{expected.version}-1"}
    held = host.check_output("apt-mark showhold").split()
    assert set(held) == packages | {"nvidia-persistenced"}


def test_apt_is_pinned(host: Host, expected: Expected) -> None:
    assert f"Candidate: {expected.pin}-1\n" in host.check_output("apt-cache policy nvidia-driver")


def test_the_repository_counts_for_its_own_key_only(host: Host) -> None:
    text = host.file("/etc/apt/sources.list.d/gpulab-nvidia-driver.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/gpulab-nvidia-driver-key.asc\n" in text
    trusted = host.check_output("ls /etc/apt/trusted.gpg.d")
    assert "gpulab" not in trusted


def test_modprobe_is_told(host: Host) -> None:
    assert host.file("/etc/modprobe.d/gpulab-nvidia.conf").content_string == MODPROBE


def test_nouveau_is_blocked_in_the_initramfs_which_the_role_made_once(host: Host) -> None:
    kernel = host.check_output("uname -r")
    assert MODPROBE in host.file(f"/boot/initrd.img-{kernel}").content_string
    made = host.file("/srv/expected/initramfs").content_string.splitlines()
    assert made.count(f"-u -k {kernel}") == 1


def test_the_persistence_daemon_runs(host: Host) -> None:
    service = host.service("nvidia-persistenced")
    assert service.is_running
    assert service.is_enabled


def test_reboots_are_those_that_were_needed(host: Host, expected: Expected) -> None:
    boots = host.file("/srv/expected/boots").content_string.split()
    assert len(boots) == expected.boots
    # Nothing since has rebooted it.
    assert host.file("/proc/sys/kernel/random/boot_id").content_string.strip() == boots[-1]
