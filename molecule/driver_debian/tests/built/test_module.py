# SPDX-License-Identifier: GPL-3.0-or-later
"""What Debian's real packages and DKMS have left on the node."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

PACKAGES = ("nvidia-kernel-dkms", "nvidia-smi", "libcuda1", "libnvidia-ml1", "nvidia-kernel-support")


@pytest.fixture
def kernel(host: Host) -> str:
    release: str = json.loads(host.file("/etc/ansible/facts.d/debian_kernel.fact").content_string)
    return release


def test_the_module_is_built_for_that_kernel(host: Host, kernel: str) -> None:
    version = host.package("nvidia-kernel-dkms").version.split("-")[0]
    said = host.check_output(f"modinfo -k {kernel} nvidia-current")
    assert f"version:        {version}\n" in said
    assert f"vermagic:       {kernel} " in said
    assert "license:        NVIDIA\n" in said
    assert f"{kernel}, x86_64: installed" in host.check_output("dkms status nvidia-current")


def test_the_packages_are_of_one_version_and_held(host: Host) -> None:
    assert len({host.package(name).version for name in PACKAGES}) == 1
    held = host.check_output("apt-mark showhold").split()
    assert sorted(held) == sorted([*PACKAGES, "nvidia-persistenced"])


def test_the_packages_come_from_the_archive_that_the_node_uses(host: Host) -> None:
    added = host.file("/etc/apt/sources.list.d/gpulab-nvidia-driver.sources").content_string
    main = host.check_output(
        "apt-get indextargets --format '$(REPO_URI)' 'Component: main' 'Codename: bookworm'"
    )
    assert f"URIs: {main.splitlines()[0]}\n" in added
    assert "Components: contrib non-free non-free-firmware\n" in added
    assert host.run("apt-get check").succeeded


def test_no_desktop_comes_along(host: Host) -> None:
    installed = host.check_output("dpkg-query -W -f '${Package}\\n'").split()
    assert not [name for name in installed if name.startswith(("xserver", "libx11", "libgl1"))]
