# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins that simulated GPUs lay over /sys and /proc, and their nodes in /dev."""

from __future__ import annotations

import glob
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

RUN = Path("/run/simulated-gpu")
# In RUN -> the place that it is laid over.
COVERS = {
    "pci": "/sys/bus/pci/devices",
    "modules": "/sys/module",
    "driver": "/proc/driver",
    "firmware": "/sys/firmware",
    "proc-modules": "/proc/modules",
}
DRIVER_MODULES = ("nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm")
CONTROL_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
SECURE_BOOT = RUN / "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def cover() -> None:
    """Lay the stand-ins over the real places, once after each start of the node."""
    if (RUN / "proc-modules").exists():
        return
    for name in ("pci", "modules", "driver", "firmware", "real-modules", "real-firmware"):
        (RUN / name).mkdir(parents=True)
    mount("--bind", "/sys/module", f"{RUN}/real-modules")
    mount("--bind", "/sys/firmware", f"{RUN}/real-firmware")
    # The links in here are relative to the place itself, so copies of them lead to the real devices.
    for link in Path("/sys/bus/pci/devices").iterdir():
        (RUN / "pci" / link.name).symlink_to(link.readlink())
    for name in ("modules", "firmware"):
        for entry in (RUN / f"real-{name}").iterdir():
            (RUN / name / entry.name).symlink_to(RUN / f"real-{name}" / entry.name)
    # A kernel that was built without modules has no such file, and none can be made in /proc.
    modules = Path("/proc/modules")
    write(RUN / "proc-modules.real", modules.read_text() if modules.exists() else "")
    write(RUN / "proc-modules", "")
    for name, place in COVERS.items():
        if os.path.exists(place):
            mount("--bind", f"{RUN}/{name}", place)


def address(index: int) -> str:
    return f"0000:{0x41 + index:02x}:00.0"


def show(state: dict[str, Any], loaded: dict[str, Any]) -> None:
    """Make /sys, /proc and /dev show the hardware and the modules that are loaded."""
    cover()
    write(RUN / "loaded.json", json.dumps(loaded))
    show_pci(state)
    names = list(DRIVER_MODULES if "nvidia" in loaded else ()) + list({"nouveau"} & set(loaded))
    for name in {*DRIVER_MODULES, "nouveau"}:
        shutil.rmtree(RUN / "modules" / name, ignore_errors=True)
    for name in names:
        write(RUN / "modules" / name / "initstate", "live\n")
        write(RUN / "modules" / name / "refcnt", "0\n")
    lines = "".join(f"{name} 1048576 0 - Live 0x0000000000000000\n" for name in names)
    write(RUN / "proc-modules", lines + (RUN / "proc-modules.real").read_text())
    show_driver(state, loaded.get("nvidia"))
    if "secure-boot" in state["broken"] or SECURE_BOOT.exists():
        if (RUN / "firmware/efi").is_symlink():
            (RUN / "firmware/efi").unlink()
        SECURE_BOOT.parent.mkdir(parents=True, exist_ok=True)
        # Four bytes of attributes, then the value.
        SECURE_BOOT.write_bytes(bytes([6, 0, 0, 0, "secure-boot" in state["broken"]]))


def show_pci(state: dict[str, Any]) -> None:
    devices = {address(index): (state["device"], "0x030200") for index in range(state["gpus"])}
    devices |= {f"0000:{0xC1 + n:02x}:00.0": ("0x22a3", "0x068000") for n in range(state["nvswitches"])}
    for entry in (RUN / "pci").iterdir():
        if not entry.is_symlink():
            shutil.rmtree(entry)
    for name, (device, class_) in devices.items():
        for file, text in {"vendor": "0x10de", "device": device, "class": class_, "numa_node": "-1"}.items():
            write(RUN / "pci" / name / file, f"{text}\n")


def show_driver(state: dict[str, Any], driver: dict[str, Any] | None) -> None:
    shutil.rmtree(RUN / "driver/nvidia", ignore_errors=True)
    for node in glob.glob("/dev/nvidia*"):
        if stat.S_ISCHR(os.stat(node).st_mode):
            os.unlink(node)
    if driver is None:
        return
    flavour = "Open Kernel Module for x86_64" if driver["open"] else "x86_64 Kernel Module"
    write(RUN / "modules/nvidia/version", f"{driver['version']}\n")
    top = RUN / "driver/nvidia"
    write(
        top / "version",
        f"NVRM version: NVIDIA UNIX {flavour}  {driver['version']}  (stand-in)\nGCC version:  stand-in\n",
    )
    # Not 1, the driver's default: the runtime would then change this file in each container's own /proc,
    # which does not have it.
    write(top / "params", "ModifyDeviceFiles: 0\nDeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\n")
    seen = state["gpus"] - ("gpu" in state["broken"])  # the last one has fallen off the bus
    for index in range(seen):
        text = f"Model: \t\t NVIDIA simulated GPU\nGPU UUID: \t {gpu_uuid(index)}\n"
        text += f"Bus Location: \t {address(index)}\n"
        write(top / "gpus" / address(index) / "information", f"{text}Device Minor: \t {index}\n")
    for name in (*CONTROL_NODES, *(f"nvidia{index}" for index in range(seen))):
        os.mknod(
            f"/dev/{name}", 0o666 | stat.S_IFCHR, os.makedev(1, 3)
        )  # that of /dev/null: it opens, no more
        os.chmod(f"/dev/{name}", 0o666)


def gpu_uuid(index: int) -> str:
    """The same that the stand-ins of libnvidia-ml and nvidia-smi say."""
    return f"GPU-51a1a7ed-0000-4000-8000-{index:012d}"
