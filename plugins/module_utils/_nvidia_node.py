# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the node roles want to know of a node. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only. `root` is where the node's file system begins; commands are
those in PATH. What cannot be known is None.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._nvidia_node_driver import read_driver, read_smi
from ._nvidia_node_packages import read_packages
from ._nvidia_node_pci import read_pci
from ._nvidia_node_processes import holders

# UEFI's global variables; and shim's, which stops the checks although the firmware does them.
_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_MOK_DISABLED = "MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
_INITRAMFS = ("initrd.img-{}", "initramfs-{}.img")  # Debian's and Red Hat's


def read_node(root: Path, kernel: str, initramfs_after: list[str], timeout: float) -> dict[str, Any]:
    """The module's result. Each command may take `timeout` seconds."""
    driver = read_driver(root, kernel, timeout)
    return {
        **read_pci(root),
        "kernel": kernel,
        "headers": (root / "lib/modules" / kernel / "build").exists(),
        "nouveau_loaded": (root / "sys/module/nouveau").exists(),
        "secure_boot": secure_boot(root),
        "initramfs_stale": initramfs_stale(root, kernel, initramfs_after),
        "driver_predates": _any_newer(root, initramfs_after, root / "sys/module/nvidia"),
        "driver": driver,
        "smi": read_smi(driver["loaded_version"] is not None, timeout),
        **read_packages(root, timeout),
        "packages_locked_by": next(holders(root, "/var/lib/dpkg/lock"), None),
        "machine_id": _machine_id(root),
    }


def secure_boot(root: Path) -> bool | None:
    """Whether the kernel takes signed modules only; None without EFI, or if its variables cannot be read."""
    variables = root / "sys/firmware/efi/efivars"
    if not variables.is_dir() or not any(variables.iterdir()):
        return None
    return _is_set(variables / _SECURE_BOOT) and not _is_set(variables / _MOK_DISABLED)


def _is_set(variable: Path) -> bool:
    """A variable that is not there is not set."""
    try:
        # Four bytes of attributes, then the value.
        return variable.read_bytes()[4:5] == b"\x01"
    except OSError:
        return False


def initramfs_stale(root: Path, kernel: str, files: list[str]) -> bool:
    """Whether one of `files` (or folders: an entry came or went) changed after the initramfs was made.

    A file that is not there says nothing. Neither does a node without an initramfs.
    """
    images = [path for path in (root / "boot" / name.format(kernel) for name in _INITRAMFS) if path.exists()]
    return bool(images) and _any_newer(root, files, images[0])


def _any_newer(root: Path, files: list[str], made: Path) -> bool:
    """Whether one of `files` changed after `made` was; False without it.

    The kernel dates a module's folder in /sys when it is first looked at, which udev does as it is loaded:
    never before the loading, so that no file is taken for newer that is not.
    """
    if not made.exists():
        return False
    paths = [root / name.lstrip("/") for name in files]
    return any(path.stat().st_mtime_ns > made.stat().st_mtime_ns for path in paths if path.exists())


def _machine_id(root: Path) -> str | None:
    try:
        text = (root / "etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # systemd writes "uninitialized" before the first boot.
    return text if len(text) == 32 else None
