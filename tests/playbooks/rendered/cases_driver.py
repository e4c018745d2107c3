# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver on each platform: nodes, variables, and what must come of them by the documents named here.

[guide] NVIDIA Driver Installation Guide, docs.nvidia.com/datacenter/tesla/driver-installation-guide:
  repository and compute-only packages of each distribution; "Kernel modules": the open ones need Turing or
  newer and are the default from 560 on, Blackwell needs them; streams of RHEL 9: NNN-open and NNN-dkms are
  built by DKMS, NNN is precompiled and proprietary. Ubuntu's names bear no branch
  from 590 on ("Recent updates").
[keys] the repositories' own key files: 3bf863cc.pub (Ubuntu, Debian 12), 8793F200.pub (Debian 13),
  D42D0685.pub (RHEL 9).
[ubuntu] Ubuntu Server documentation, "NVIDIA drivers installation", and packages.ubuntu.com: signed modules
  are linux-modules-nvidia-NNN-server[-open]-KERNEL with nvidia-headless-no-dkms-NNN-server[-open] and
  nvidia-utils-NNN-server; nvidia-fabricmanager-NNN of the same version on NVSwitch machines.
[debian] packages.debian.org: 535 (bookworm) and 550 (trixie) in non-free, the open module in contrib,
  the GSP's firmware in non-free-firmware.
[fabric] files of the repositories: nvidia-fabricmanager-575_575.57.08-1_amd64.deb, from 580 on
  nvidia-fabricmanager_580.65.06-1_amd64.deb; nvidia-fabric-manager-570.*.rpm, from 580 on
  nvidia-fabricmanager-580.*.rpm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from . import nodes
from .harness import Case, info

