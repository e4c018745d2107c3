# SPDX-License-Identifier: GPL-3.0-or-later
"""The NVIDIA driver of a node: loaded, on disk, in use, answering. PRIVATE to the collection.

Runs on nodes: Python 3.8, standard library only. What cannot be known is None.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ._nvidia_node_processes import holders
from ._nvidia_node_run import run

# "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.261.03  Thu Jun ..." or, of the open modules,
# "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (...)".
_NVRM = re.compile(r"NVIDIA UNIX (?P<open>Open )?.*?Kernel Module(?: for \S+)?\s+(?P<version>\d+(?:\.\d+)+)")
# Debian's packages name the module nvidia-current, nvidia-current-open, nvidia-tesla-535, ...; the kernel has
# a nvidiafb of its own, and more.
_MODULE = re.compile(r"(nvidia(?:-(?:current|tesla|legacy)[a-z0-9-]*)?)\.ko(?:\.(?:gz|xz|zst))?")
_COMPANIONS = ("-drm", "-modeset", "-peermem", "-uvm", "-vgpu-vfio")
# How Debian's alternatives say which of these is "nvidia".
_REDIRECT = re.compile(r"^\s*install\s+nvidia\s+(?:\S*/)?modprobe\s+(?:-i|--ignore-install)\s+(\S+)", re.M)
# The order in which depmod prefers folders.
_FOLDERS = ("updates", "extra", "weak-updates", "kernel")
_FLAVOURS = {"NVIDIA": "proprietary", "Dual MIT/GPL": "open"}
# NVIDIA's own, which compute for nobody. The kernel keeps 15 characters of a name.
_OWN = {
    name[:15]
    for name in (
        "nv-fabricmanager",
        "nv-hostengine",
        "nvidia-gridd",
        "nvidia-imex",
        "nvidia-persistenced",
        "nvidia-powerd",
        "nvidia-smi",
    )
}
_SMI_FIELDS = ("index", "uuid", "name", "memory.total", "driver_version")


def read_driver(root: Path, kernel: str, timeout: float) -> dict[str, Any]:
    """What is loaded now, what `kernel` would load, which library there is, who uses the GPUs."""
    loaded_version, loaded_flavour = _loaded(root)
    path = module_file(root, kernel)
    fields = _modinfo(path, timeout) if path else {}
    return {
        "loaded_version": loaded_version,
        "loaded_flavour": loaded_flavour,
        "module_version": fields.get("version"),
        "module_flavour": _FLAVOURS.get(fields.get("license", "")),
        "module_signer": fields.get("signer") or None,
        "library_version": _library_version(root),
        "users": [user for user in holders(root, "/dev/nvidia") if user["command"] not in _OWN],
    }


def _loaded(root: Path) -> tuple[str | None, str | None]:
    """Version and flavour of the module in the running kernel."""
    try:
        match = _NVRM.search((root / "proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        match = None
    if match:
        return match["version"], "open" if match["open"] else "proprietary"
    try:
        return (root / "sys/module/nvidia/version").read_text(encoding="ascii").strip() or None, None
    except OSError:
        return None, None


def module_file(root: Path, kernel: str) -> Path | None:
    """The file that `modprobe nvidia` would load under `kernel`.

    Looked for by its name, because modules.dep is not up to date before the next depmod.
    """
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for where, _folders, names in os.walk(root / "lib/modules" / kernel / folder):
            for name in sorted(names):
                match = _MODULE.fullmatch(name)
                if match and not match[1].endswith(_COMPANIONS):
                    found.setdefault(match[1], Path(where, name))
    redirect = _redirect(root)
    if redirect:
        return found.get(redirect)
    # Without one, the plainest name: Debian's alternatives prefer nvidia-current to nvidia-current-open, too.
    return found[min(found, key=len)] if found else None


def _redirect(root: Path) -> str | None:
    """The module that modprobe's configuration puts in the place of nvidia."""
    for folder in ("etc/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"):
        for path in sorted((root / folder).glob("*.conf")):
            try:
                match = _REDIRECT.search(path.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue  # a link of alternatives to nothing
            if match:
                return match[1]
    return None


def _modinfo(path: Path, timeout: float) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in run(["modinfo", str(path)], timeout).output.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    return fields


def _library_version(root: Path) -> str | None:
    """Version of the NVML that programs of this machine's own architecture find."""
    for folder in ("usr/lib64", f"usr/lib/{os.uname().machine}-linux-gnu", "usr/lib"):
        library = root / folder / "libnvidia-ml.so.1"
        if library.exists():
            # The link ends, on Debian by way of alternatives, at a file that has the version in its name.
            match = re.fullmatch(r"libnvidia-ml\.so\.(\d+(?:\.\d+)+)", library.resolve().name)
            return match[1] if match else None
    return None


def read_smi(loaded: bool, timeout: float) -> dict[str, Any]:
    """What nvidia-smi sees, and what it complains of, in one line.

    It is not run without the driver: as root it would load it.
    """
    if not loaded:
        return {"gpus": [], "error": "the driver is not loaded"}
    answer = run(
        ["nvidia-smi", f"--query-gpu={','.join(_SMI_FIELDS)}", "--format=csv,noheader,nounits"], timeout
    )
    gpus: list[dict[str, Any]] = []
    complaints: list[str] = []
    for line in answer.output.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) == len(_SMI_FIELDS) and values[0].isdigit():
            index, uuid, name, memory, version = values
            gpus.append(
                {
                    "index": int(index),
                    "uuid": uuid,
                    "name": name,
                    # "[N/A]" where GPU and CPU share their memory.
                    "memory_mib": int(memory) if memory.isdigit() else None,
                    "driver_version": version,
                }
            )
        elif line.strip():
            complaints.append(line.strip())
    complaints += [line.strip() for line in answer.error.splitlines() if line.strip()]
    # Libraries that warn do not make an answer an error.
    if answer.code == 0 and len(gpus) == len(answer.output.splitlines()):
        complaints = []
    if answer.code not in (0, None) and not complaints:
        complaints = [f"nvidia-smi ended with status {answer.code}"]
    return {"gpus": gpus, "error": " ".join(complaints) or None}
