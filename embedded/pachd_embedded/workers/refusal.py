# SPDX-License-Identifier: GPL-3.0-or-later
"""Why this machine does not let a datum be isolated, in words of somebody who can change it."""

from __future__ import annotations

from pathlib import Path

# (file, value that forbids, name of the setting, what to do)
_SETTINGS = (
    ("user/max_user_namespaces", "0", "user.max_user_namespaces", "allow some, such as 10000"),
    ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone", "set it to 1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns",
        "set it to 0",
    ),
)
_CHROOT = (
    "the server runs in a chroot, where only root can be isolated: run it as root, or in a container "
    "that has its own root mount"
)
_CONTAINER = (
    "the server runs in a container that forbids it: run that container with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
)
_UNKNOWN = "the kernel, a chroot or a security module forbids user namespaces: allow them"
_WAY_OUT = "or run with --private-pfs (user code as ordinary processes, PFS paths in a private directory)"


def explain(refused: str, root: Path = Path("/")) -> str:
    """One line from what was refused, as the sandbox said it: the likely cause and what can be done.

    `root` is where /proc and the marks of containers are looked for.
    """
    return f"this machine does not let pipelines run isolated: {refused} ({_cause(root)}), {_WAY_OUT}"


def _cause(root: Path) -> str:
    for file, forbidding, name, cure in _SETTINGS:
        if _read(root / "proc/sys" / file).strip() == forbidding:
            return f"sysctl {name} is {forbidding}: {cure}"
    mounts = [line.split() for line in _read(root / "proc/self/mountinfo").splitlines()]
    if mounts and not any(fields[4] == "/" for fields in mounts):
        return _CHROOT
    marks = (root / ".dockerenv", root / "run/.containerenv")
    if any(mark.exists() for mark in marks) or "\nSeccomp:\t2\n" in _read(root / "proc/self/status"):
        return _CONTAINER
    return _UNKNOWN


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
