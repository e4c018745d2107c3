# SPDX-License-Identifier: GPL-3.0-or-later
"""The container toolkit on each platform: nodes, variables, and what must come of them by these documents.

[guide] docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html: the repository
  of deb packages is one flat one for all releases, that of rpm packages has signed metadata; one key
  for both; the four
  packages are of one version; `nvidia-container-toolkit.repo` has repo_gpgcheck=1 and gpgcheck=0.
[cdi] the same guide, "CDI support": units nvidia-cdi-refresh write /var/run/cdi/nvidia.yaml from 1.18 on.
[k3s] docs.k3s.io/advanced, docs.rke2.io/advanced: both find the runtime themselves when they start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from . import nodes
from .harness import Case

SITE = "https://nvidia.github.io/libnvidia-container"
TOOLKIT = ("nvidia-container-toolkit", "nvidia-container-toolkit-base", "libnvidia-container-tools")
PACKAGES = [*TOOLKIT, "libnvidia-container1"]
DRIVER: Mapping[str, Any] = {"installed": "580.95.05", "loaded": "580.95.05"}
RUNTIME = "/usr/bin/nvidia-container-runtime"
TOLD: dict[str, Any] = {"changed": True, "pending": True, "apply": "reload", "files": [], "backup_file": None}


@dataclasses.dataclass(frozen=True)
class Row:
    """A node with a driver and an engine, and without the toolkit; and what it must be asked."""

    platform: str
    engines: tuple[str, ...]
    variables: Mapping[str, Any]
    packages: list[str]
    # systemd units with what becomes of them.
    services: list[str]
    # Version with which packages are asked for.
    pin: str = ""
    url: str = ""
    key: str = f"{SITE}/gpgkey"

    @property
    def dnf(self) -> bool:
        return bool(nodes.PLATFORMS[self.platform]["ansible_pkg_mgr"] == "dnf")

    def case(self, check: bool = False) -> Case:
        return Case(
            "nvidia_docker",
            self.platform,
            "T4",
            {f"nvidia_docker_{name}": value for name, value in self.variables.items()},
            self.life(),
            DRIVER,
            check=check,
        )

    def life(self) -> tuple[dict[str, Any], ...]:
        """The node as it changes: bare, with the toolkit, with a Docker that has yet to read, done."""
        packages = {name: {"version": "1.20.1-1", "held": True} for name in self.packages}
        installed = {"module": "dnf" if self.dnf else "apt", "with": TOOLKIT[0]}
        there: dict[str, Any] = {"nvidia_ctk": "1.20.1", "units": nodes.units(shipped=True)}
        known = nodes.containers(*self.engines, **there)
        stale = nodes.containers(*self.engines, **there)
        stale["engines"]["docker"]["stale"] = "docker" in self.engines
        done = nodes.containers(*self.engines, runtimes={"nvidia": RUNTIME}, **there)
        told = [{"module": "nvidia_container_runtime", "result": TOLD}]
        state = nodes.nvidia(self.platform, "T4", **DRIVER, packages=packages)
        return (
            engines(nodes.containers(*(name for name in self.engines))),
            engines(known, installed),
            {"module": "nvidia_node_info", "after": installed, "result": {"changed": False, "nvidia": state}},
            *told,
            engines(stale, {"module": "nvidia_container_runtime"}),
            engines(done, {"module": "systemd_service", "with": "reloaded"}),
            engines(done, {"module": "systemd_service", "with": "restarted"}),
        )


def engines(state: Mapping[str, Any], after: Mapping[str, Any] | None = None) -> dict[str, Any]:
    answer = {"module": "nvidia_container_info", "result": {"changed": False, "containers": state}}
    return {**answer, "after": after} if after else answer


DEB, RPM = f"{SITE}/stable/deb/$(ARCH)", f"{SITE}/stable/rpm/$basearch"
ROWS: dict[str, Row] = {
    "debian12 docker": Row("debian12", ("docker",), {}, PACKAGES, ["docker reloaded"], url=DEB),
    "debian13 containerd": Row(
        "debian13", ("containerd",), {"version": "1.20.1"}, PACKAGES, ["containerd restarted"],
        "1.20.1-*", DEB,
    ),
    "ubuntu22 docker, mirror": Row(
        "ubuntu22", ("docker",),
        {"repository_url": "https://mirror.example.com/nvidia", "repository_key": "https://mirror.example.com/key.asc",
         "version": "1.20.1-1"},
        PACKAGES, ["docker reloaded"], "1.20.1-1", "https://mirror.example.com/nvidia",
        "https://mirror.example.com/key.asc",
    ),
    "ubuntu24 k3s": Row("ubuntu24", ("k3s",), {}, PACKAGES, ["k3s restarted"], url=DEB),
    "ubuntu24 nvidia-docker2": Row(
        "ubuntu24", ("docker",), {"variant": "nvidia-docker2"},
        [*PACKAGES, "nvidia-docker2"], ["docker reloaded"], url=DEB,
    ),
    "rocky9 containerd": Row(
        "rocky9", ("containerd",), {"set_as_default": True}, PACKAGES, ["containerd restarted"], url=RPM
    ),
    "alma9 docker": Row(
        "alma9", ("docker",), {"version": "1.20.1"}, PACKAGES, ["docker reloaded"], "1.20.1", RPM
    ),
    "rhel9 crio": Row("rhel9", ("crio",), {}, PACKAGES, ["crio restarted"], url=RPM),
    "rhel9 rke2, own sources": Row(
        "rhel9", ("rke2",), {"source": "distribution"}, PACKAGES, ["rke2-server restarted"], key=""
    ),
}  # fmt: skip
CHECKED = ["debian12 docker", "debian13 containerd", "ubuntu24 k3s", "rocky9 containerd", "rhel9 crio"]
