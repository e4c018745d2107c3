# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of this machine, lent to datums: each device to one datum at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIST_SECONDS = 60.0  # the first call after a boot loads the driver, which can take long
_CANCEL_SECONDS = 0.1  # how soon a waiting datum notices that it was cancelled
_SHARED_NODES = ("nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools")


class GpuPool:
    """Lends out devices, first come, first served: a request for many is not overtaken by small ones.

    `simulated` None takes the real devices that nvidia-smi lists, by UUID (none where there is no
    nvidia-smi); a number N stands for N devices that exist by name only, simulated-0 to simulated-N-1.
    """

    def __init__(self, simulated: int | None) -> None:
        devices = _real_devices() if simulated is None else [f"simulated-{n}" for n in range(simulated)]
        self.total = len(devices)
        self._order = {device: place for place, device in enumerate(devices)}
        self._free = set(devices)
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, n: int, cancelled: threading.Event) -> tuple[str, ...] | None:
        """Waits for `n` devices and takes them; None when `cancelled` was set before they were free.

        Raises ValueError when there are not as many at all: waiting would never end, and would keep
        everybody behind waiting too.
        """
        self._check(n)
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                while self._queue[0] is not ticket or len(self._free) < n:
                    if cancelled.is_set():
                        return None
                    self._changed.wait(_CANCEL_SECONDS)
                return self._take(n)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def try_acquire(self, n: int) -> tuple[str, ...] | None:
        """Takes `n` devices, or None when they are not free now or somebody waits. Errors as `acquire`."""
        self._check(n)
        with self._changed:
            return None if self._queue or len(self._free) < n else self._take(n)

    def release(self, ids: Sequence[str]) -> None:
        """Gives devices back. Raises ValueError for one that is not lent out."""
        with self._changed:
            for device in ids:
                if device not in self._order or device in self._free:
                    raise ValueError(f"GPU {device} is not lent out")
            self._free.update(ids)
            self._changed.notify_all()

    def _check(self, n: int) -> None:
        if not 0 <= n <= self.total:
            raise ValueError(f"{n} GPUs asked for, this machine has {self.total}")

    def _take(self, n: int) -> tuple[str, ...]:
        taken = tuple(sorted(self._free, key=self._order.__getitem__)[:n])
        self._free.difference_update(taken)
        return taken


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
