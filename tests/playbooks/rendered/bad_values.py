# SPDX-License-Identifier: GPL-3.0-or-later
"""A value for each variable of a role that its argument specification must refuse."""

from __future__ import annotations

from typing import Any

import yaml

from tests.ansible_runs import ROOT

from .harness import Case

ROLES = ("nvidia_driver", "nvidia_docker")
# What no value of the type can be read from.
WRONG: dict[str, Any] = {
    "bool": "perhaps",
    "int": "many",
    "float": "much",
    "dict": "text without an equals sign",
    "list": {"a": "dictionary"},
}


def options(role: str) -> dict[str, dict[str, Any]]:
    specification = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    found: dict[str, dict[str, Any]] = specification["argument_specs"]["main"]["options"]
    return found


def wrong_values(role: str) -> dict[str, Any]:
    """By variable, a value of the wrong type or out of its choices. Any text is a text: those have none."""
    found = {}
    for name, option in options(role).items():
        kind, element = option.get("type", "str"), option.get("elements", "str")
        if "choices" in option:
            found[name] = ["neither of them"] if kind == "list" else "neither of them"
        elif kind == "list" and element in WRONG:
            found[name] = [WRONG[element]]
        elif kind in WRONG:
            found[name] = WRONG[kind]
    return found


# What its type takes, and no node could do. Of several variables the first is the one to be named.
IMPOSSIBLE: list[dict[str, Any]] = [
    # A misspelt one would be passed over, and the node rebooted.
    {"nvidia_driver_reboots": "never"},
    {"nvidia_docker_runtime": ["docker"]},
    # Numbers to YAML, which drops the last digit of 535.10.
    {"nvidia_driver_version": 535.1},
    {"nvidia_driver_branch": 580.95},
    {"nvidia_docker_version": 1.2},
    {"nvidia_driver_branch": "newest"},
    {"nvidia_driver_version": "535"},
    {"nvidia_driver_version": "535.230.02; reboot"},
    {"nvidia_docker_version": "1.x"},
    # As -e NAME=VALUE and an inventory of the form INI give them.
    {"nvidia_driver_packages": "nvidia-driver"},
    {"nvidia_driver_module_parameters": "NVreg_A=1"},
    {"nvidia_docker_runtimes": "docker"},
    {"nvidia_docker_toolkit_settings": "nvidia-container-runtime.mode=cdi"},
    # Lines of their own in the files that they are written into.
    {"nvidia_driver_module_parameters": {"NVreg_A": "1\ninstall nvidia /bin/true"}},
    {"nvidia_driver_module_parameters": {"NVreg_A B": 1}},
    {"nvidia_driver_module_parameters": {"NVreg_A": None}},
    {"nvidia_driver_module_parameters": {"NVreg_A": {"B": 1}}},
    {"nvidia_driver_repository_url": "https://mirror.example.com/cuda\nTrusted: yes"},
    {"nvidia_docker_repository_url": "https://mirror.example.com/deb\nTrusted: yes"},
    {"nvidia_docker_repository_url": "mirror"},
    {"nvidia_driver_repository_suites": []},
    {"nvidia_driver_repository_key_checksum": "1f"},
    {"nvidia_docker_repository_key_checksum": "1f"},
    {"nvidia_docker_repository_key": "files/missing.asc"},
    {"nvidia_docker_repository_key": ""},
    {"nvidia_docker_package_dir": "packages", "nvidia_docker_source": "directory"},
    {"nvidia_docker_cdi_spec": "/tmp/nvidia.yaml"},
    {"nvidia_docker_toolkit_settings": {"nvidia-container-runtime": {"mode": "cdi"}}},
    {"nvidia_docker_toolkit_settings": {"": "cdi"}},
    {"nvidia_docker_variant": "nvidia-docker2", "nvidia_docker_runtimes": ["containerd"]},
    {"nvidia_docker_expected_gpus": -3},
    {"nvidia_driver_expected_gpus": -2},
    {"nvidia_driver_reboot_timeout": 0},
    {"nvidia_driver_kernel": "../6.1.0"},
]


def cases() -> dict[str, Case]:
    """A node for each; named by the variable and the value."""
    wrong = [{name: value} for role in ROLES for name, value in wrong_values(role).items()]
    found = {}
    for variables in [*wrong, *IMPOSSIBLE]:
        name, value = next(iter(variables.items()))
        role = next(role for role in ROLES if name.startswith(f"{role}_"))
        found[f"{name}: {value!r}"] = Case(role, "debian12", variables=variables)
    return found


BAD = cases()
