# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role nvidia_driver concludes from the state of a Debian node, without a node."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[2] / "roles/nvidia_driver"
FILES = ("defaults/main.yml", *(f"vars/main/{name}.yml" for name in ("main", "refused", "faults")))
FACTS = {
    "os_family": "Debian",
    "distribution": "Debian",
    "distribution_version": "12.11",
    "distribution_major_version": "12",
    "distribution_release": "bookworm",
    "kernel": "6.1.0-35-amd64",
    "architecture": "x86_64",
}
PACKAGES = ["libcuda1", "libnvidia-ml1", "nvidia-kernel-dkms", "nvidia-kernel-support", "nvidia-smi"]
INSTALLED = {name: {"version": "535.261.03-1", "held": True} for name in PACKAGES}
INSTALLED["nvidia-persistenced"] = {"version": "535.171.04-1~deb12u1", "held": True}
SMI = {
    "index": 0,
    "uuid": "GPU-0",
    "name": "NVIDIA A100",
    "memory_mib": 40960,
    "driver_version": "535.261.03",
}
# A node on which everything is as it should be.
NODE: dict[str, Any] = {
    "gpus": [
        {"address": "0000:3b:00.0", "device_id": "0x20b0", "generation": "ampere", "bound_to": "nvidia"}
    ],
    "nvswitches": [],
    "kernel": "6.1.0-35-amd64",
    "headers": True,
    "nouveau_loaded": False,
    "secure_boot": False,
    "initramfs_stale": False,
    "driver": {
        "loaded_version": "535.261.03",
        "loaded_flavour": "proprietary",
        "module_version": "535.261.03",
        "module_flavour": "proprietary",
        "module_signer": None,
        "library_version": "535.261.03",
        "users": [],
    },
    "smi": {"gpus": [SMI], "error": None},
    "packages": INSTALLED,
    "packages_unfinished": False,
    "packages_locked_by": None,
    "driver_predates": False,
    "machine_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
}
BARE = {
    "driver": {**dict.fromkeys(NODE["driver"]), "users": []},
    "smi": {"gpus": [], "error": "the driver is not loaded"},
    "packages": {},
}
TRAINING = {"users": [{"pid": 4711, "command": "python3"}]}


def load(path: str) -> Any:
    return DataLoader().load_from_file(str(ROLE / path), trusted_as_template=True)


STANDARD = [load(path) for path in FILES]
PLATFORMS = {name: load(f"vars/{name}.yml") for name in ("debian", "ubuntu")}
# What the role keeps as facts after each look, in this order.
DECIDED = [
    task["ansible.builtin.set_fact"] for task in load("tasks/info.yml") if "ansible.builtin.set_fact" in task
]


def conclude(name: str, node: dict[str, Any], platform: str = "debian", **variables: Any) -> Any:
    """The value of one of the role's variables; `node` is what differs from NODE, `variables` the user's."""
    info = copy.deepcopy(NODE)
    for key, value in node.items():
        info[key] = {**info[key], **value} if key in ("driver", "smi") else value
    known: dict[str, Any] = {"inventory_hostname": "node", "ansible_facts": FACTS}
    for standard in (*STANDARD, PLATFORMS[platform]):
        known.update(standard)
    known["__nvidia_driver_answer"] = {"nvidia": info}
    known["__nvidia_driver_unit_states"] = ["active", "inactive"]
    for key, value in variables.items():
        known[key if key.startswith("ansible_") else f"nvidia_driver_{key}"] = value
    for facts in DECIDED:
        known.update(Templar(DataLoader(), known).template(facts))
    return Templar(DataLoader(), known).template(trust_as_template("{{ " + name + " }}"))


def test_nothing_is_to_be_done_where_all_is_well() -> None:
    assert conclude("__nvidia_driver_problems", {}) == []
    assert conclude("__nvidia_driver_installs", {}) is False
    assert conclude("__nvidia_driver_hold_wrong", {}) == []
    assert conclude("__nvidia_driver_reboot_reasons", {}) == []
    assert conclude("__nvidia_driver_faults", {}) == []
    assert conclude("__nvidia_driver_parameters_pending", {"driver_predates": True}) is False


@pytest.mark.parametrize(
    ("packages", "variables", "asked"),
    [
        ({}, {}, False),
        # What apt itself must be asked.
        ({}, {"packages": ["nvidia-smi=535*"]}, True),
        ({}, {"version": "550.163.01"}, True),
        # Not the role's yet, or nothing tells whether they are: others may have brought them along.
        ({"nvidia-smi": {"version": "535.261.03-1", "held": False}}, {}, True),
        ({}, {"hold": False}, True),
    ],
)
def test_apt_is_asked_only_where_it_may_have_something_to_do(
    packages: dict[str, Any], variables: dict[str, Any], asked: bool
) -> None:
    node = {"packages": {**NODE["packages"], **packages}}
    assert conclude("__nvidia_driver_asks_apt", node, **variables) is asked


