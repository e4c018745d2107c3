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
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
WAY_OUT = "or run with --private-pfs (user code as ordinary processes, PFS paths in a private directory)"


def explain(refused: str, proc: Path = Path("/proc")) -> str:
    """One line from what was refused, as the sandbox said it: the likely cause and what can be done."""
    return f"this machine does not let pipelines run isolated: {refused} ({_cause(proc)}), {WAY_OUT}"


def _cause(proc: Path) -> str:
    for file, forbidding, name, cure in _SETTINGS:
        if _read(proc / "sys" / file).strip() == forbidding:
            return f"sysctl {name} is {forbidding}: {cure}"
    if any(Path(mark).exists() for mark in _CONTAINER_MARKS) or "\nSeccomp:\t2\n" in _read(
        proc / "self/status"
    ):
        return (
            "the server runs in a container that forbids it: run that one with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
        )
    return "the kernel, a chroot or a security module forbids user namespaces: allow them"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
