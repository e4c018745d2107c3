# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's devices on the PCI bus. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

NVIDIA = 0x10DE
# The classes that NVIDIA's own driver binds to as GPUs: VGA controller, 3D controller.
DISPLAY = (0x0300, 0x0302)
# "Other bridge": an NVSwitch of Volta, Ampere or Hopper systems (1ac2, 1af1, 22a3). Those of Blackwell are
# behind network adapters and cannot be seen here.
BRIDGE_OTHER = 0x0680

# First and last device id of each block of chips, from the PCI ID repository (August 2026), compared with
# the products that NVIDIA's open kernel modules 595.45.04 list. An id outside of the blocks is of a chip
# newer than this table: all older ones lie below FIRST_MAXWELL.
FIRST_MAXWELL = 0x1340
BLOCKS = (
    (FIRST_MAXWELL, 0x15BF, "maxwell"),
    (0x15C0, 0x15FF, "pascal"),
    (0x1600, 0x16FF, "maxwell"),
    (0x1700, 0x173F, "pascal"),
    (0x1740, 0x17FF, "maxwell"),
    (0x1B00, 0x1D7F, "pascal"),
    (0x1D80, 0x1DFF, "volta"),
    (0x1E00, 0x1FFF, "turing"),
    (0x2080, 0x20FF, "ampere"),
    (0x2180, 0x21FF, "turing"),
    (0x2200, 0x227F, "ampere"),
    (0x2300, 0x23FF, "hopper"),
    (0x2400, 0x25FF, "ampere"),
    (0x2680, 0x28FF, "ada"),
    (0x2900, 0x2F7F, "blackwell"),
    (0x3180, 0x323F, "blackwell"),
    (0x3340, 0x337F, "blackwell"),
)


def generation(device_id: int) -> str:
    """The architecture of a GPU: `older` than Maxwell, its name, or `unknown` if newer than the table."""
    if device_id < FIRST_MAXWELL:
        return "older"
    return next((name for first, last, name in BLOCKS if first <= device_id <= last), "unknown")


def read_pci(root: Path) -> dict[str, list[Any]]:
    """`gpus` and `nvswitches` below `root`/sys, in the order of their addresses."""
    found: dict[str, list[Any]] = {"gpus": [], "nvswitches": []}
    devices = root / "sys/bus/pci/devices"
    for device in sorted(devices.iterdir()) if devices.is_dir() else ():
        try:
            vendor, device_id, pci_class = (_number(device / name) for name in ("vendor", "device", "class"))
        except (OSError, ValueError):
            continue  # unplugged while we look, or no PCI function
        # A virtual function is a slice of a GPU that is listed already.
        if vendor != NVIDIA or (device / "physfn").exists():
            continue
        # 24 bits: class, subclass, programming interface.
        if pci_class >> 8 in DISPLAY:
            driver = device / "driver"
            found["gpus"].append(
                {
                    "address": device.name,
                    "device_id": f"0x{device_id:04x}",
                    "generation": generation(device_id),
                    "bound_to": driver.resolve().name if driver.exists() else None,
                }
            )
        elif pci_class >> 8 == BRIDGE_OTHER:
            found["nvswitches"].append(device.name)
    return found


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"), 16)
