# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's packages on a node. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ._nvidia_node_run import run

PATTERNS = ("*nvidia*", "*libcuda*")


def read_packages(root: Path, timeout: float) -> dict[str, Any]:
    """`packages`, by name the `version` and `held` of those installed; None if no package manager answers.

    `packages_unfinished` tells whether dpkg was cut off in its work.
    """
    if (root / "var/lib/dpkg/status").exists():
        return _dpkg(root, timeout)
    return {"packages": _rpm(root, timeout), "packages_unfinished": False}


def _dpkg(root: Path, timeout: float) -> dict[str, Any]:
    """Unpacked is not installed: of such a package dpkg has still to finish the work."""
    fields = "${db:Status-Abbrev}\t${Package}\t${Version}\n"
    answer = run(["dpkg-query", "--show", f"--showformat={fields}", *PATTERNS], timeout)
    # 1 says that one of the patterns matched nothing.
    if answer.code not in (0, 1):
        return {"packages": None, "packages_unfinished": False}
    packages: dict[str, Any] = {}
    # A journal that dpkg leaves if it is killed; apt refuses everything then.
    updates = root / "var/lib/dpkg/updates"
    unfinished = updates.is_dir() and any(updates.iterdir())
    for line in answer.output.splitlines():
        # What is wanted (h: hold), what is (i: installed; n: not, c: but for its configuration), errors.
        status, name, version = line.split("\t")
        if status[1] == "i":
            packages.setdefault(name, {"version": version, "held": status[0] == "h"})
        elif status[1] not in "nc":
            unfinished = True
    return {"packages": packages, "packages_unfinished": unfinished}


def _rpm(root: Path, timeout: float) -> dict[str, Any] | None:
    fields = "%{NAME}\t%{EVR}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}.%{ARCH}\n"
    answer = run(["rpm", "--query", "--all", f"--queryformat={fields}", *PATTERNS], timeout)
    if answer.code != 0:
        return None
    locks = list(_version_locks(root))
    packages: dict[str, Any] = {}
    for line in answer.output.splitlines():
        name, version, epoch, rest = line.split("\t")
        # The ways in which a lock may write a package: with its epoch, without, by its name alone.
        spellings = (f"{name}-{epoch}:{rest}", f"{name}-{rest}", name)
        held = any(fnmatchcase(spelling, lock) for lock in locks for spelling in spellings)
        packages.setdefault(name, {"version": version, "held": held})
    return packages


def _version_locks(root: Path) -> Iterator[str]:
    """Patterns in the list of dnf's plugin versionlock. One after a `!` excludes; it matches no name."""
    try:
        text = (root / "etc/dnf/plugins/versionlock.list").read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        pattern = line.split("#", 1)[0].strip()
        if pattern:
            yield pattern