def test_a_rerun_upgrades_nothing() -> None:
    """`latest` upgrades on a rerun (stackhpc 315): what is installed is what is wanted."""
    assert conclude("__nvidia_driver_wanted", {}) == "535.261.03*"
    assert conclude("__nvidia_driver_wanted", {}, branch="535") == "535.261.03*"
    assert conclude("__nvidia_driver_replaced", {}, branch="535") == []


@pytest.mark.parametrize(
    ("flavour", "installed", "removed"),
    [
        ("open", PACKAGES, ["nvidia-kernel-dkms", "nvidia-kernel-support"]),
        (
            "proprietary",
            ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support", "nvidia-smi"],
            ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support"],
        ),
        ("proprietary", PACKAGES, []),
        # Of NVIDIA's repository.
        ("proprietary", [*PACKAGES, "nvidia-kernel-open-dkms"], ["nvidia-kernel-open-dkms"]),
    ],
)
def test_the_other_flavour_goes_with_its_modprobe_file(
    flavour: str, installed: list[str], removed: list[str]
) -> None:
    node = {"packages": {name: {"version": "535.261.03-1", "held": False} for name in installed}}
    assert sorted(conclude("__nvidia_driver_removed", node, kernel_module=flavour)) == removed


def test_the_other_source_goes_with_its_modprobe_file() -> None:
    installed = ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support", "nvidia-smi"]
    node = {"packages": {name: {"version": "550.163.01-1", "held": False} for name in installed}}
    removed = conclude("__nvidia_driver_removed", node, source="nvidia", branch="580")
    assert removed == ["nvidia-open-kernel-dkms", "nvidia-open-kernel-support"]


@pytest.mark.parametrize(
    ("source", "removed"),
    [
        ("distribution", ["nvidia-dkms-580-server", "linux-modules-nvidia-580-server-6.8.0-1-generic"]),
        (
            "nvidia",
            [
                "nvidia-dkms-580-server",
                "nvidia-headless-no-dkms-580-server-open",
                "linux-modules-nvidia-580-server-6.8.0-1-generic",
                "linux-modules-nvidia-580-server-open-6.8.0-1-generic",
            ],
        ),
    ],
)
def test_ubuntus_modules_for_further_kernels_stay_with_their_source(source: str, removed: list[str]) -> None:
    installed = [
        "nvidia-dkms-580-server",
        "nvidia-headless-no-dkms-580-server-open",
        "linux-modules-nvidia-580-server-6.8.0-1-generic",
        "linux-modules-nvidia-580-server-open-6.8.0-1-generic",
        "libnvidia-compute-580-server",
    ]
    node = {"packages": {name: {"version": "580.95.05-1", "held": False} for name in installed}}
    found = conclude("__nvidia_driver_removed", node, "ubuntu", source=source, branch="580")
    assert sorted(found) == sorted(removed)


@pytest.mark.parametrize(
    ("generations", "branch", "flavour"),
    [
        (["turing"], "", "proprietary"),
        (["turing"], "580", "open"),
        (["volta"], "580", "proprietary"),
        (["ampere", "pascal"], "580", "proprietary"),
        (["blackwell"], "570", "open"),
        (["unknown"], "580", "open"),
    ],
)
def test_flavour_by_generation(generations: list[str], branch: str, flavour: str) -> None:
    gpus = [{**NODE["gpus"][0], "generation": generation} for generation in generations]
    node = {**BARE, "gpus": gpus}
    assert conclude("__nvidia_driver_flavour", node, branch=branch) == flavour


@pytest.mark.parametrize(
    ("node", "variables", "problem"),
    [
        (
            {"driver": TRAINING},
            {"version": "535.309.01"},
            "driver 535.261.03 would be replaced and is in use by 4711 python3: end them, or set "
            "nvidia_driver_replace_in_use to true",
        ),
        (
            {},
            {"version": "535.230.02"},
            "driver 535.261.03 is installed and 535.230.02 is older: "
            "set nvidia_driver_allow_downgrade to true to go back",
        ),
        (
            {"packages": {}},
            {},
            "libnvidia-ml 535.261.03 is of no package: a driver was installed by hand; remove it first "
            "(nvidia-uninstall)",
        ),
        (
            {**BARE, "gpus": [{**NODE["gpus"][0], "generation": "blackwell"}]},
            {"source": "distribution"},
            "nvidia_driver_branch: GPU 0000:3b:00.0 (0x20b0, blackwell) needs branch 570 or newer, not 535",
        ),
    ],
)
def test_what_cannot_work_is_refused(node: dict[str, Any], variables: dict[str, Any], problem: str) -> None:
    assert problem in conclude("__nvidia_driver_problems", node, **variables)


