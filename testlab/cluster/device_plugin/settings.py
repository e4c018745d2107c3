# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plugin is told: variables and configuration file of NVIDIA's (k8s-device-plugin, README)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RESOURCE = "nvidia.com/gpu"
STRATEGIES = ("envvar", "volume-mounts", "cdi-annotations", "cdi-cri")


class SettingsError(Exception):
    """A setting that cannot be, as one line."""


@dataclass(frozen=True)
class Settings:
    """Replicas above 1 share each GPU in time. Strategies say how a container is told of its devices."""

    resource: str = RESOURCE
    replicas: int = 1
    one_at_most: bool = False
    strategies: tuple[str, ...] = ("envvar",)
    by_index: bool = False
    pass_device_specs: bool = False
    fail_on_init_error: bool = True


def read(environment: Mapping[str, str]) -> Settings:
    """A variable counts more than the file that CONFIG_FILE names. SettingsError where one cannot be."""
    config: dict[str, Any] = {}
    if file := environment.get("CONFIG_FILE"):
        config = yaml.safe_load(Path(file).read_text()) or {}
        if config.get("version") != "v1":
            raise SettingsError(f"{file}: unknown version {config.get('version')!r}, expected v1")
    flags = config.get("flags") or {}
    plugin = flags.get("plugin") or {}
    listed = plugin.get("deviceListStrategy", "envvar")
    chosen = environment.get("DEVICE_LIST_STRATEGY") or ",".join(
        [listed] if isinstance(listed, str) else listed
    )
    strategies = tuple(chosen.split(","))
    if wrong := [word for word in strategies if word not in STRATEGIES]:
        raise SettingsError(f"invalid device list strategy: {wrong[0]}")
    ids = environment.get("DEVICE_ID_STRATEGY") or plugin.get("deviceIDStrategy", "uuid")
    if ids not in ("uuid", "index"):
        raise SettingsError(f"invalid device ID strategy: {ids}")
    return Settings(
        **_sharing((config.get("sharing") or {}).get("timeSlicing") or {}),
        strategies=strategies,
        by_index=ids == "index",
        pass_device_specs=_flag(environment, "PASS_DEVICE_SPECS", plugin.get("passDeviceSpecs", False)),
        fail_on_init_error=_flag(environment, "FAIL_ON_INIT_ERROR", flags.get("failOnInitError", True)),
    )


def _sharing(slicing: dict[str, Any]) -> dict[str, Any]:
    for entry in slicing.get("resources") or []:
        if entry.get("name") == RESOURCE:
            replicas = entry.get("replicas")
            if not isinstance(replicas, int) or replicas < 2:
                raise SettingsError(f"number of replicas must be >= 2: {RESOURCE} has {replicas!r}")
            default = f"{RESOURCE}.shared" if slicing.get("renameByDefault") else RESOURCE
            return {
                "resource": entry.get("rename") or default,
                "replicas": replicas,
                "one_at_most": bool(slicing.get("failRequestsGreaterThanOne")),
            }
    return {}


def _flag(environment: Mapping[str, str], name: str, otherwise: bool) -> bool:
    text = environment.get(name) or str(otherwise)
    return text.lower() in ("1", "t", "true")
