# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a node: from small trees that are laid out like its own."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _nvidia_node_run
from ansible_collections.gpulab.pachyderm.plugins.module_utils._nvidia_node import (
    initramfs_stale,
    read_node,
    secure_boot,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._nvidia_node_pci import generation, read_pci
from tests.unit.machine import link, write

KERNEL = "6.1.0-35-amd64"


@pytest.fixture
def no_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(_nvidia_node_run, "SYSTEM_PATHS", ())


def device(root: Path, address: str, vendor: int, device_id: int, pci_class: int, driver: str = "") -> Path:
    path = root / "sys/bus/pci/devices" / address
    for name, value in (
        ("vendor", f"0x{vendor:04x}"),
        ("device", f"0x{device_id:04x}"),
        ("class", f"0x{pci_class:06x}"),
    ):
        write(path / name, f"{value}\n")
    if driver:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        link(path / "driver", f"../../drivers/{driver}")
    return path


@pytest.mark.parametrize(
    ("product", "device_id", "expected"),
    [
        ("K80", 0x102D, "older"),
        ("M60", 0x13F2, "maxwell"),
        ("GeForce MX130", 0x174D, "maxwell"),
        ("P100", 0x15F8, "pascal"),
        ("GTX 1080", 0x1B80, "pascal"),
        ("TITAN V", 0x1D81, "volta"),
        ("V100", 0x1DB6, "volta"),
        ("T4", 0x1EB8, "turing"),
        ("GTX 1660", 0x2184, "turing"),
        ("A100", 0x20B0, "ampere"),
        ("A10", 0x2236, "ampere"),
        ("RTX 3090", 0x2204, "ampere"),
        ("RTX 3050", 0x2582, "ampere"),
        ("H100", 0x2330, "hopper"),
        ("H200", 0x2335, "hopper"),
        ("GH200", 0x2342, "hopper"),
        ("L40S", 0x26B9, "ada"),
        ("RTX 4090", 0x2684, "ada"),
        ("B200", 0x2901, "blackwell"),
        ("GB200", 0x2941, "blackwell"),
        ("RTX 5090", 0x2B85, "blackwell"),
        ("GB10", 0x2E12, "blackwell"),
        ("B300", 0x3182, "blackwell"),
        ("first of the next generation", 0x3021, "unknown"),
        ("newer than all that is known", 0x7FFF, "unknown"),
    ],
)
def test_generation(product: str, device_id: int, expected: str) -> None:
    assert generation(device_id) == expected, product


def test_gpus_and_nvswitches(tmp_path: Path) -> None:
    device(tmp_path, "0000:5d:00.0", 0x10DE, 0x2330, 0x030200, "nvidia")
    device(tmp_path, "0000:3b:00.0", 0x10DE, 0x1B80, 0x030000, "vfio-pci")
    device(tmp_path, "0000:3b:00.1", 0x10DE, 0x10F0, 0x040300)  # the sound of the graphics card
    device(tmp_path, "0000:07:00.0", 0x10DE, 0x22A3, 0x068000)
    device(tmp_path, "0000:02:00.0", 0x1A03, 0x2000, 0x030000, "ast")  # the board's own VGA
    device(tmp_path, "0000:00:1f.0", 0x8086, 0xA1C1, 0x068000)
    sliced = device(tmp_path, "0000:5d:00.4", 0x10DE, 0x2330, 0x030200, "nvidia")
    link(sliced / "physfn", "../0000:5d:00.0")
    write(tmp_path / "sys/bus/pci/devices/0000:99:00.0/vendor", "0x10de\n")  # half gone
    assert read_pci(tmp_path) == {
        "gpus": [
            {
                "address": "0000:3b:00.0",
                "device_id": "0x1b80",
                "generation": "pascal",
                "bound_to": "vfio-pci",
            },
            {"address": "0000:5d:00.0", "device_id": "0x2330", "generation": "hopper", "bound_to": "nvidia"},
        ],
        "nvswitches": ["0000:07:00.0"],
    }


def test_a_gpu_that_no_driver_has(tmp_path: Path) -> None:
    device(tmp_path, "0000:3b:00.0", 0x10DE, 0x2330, 0x030200)
    assert read_pci(tmp_path)["gpus"][0]["bound_to"] is None


@pytest.mark.usefixtures("no_commands")
def test_a_machine_that_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    assert read_node(tmp_path, KERNEL, ["/etc/modprobe.d"], 5) == {
        "gpus": [],
        "nvswitches": [],
        "kernel": KERNEL,
        "headers": False,
        "nouveau_loaded": False,
        "secure_boot": None,
        "initramfs_stale": False,
        "driver_predates": False,
        "driver": {
            "loaded_version": None,
            "loaded_flavour": None,
            "module_version": None,
            "module_flavour": None,
            "module_signer": None,
            "library_version": None,
            "users": [],
        },
        "smi": {"gpus": [], "error": "the driver is not loaded"},
        "packages": None,
        "packages_unfinished": False,
        "packages_locked_by": None,
        "machine_id": None,
    }


@pytest.mark.parametrize(
    ("secure", "shim_disabled", "expected"),
    [(1, None, True), (0, None, False), (None, None, False), (1, 1, False), (1, 0, True)],
)
def test_secure_boot(tmp_path: Path, secure: int | None, shim_disabled: int | None, expected: bool) -> None:
    variables = tmp_path / "sys/firmware/efi/efivars"
    write(variables / "BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\7\0\0\0\0\0")
    for name, value in (
        ("SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure),
        ("MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23", shim_disabled),
    ):
        if value is not None:
            write(variables / name, bytes([6, 0, 0, 0, value]))
    assert secure_boot(tmp_path) is expected


def test_secure_boot_is_unknown_where_no_variable_can_be_read(tmp_path: Path) -> None:
    assert secure_boot(tmp_path) is None
    (tmp_path / "sys/firmware/efi/efivars").mkdir(parents=True)  # not mounted
    assert secure_boot(tmp_path) is None


@pytest.mark.parametrize("image", ["initrd.img-{}", "initramfs-{}.img"])
def test_initramfs(tmp_path: Path, image: str) -> None:
    blacklist = write(tmp_path / "etc/modprobe.d/blacklist-nouveau.conf", "")
    folder = blacklist.parent
    os.utime(blacklist, (2000, 2000))
    os.utime(folder, (2000, 2000))
    name = f"/etc/modprobe.d/{blacklist.name}"
    assert not initramfs_stale(tmp_path, KERNEL, [name])  # there is none
    made = write(tmp_path / "boot" / image.format(KERNEL), "")
    write(tmp_path / "boot" / image.format("6.1.0-34-amd64"), "")
    for second, stale in ((1000, True), (2000, False), (3000, False)):
        os.utime(made, (second, second))
        assert initramfs_stale(tmp_path, KERNEL, ["/etc/nothing.conf", name]) is stale
        assert initramfs_stale(tmp_path, KERNEL, ["/etc/modprobe.d"]) is stale
    assert not initramfs_stale(tmp_path, KERNEL, [])


@pytest.mark.usefixtures("no_commands")
def test_a_driver_that_was_loaded_before_its_parameters_were_written(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    name = "/etc/modprobe.d/gpulab.conf"
    os.utime(write(tmp_path / name[1:], ""), (2000, 2000))
    assert not read_node(tmp_path, KERNEL, [name], 5)["driver_predates"]  # there is none
    loaded = tmp_path / "sys/module/nvidia"
    loaded.mkdir(parents=True)
    for second, predates in ((1000, True), (2000, False), (3000, False)):
        os.utime(loaded, (second, second))
        assert read_node(tmp_path, KERNEL, [name], 5)["driver_predates"] is predates
    assert not read_node(tmp_path, KERNEL, ["/etc/nothing.conf"], 5)["driver_predates"]


@pytest.mark.usefixtures("no_commands")
def test_who_is_at_work_with_dpkg(tmp_path: Path) -> None:
    write(tmp_path / "proc/4712/comm", "apt-get\n")
    link(tmp_path / "proc/4712/fd/4", "/var/lib/dpkg/lock-frontend")
    write(tmp_path / "proc/1/comm", "systemd\n")
    link(tmp_path / "proc/1/fd/4", "/dev/null")
    assert read_node(tmp_path, KERNEL, [], 5)["packages_locked_by"] == {"pid": 4712, "command": "apt-get"}


@pytest.mark.usefixtures("no_commands")
def test_the_kernel_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "usr/src/linux-headers-6.1.0-35-amd64").mkdir(parents=True)
    link(tmp_path / "lib/modules" / KERNEL / "build", "../../../usr/src/linux-headers-6.1.0-35-amd64")
    link(tmp_path / "lib/modules/6.1.0-34-amd64/build", "../../../usr/src/gone")
    (tmp_path / "sys/module/nouveau").mkdir(parents=True)
    write(tmp_path / "etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    node = read_node(tmp_path, KERNEL, [], 5)
    assert (node["kernel"], node["headers"], node["nouveau_loaded"]) == (KERNEL, True, True)
    assert node["machine_id"] == "3d1219c7c4c5404aaa1f6d2a48adfda4"
    assert not read_node(tmp_path, "6.1.0-34-amd64", [], 5)["headers"]
    write(tmp_path / "etc/machine-id", "uninitialized\n")
    assert read_node(tmp_path, KERNEL, [], 5)["machine_id"] is None


@pytest.mark.usefixtures("no_commands")
def test_the_result_is_documented_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    module: Any = importlib.import_module(
        "ansible_collections.gpulab.pachyderm.plugins.modules.nvidia_node_info"
    )
    documented = yaml.safe_load(module.RETURN)["nvidia"]["contains"]
    node = read_node(tmp_path, KERNEL, [], 5)
    assert set(documented) == set(node)
    assert set(documented["driver"]["contains"]) == set(node["driver"])
    assert set(documented["smi"]["contains"]) == set(node["smi"])
    device(tmp_path, "0000:3b:00.0", 0x10DE, 0x2330, 0x030200)
    assert set(documented["gpus"]["contains"]) == set(read_pci(tmp_path)["gpus"][0])
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert {name: option.get("default") for name, option in options.items()} == {
        name: option.get("default") for name, option in module.ARGUMENTS.items()
    }