def test_a_library_that_dpkg_has_yet_to_configure_was_not_installed_by_hand() -> None:
    assert conclude("__nvidia_driver_problems", {"packages": {}, "packages_unfinished": True}) == []


def test_what_is_refused_can_be_allowed() -> None:
    for version, leave in (("535.309.01", "replace_in_use"), ("535.230.02", "allow_downgrade")):
        node = {"driver": TRAINING if leave == "replace_in_use" else {}}
        variables: dict[str, Any] = {"version": version, leave: True}
        assert conclude("__nvidia_driver_problems", node, **variables) == []


@pytest.mark.parametrize(
    ("node", "reasons"),
    [
        ({**BARE, "nouveau_loaded": True}, ["nouveau has the GPUs"]),
        (
            {"driver": {"module_version": "535.309.01"}},
            ["driver 535.261.03 is loaded, 535.309.01 is installed"],
        ),
        (
            {"driver": {"module_flavour": "open"}},
            ["the proprietary module is loaded, the open one is installed"],
        ),
        ({**BARE}, []),
        ({**BARE, "nouveau_loaded": True, "gpus": []}, []),
    ],
)
def test_reboot_only_when_needed(node: dict[str, Any], reasons: list[str]) -> None:
    assert conclude("__nvidia_driver_reboot_reasons", node) == reasons
    assert conclude("__nvidia_driver_reboots", node) is bool(reasons)
    assert conclude("__nvidia_driver_reboots", node, reboot="never") is False


def test_no_reboot_for_a_kernel_that_does_not_run() -> None:
    node = {"nouveau_loaded": True}
    assert conclude("__nvidia_driver_reboot_reasons", node, kernel="6.1.0-36-amd64") == []


def test_the_machine_that_runs_ansible_is_not_rebooted() -> None:
    """Role reboots the machine that runs Ansible (nvidia_driver 20)."""
    node = {**BARE, "nouveau_loaded": True}
    assert conclude("__nvidia_driver_reboots", node) is True
    assert conclude("__nvidia_driver_reboots", node, ansible_connection="local") is False
    assert "runs Ansible" in conclude("__nvidia_driver_why_no_reboot", node, ansible_connection="local")


def test_a_gpu_in_use_is_not_rebooted() -> None:
    node = {"driver": {**TRAINING, "module_version": "535.309.01"}}
    assert conclude("__nvidia_driver_reboots", node) is False
    assert "4711 python3" in conclude("__nvidia_driver_why_no_reboot", node)
    assert conclude("__nvidia_driver_reboots", node, replace_in_use=True) is True


@pytest.mark.parametrize(
    ("node", "variables", "fault"),
    [
        (
            {"driver": {"library_version": "535.309.01"}},
            {},
            "driver 535.261.03 is loaded, the library is 535.309.01",
        ),
        ({"driver": {"library_version": None}}, {}, "libnvidia-ml.so.1 is not installed"),
        ({"driver": {"module_version": None}}, {}, "no NVIDIA module for kernel 6.1.0-35-amd64"),
        ({"driver": {"loaded_version": None}}, {}, "no driver is loaded"),
        (
            {"smi": {"gpus": [], "error": "nvidia-smi did not answer within 60 s"}},
            {},
            "did not answer within 60 s",
        ),
        ({"smi": {"gpus": []}}, {}, "nvidia-smi lists 0 GPUs, 1 are expected"),
        ({}, {"expected_gpus": 2}, "2 GPUs are expected, the PCI bus has 1"),
        ({"nvswitches": ["0000:07:00.0"]}, {}, "fabric manager is not installed"),
    ],
)
def test_a_node_that_is_not_usable(node: dict[str, Any], variables: dict[str, Any], fault: str) -> None:
    """The first is what unattended upgrades leave: kernel module and NVML of different versions."""
    assert any(fault in text for text in conclude("__nvidia_driver_faults", node, **variables))


def test_gpus_of_virtual_machines_are_left_alone() -> None:
    passed = {**NODE["gpus"][0], "bound_to": "vfio-pci"}
    assert conclude("__nvidia_driver_gpus", {"gpus": [passed]}) == []
    assert conclude("__nvidia_driver_reboot_reasons", {"gpus": [passed], "nouveau_loaded": True}) == []
