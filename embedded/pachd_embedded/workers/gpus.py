# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of this machine, lent to datums: each device to one datum at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIST_SECONDS = 60.0  # the first call after a boot loads the driver, which can take long
_SHARED_NODES = ("nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools")


class GpuPool:
    """Lends out devices. Thread-safe; who waits for devices and in which order is the scheduler's matter.

    `simulated` None takes the real devices that nvidia-smi lists, by UUID (none where there is no
    nvidia-smi); a number N stands for N devices that exist by name only, simulated-0 to simulated-N-1.
    """

    def __init__(self, simulated: int | None) -> None:
        self._devices = _real_devices() if simulated is None else [f"simulated-{n}" for n in range(simulated)]
        self._free = set(self._devices)
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        return len(self._devices)

    @property
    def in_use(self) -> int:
        with self._lock:
            return len(self._devices) - len(self._free)

    def take(self, n: int) -> tuple[str, ...] | None:
        """`n` devices, or None when not as many are free now."""
        with self._lock:
            free = [device for device in self._devices if device in self._free]
            if n > len(free):
                return None
            self._free.difference_update(free[:n])
            return tuple(free[:n])

    def give_back(self, ids: Sequence[str]) -> None:
        """Raises ValueError for a device that is not lent out."""
        with self._lock:
            for device in ids:
                if device not in self._devices or device in self._free:
                    raise ValueError(f"GPU {device} is not lent out")
            self._free.update(ids)


def visible(ids: Sequence[str]) -> Mapping[str, str]:
    """The variables that tell user code which devices are its own, as NVIDIA's container runtime sets them.

    Without devices NVIDIA_VISIBLE_DEVICES is `void`, and an empty CUDA_VISIBLE_DEVICES hides all.
    """
    listed = ",".join(ids)
    return {"NVIDIA_VISIBLE_DEVICES": listed or "void", "CUDA_VISIBLE_DEVICES": listed}


def device_nodes(ids: Sequence[str], proc: Path = Path("/proc"), dev: Path = Path("/dev")) -> list[str]:
    """The device files that user code needs for these devices; none for simulated ones.

    A device whose minor number the driver does not tell under /proc gets the files of all devices.
    """
    real = [device for device in ids if not device.startswith("simulated-")]
    if not real:
        return []
    minors = _minors(proc)
    nodes = [dev / name for name in _SHARED_NODES]
    if all(device in minors for device in real):
        nodes += [dev / f"nvidia{minors[device]}" for device in real]
    else:
        nodes += sorted(dev.glob("nvidia[0-9]*"))
    return [str(node) for node in nodes if node.exists()]


def _minors(proc: Path) -> dict[str, str]:
    found = {}
    for file in sorted(proc.glob("driver/nvidia/gpus/*/information")):
        fields = dict(re.findall(r"^([^:\n]+):\s*(.*?)\s*$", file.read_text(encoding="utf-8"), re.MULTILINE))
        if "GPU UUID" in fields and "Device Minor" in fields:
            found[fields["GPU UUID"]] = fields["Device Minor"]
    return found


def _real_devices() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=_LIST_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []  # the tool is there, but no driver that works
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