CUDA = "https://developer.download.nvidia.com/compute/cuda/repos"
EPEL = "https://dl.fedoraproject.org/pub/epel/9/Everything/$basearch/"
DEBIAN = ["nvidia-smi", "libcuda1", "libnvidia-ml1", "nvidia-persistenced"]
SERVER = ["nvidia-utils-580-server", "nvidia-compute-utils-580-server", "libnvidia-compute-580-server"]
DAEMONS = {
    "module": "command",
    "with": "is-active",
    "result": {"rc": 0, "stdout": "active\nactive", "stdout_lines": ["active", "active"], "changed": False},
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A bare node, its variables, and what it must be asked."""

    platform: str
    gpu: str
    variables: Mapping[str, Any]
    # Installed version; flavour of the module.
    version: str
    flavour: str
    # All packages, and the version with which those of the driver are asked for.
    packages: list[str]
    pin: str = ""
    # Lines of the repository's entry, its key and the module stream.
    repository: tuple[str, ...] = ()
    key: str = ""
    stream: str = ""
    fabric_manager: bool = False

    @property
    def kernel(self) -> str:
        return str(nodes.PLATFORMS[self.platform]["ansible_kernel"])

    @property
    def dnf(self) -> bool:
        return bool(nodes.PLATFORMS[self.platform]["ansible_pkg_mgr"] == "dnf")

    @property
    def initramfs(self) -> str:
        return f"dracut --force --kver {self.kernel}" if self.dnf else f"update-initramfs -u -k {self.kernel}"

    def case(self, check: bool = False, **more: Any) -> Case:
        """The node as it changes: bare, installed, its initramfs stale, fresh again, loaded."""
        return Case(
            "nvidia_driver",
            self.platform,
            self.gpu,
            {f"nvidia_driver_{name}": value for name, value in self.variables.items()},
            (*self.archives(), DAEMONS, *self.life(), *more.pop("answers", ())),
            check=check,
            **more,
        )

    def archives(self) -> tuple[dict[str, Any], ...]:
        """What apt-get indextargets says on a node that nobody has touched."""
        release = nodes.PLATFORMS[self.platform]["ansible_distribution_release"]
        name = nodes.PLATFORMS[self.platform]["ansible_distribution"].lower()
        host = "deb.debian.org/debian" if name == "debian" else "archive.ubuntu.com/ubuntu"
        file = f"/etc/apt/sources.list.d/{name}.sources:1"
        lines = [f"http://{host}/ {suite} main {file}" for suite in (release, f"{release}-updates")]
        answer = {"rc": 0, "stdout": "\n".join(lines), "stdout_lines": lines, "stderr": "", "changed": False}
        return ({"module": "command", "with": "indextargets", "result": answer},)

    def life(self) -> tuple[dict[str, Any], ...]:
        packages = {name: {"version": f"{self.version}-1", "held": False} for name in self.packages}
        known: dict[str, Any] = {"flavour": self.flavour, "packages": packages, "installed": self.version}
        there = nodes.nvidia(self.platform, self.gpu, **known)
        loaded = nodes.nvidia(self.platform, self.gpu, loaded=self.version, **known)
        installed = {"module": "dnf" if self.dnf else "apt", "with": self.packages[0]}
        return (
            info(there, after=installed),
            info({**there, "initramfs_stale": True}, after={"module": "copy", "with": "modprobe.d"}),
            info(there, after={"module": "command", "with": self.initramfs.split()[0]}),
            info(loaded, after={"module": "command", "with": "modprobe"}),
            info(loaded, after={"module": "shutdown"}),
        )


def deb822(uri: str, suites: str, components: str, key: str) -> tuple[str, ...]:
    """The lines of an entry in sources.list.d."""
    lines = ["Types: deb", f"URIs: {uri}", f"Suites: {suites}", f"Signed-By: {key}"]
    return tuple([*lines, f"Components: {components}"] if components else lines)


def nvidia_apt(distribution: str, key: str) -> dict[str, Any]:
    """[guide], [keys]: a flat repository."""
    uri = f"{CUDA}/{distribution}/x86_64/"
    file = f"/etc/apt/keyrings/gpulab-nvidia-driver-{key.removesuffix('.pub')}.asc"
    return {"repository": deb822(uri, "/", "", file), "key": f"{uri}{key}"}


def archive(platform: str) -> tuple[str, ...]:
    release = nodes.PLATFORMS[platform]["ansible_distribution_release"]
    if platform.startswith("debian"):
        name, where, components = "debian", "deb.debian.org", "contrib non-free non-free-firmware"
    else:
        name, where, components = "ubuntu", "archive.ubuntu.com", "multiverse restricted"
    keyring = f"/usr/share/keyrings/{name}-archive-keyring.gpg"
    return deb822(f"http://{where}/{name}/", f"{release} {release}-updates", components, keyring)


RHEL: dict[str, Any] = {
    "repository": (f"{CUDA}/rhel9/x86_64/", EPEL),
    "key": f"{CUDA}/rhel9/x86_64/D42D0685.pub",
}
EL9 = "5.14.0-570.37.1.el9_6.x86_64"
ROWS: dict[str, Row] = {
    # [debian]; 535 and 550 are older than 560: proprietary, whatever the GPU.
    "debian12 T4": Row(
        "debian12", "T4", {}, "535.261.03", "proprietary",
        ["nvidia-kernel-dkms", "nvidia-kernel-support", *DEBIAN, "linux-headers-6.1.0-39-amd64"],
        repository=archive("debian12"),
    ),
    "debian13 H100": Row(
        "debian13", "H100", {"branch": "550"}, "550.163.01", "proprietary",
        ["nvidia-kernel-dkms", "nvidia-kernel-support", *DEBIAN, "linux-headers-6.12.43+deb13-amd64"],
        "550.*", repository=archive("debian13"),
    ),
    "debian12 T4, open": Row(
        "debian12", "T4", {"kernel_module": "open"}, "535.261.03", "open",
        ["nvidia-open-kernel-dkms", *DEBIAN, "linux-headers-6.1.0-39-amd64"],
        repository=archive("debian12"),
    ),
    # Blackwell needs 570 or newer, which Debian 13 does not have: NVIDIA's repository, open.
    "debian13 B200": Row(
        "debian13", "B200", {}, "595.71.05", "open",
        ["nvidia-kernel-open-dkms", "nvidia-driver-cuda", "nvidia-persistenced",
         "linux-headers-6.12.43+deb13-amd64"],
        **nvidia_apt("debian13", "8793F200.pub"),
    ),
    # NVSwitches need the fabric manager, which Debian does not have.
    "debian12 HGX": Row(
        "debian12", "HGX", {"branch": "570"}, "570.195.03", "open",
        ["nvidia-kernel-open-dkms", "nvidia-driver-cuda", "nvidia-persistenced", "nvidia-fabricmanager-570",
         "linux-headers-6.1.0-39-amd64"],
        "570.*", fabric_manager=True, **nvidia_apt("debian12", "3bf863cc.pub"),
    ),
    # [ubuntu]
    "ubuntu22 T4": Row(
        "ubuntu22", "T4", {}, "580.95.05", "open",
        [*SERVER, "nvidia-headless-no-dkms-580-server-open",
         "linux-modules-nvidia-580-server-open-5.15.0-153-generic",
         "linux-modules-nvidia-580-server-open-generic"],
        repository=archive("ubuntu22"),
    ),
    "ubuntu24 HGX": Row(
        "ubuntu24", "HGX", {"branch": "580"}, "580.95.05", "open",
        [*SERVER, "nvidia-headless-no-dkms-580-server-open", "nvidia-fabricmanager-580",
         "linux-modules-nvidia-580-server-open-6.8.0-1036-aws", "linux-modules-nvidia-580-server-open-aws"],
        "580.*", repository=archive("ubuntu24"), fabric_manager=True,
    ),
    "ubuntu22 V100": Row(
        "ubuntu22", "V100", {}, "580.95.05", "proprietary",
        [*SERVER, "nvidia-headless-no-dkms-580-server",
         "linux-modules-nvidia-580-server-5.15.0-153-generic", "linux-modules-nvidia-580-server-generic"],
        repository=archive("ubuntu22"),
    ),
    "ubuntu22 T4, dkms": Row(
        "ubuntu22", "T4", {"build": "dkms"}, "580.95.05", "open",
        [*SERVER, "nvidia-headless-no-dkms-580-server-open", "nvidia-dkms-580-server-open",
         "linux-headers-5.15.0-153-generic"],
        repository=archive("ubuntu22"),
    ),
    "ubuntu22 HGX, nvidia 580": Row(
        "ubuntu22", "HGX", {"source": "nvidia", "branch": "580"}, "580.95.05", "open",
        ["nvidia-utils-580", "nvidia-compute-utils-580", "libnvidia-compute-580", "nvidia-dkms-580-open",
         "nvidia-fabricmanager", "linux-headers-5.15.0-153-generic"],
        "580.*", fabric_manager=True, **nvidia_apt("ubuntu2204", "3bf863cc.pub"),
    ),
    # The last branch for Volta, where nothing is asked for.
    "ubuntu24 V100, nvidia": Row(
        "ubuntu24", "V100", {"source": "nvidia"}, "580.95.05", "proprietary",
        ["nvidia-utils-580", "nvidia-compute-utils-580", "libnvidia-compute-580", "nvidia-dkms-580",
         "linux-headers-6.8.0-1036-aws"],
        "580.*", **nvidia_apt("ubuntu2404", "3bf863cc.pub"),
    ),
    "ubuntu24 RTX4090, nvidia 595": Row(
        "ubuntu24", "RTX4090", {"source": "nvidia", "version": "595.71.05"}, "595.71.05", "open",
        ["nvidia-utils", "nvidia-compute-utils", "libnvidia-compute", "nvidia-dkms-open",
         "linux-headers-6.8.0-1036-aws"],
        "595.71.05*", **nvidia_apt("ubuntu2404", "3bf863cc.pub"),
    ),
    # [guide], "Compute-only": nvidia-driver-cuda and kmod-nvidia-open-dkms or kmod-nvidia-latest-dkms.
    "rocky9 HGX": Row(
        "rocky9", "HGX", {"branch": "580"}, "580.95.05", "open",
        ["nvidia-driver-cuda", "nvidia-persistenced", "kmod-nvidia-open-dkms", "nvidia-fabricmanager",
         f"kernel-devel-{EL9}", "python3-dnf-plugin-versionlock"],
        "580.*", stream="580-open", fabric_manager=True, **RHEL,
    ),
    "alma9 HGX, 570": Row(
        "alma9", "HGX", {"version": "570.195.03"}, "570.195.03", "open",
        ["nvidia-driver-cuda", "nvidia-persistenced", "kmod-nvidia-open-dkms", "nvidia-fabric-manager",
         f"kernel-devel-{EL9}", "python3-dnf-plugin-versionlock"],
        "570.195.03*", stream="570-open", fabric_manager=True, **RHEL,
    ),
    "alma9 V100": Row(
        "alma9", "V100", {}, "580.95.05", "proprietary",
        ["nvidia-driver-cuda", "nvidia-persistenced", "kmod-nvidia-latest-dkms",
         f"kernel-devel-{EL9}", "python3-dnf-plugin-versionlock"],
        "580.*", stream="580-dkms", **RHEL,
    ),
    "rhel9 T4": Row(
        "rhel9", "T4", {}, "595.71.05", "open",
        ["nvidia-driver-cuda", "nvidia-persistenced", "kmod-nvidia-open-dkms",
         f"kernel-devel-{EL9}", "python3-dnf-plugin-versionlock"],
        stream="open-dkms", **RHEL,
    ),
    "rhel9 T4, precompiled": Row(
        "rhel9", "T4", {"branch": "580", "kernel_module": "proprietary", "build": "precompiled"},
        "580.95.05", "proprietary",
        ["nvidia-driver-cuda", "nvidia-persistenced", "nvidia-kmod", "dnf-plugin-nvidia",
         "python3-dnf-plugin-versionlock"],
        "580.*", repository=(f"{CUDA}/rhel9/x86_64/",), key=str(RHEL["key"]), stream="580",
    ),
}  # fmt: skip
# One of each platform.
CHECKED = [
    "debian12 T4",
    "debian13 B200",
    "ubuntu22 T4",
    "ubuntu24 HGX",
    "rocky9 HGX",
    "alma9 V100",
    "rhel9 T4, precompiled",
]
