# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are not here: what Ansible's setup and nvidia_node_info say of them.

The facts are those of machines with the releases named here: distribution facts as in the samples of
ansible-core's own tests (test/units/module_utils/facts/system/distribution/fixtures), kernels as the
distributions ship them. Only what a role may ask for is kept.
"""

from __future__ import annotations

from typing import Any

Facts = dict[str, Any]


def distribution(family: str, name: str, version: str, release: str, kernel: str, **more: Any) -> Facts:
    """Facts of one release; `version` is the whole one (12.12, 22.04, 9.6)."""
    major, _, minor = version.partition(".")
    facts = {
        "os_family": family,
        "distribution": name,
        "distribution_version": version,
        "distribution_major_version": major,
        "distribution_minor_version": minor,
        "distribution_release": release,
        "kernel": kernel,
        "system": "Linux",
        "architecture": "x86_64",
        "machine": "x86_64",
        "userspace_architecture": "x86_64",
        "pkg_mgr": "dnf" if family == "RedHat" else "apt",
        "service_mgr": "systemd",
        "hostname": "gpu-node",
        "fqdn": "gpu-node.example.com",
        "nodename": "gpu-node",
        "virtualization_role": "NA",
        "virtualization_type": "NA",
        "user_id": "root",
        "user_uid": 0,
        "user_dir": "/root",
        "env": {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        "python": {"executable": "/usr/bin/python3", "type": "cpython", "has_sslcontext": True},
        "python_version": "3.9.21" if family == "RedHat" else "3.11.2",
        "selinux": {"status": "enabled", "mode": "enforcing", "type": "targeted"}
        if family == "RedHat"
        else {"status": "disabled"},
        "machine_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "cmdline": {"ro": True},
        "proc_cmdline": {"ro": True},
        "processor_vcpus": 16,
        "memtotal_mb": 257000,
        "date_time": {"iso8601": "2025-09-01T08:00:00Z", "epoch": "1756713600"},
        "module_setup": True,
        "gather_subset": ["all"],
        "local": {},
        **more,
    }
    # Ansible's own names: all but these two are prefixed.
    bare = ("module_setup", "gather_subset")
    return {name if name in bare else f"ansible_{name}": value for name, value in facts.items()}


PLATFORMS: dict[str, Facts] = {
    "debian12": distribution("Debian", "Debian", "12.12", "bookworm", "6.1.0-39-amd64"),
    "debian13": distribution("Debian", "Debian", "13.1", "trixie", "6.12.43+deb13-amd64"),
    "ubuntu22": distribution("Debian", "Ubuntu", "22.04", "jammy", "5.15.0-153-generic"),
    # A cloud image: its kernel flavour is not generic.
    "ubuntu24": distribution("Debian", "Ubuntu", "24.04", "noble", "6.8.0-1036-aws"),
    "rocky9": distribution("RedHat", "Rocky", "9.6", "Blue Onyx", "5.14.0-570.37.1.el9_6.x86_64"),
    "alma9": distribution("RedHat", "AlmaLinux", "9.6", "Sage Margay", "5.14.0-570.37.1.el9_6.x86_64"),
    "rhel9": distribution("RedHat", "RedHat", "9.6", "Plow", "5.14.0-570.37.1.el9_6.x86_64"),
    # Not supported: a role must say so, and no more.
    "fedora42": distribution("RedHat", "Fedora", "42", "Adams", "6.15.9-201.fc42.x86_64"),
}

# PCI device ids from the PCI ID repository; NVSwitch of an HGX H100: 22a3.
GPUS: dict[str, tuple[int, str, str, int]] = {
    "none": (0, "", "", 0),
    "P100": (1, "0x15f8", "pascal", 0),
    "V100": (4, "0x1db6", "volta", 0),
    "T4": (1, "0x1eb8", "turing", 0),
    "RTX4090": (2, "0x2684", "ada", 0),
    "H100": (1, "0x2331", "hopper", 0),
    "HGX": (8, "0x2330", "hopper", 4),
    # Its NVSwitches are behind a bridge, not on the PCI bus.
    "B200": (8, "0x2901", "blackwell", 0),
}


def nvidia(
    platform: str,
    gpu: str = "T4",
    installed: str | None = None,
    loaded: str | None = None,
    library: str | None = None,
    packages: dict[str, dict[str, Any]] | None = None,
    flavour: str = "open",
    **more: Any,
) -> dict[str, Any]:
    """What nvidia_node_info answers as `nvidia`. Without `installed` and `loaded`: a bare node.

    installed: version of the module file for the asked kernel; loaded: of the module in the kernel;
    library: of libnvidia-ml, by default as the module file's.
    """
    count, device, generation, switches = GPUS[gpu]
    addresses = [f"0000:{number + 1:02x}:00.0" for number in range(count)]
    bound = "nvidia" if loaded else None
    smi = [
        {
            "index": index,
            "uuid": f"GPU-00000000-0000-0000-0000-{index:012d}",
            "name": f"NVIDIA {gpu}",
            "memory_mib": 16384,
            "driver_version": loaded,
        }
        for index in range(count)
    ]
    return {
        "gpus": [
            {"address": address, "device_id": device, "generation": generation, "bound_to": bound}
            for address in addresses
        ],
        "nvswitches": [f"0000:{number + 0x80:02x}:00.0" for number in range(switches)],
        "kernel": PLATFORMS[platform]["ansible_kernel"],
        "headers": installed is not None,
        "nouveau_loaded": False,
        "secure_boot": False,
        "initramfs_stale": False,
        "driver_predates": False,
        "driver": {
            "loaded_version": loaded,
            "loaded_flavour": flavour if loaded else None,
            "module_version": installed,
            "module_flavour": flavour if installed else None,
            "module_signer": "DKMS module signing key" if installed else None,
            "library_version": library or installed,
            "users": [],
        },
        "smi": {
            "gpus": smi if loaded else [],
            "error": None if loaded else "nvidia-smi is not installed",
        },
        "packages": packages or {},
        "packages_unfinished": False,
        "packages_locked_by": None,
        "machine_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        **more,
    }


ENGINES = {
    "docker": "docker",
    "containerd": "containerd",
    "crio": "crio",
    "k3s": "k3s",
    "rke2": "rke2-server",
}
DOCKER = {
    "version": "26.1.5",
    "stale": False,
    "config_error": None,
    "live_restore": False,
    "containers_running": 0,
}
GENERATED = "/var/lib/rancher/{}/agent/etc/containerd/config.toml"
# The units that a toolkit since 1.18 brings, and those of the role for older ones.
UNITS = [
    f"{name}.{kind}" for name in ("nvidia-cdi-refresh", "gpulab-nvidia-cdi") for kind in ("path", "service")
]


def units(shipped: bool) -> dict[str, Any]:
    """What nvidia_container_info answers as `units`; shipped: the package's are there and run."""
    return {
        name: {
            "file": f"/usr/lib/systemd/system/{name}" if there else None,
            "enabled": there,
            "active": there and name.endswith(".path"),
            "needs_daemon_reload": False,
        }
        for name in UNITS
        for there in [shipped and name.startswith("nvidia-cdi-refresh")]
    }


def containers(*running: str, runtimes: dict[str, str | None] | None = None, **more: Any) -> dict[str, Any]:
    """What nvidia_container_info answers as `containers`: these engines run, with these runtimes."""
    engines = {
        name: {
            "installed": name in running,
            "active": name in running,
            "unit": f"{unit}.service",
            "needs_daemon_reload": False,
            "restarts": [],
            "runtimes": {"runc": None, **(runtimes or {})} if name in running else {},
            "default_runtime": "runc" if name in running else None,
            "error": None,
            **(DOCKER if name == "docker" else {}),
            **({"config": GENERATED.format(name)} if name in ("k3s", "rke2") else {}),
        }
        for name, unit in ENGINES.items()
    }
    return {
        "engines": engines,
        "kubelet": False,
        "nvidia_ctk": None,
        "cdi": {"/etc/cdi/nvidia.yaml": None, "/var/run/cdi/nvidia.yaml": None},
        "units": units(shipped=False),
        "files": [],
        "pending": [],
        **more,
    }
