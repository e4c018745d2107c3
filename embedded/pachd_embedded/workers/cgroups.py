# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: how the process worker limits the memory and the cpu of a datum, where it may.

The groups of a server lie in one directory (of each hierarchy, in the old version 1):

- version 2, in the group that the server runs in, when that is the server's alone and writable, as systemd
  leaves it with Delegate=yes: the server itself then moves into a group `server` beside them, because a
  group whose children are limited may hold no process;
- version 2, at the top of the tree, for root of the machine;
- version 1, for root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pachd_embedded.workers.limits import Limits

CONTROLLERS = ("memory", "cpu")
PERIOD_US = 100_000  # over which a share of cpu is counted
_SWAP = ("memory.swap.max", "memory.memsw.limit_in_bytes")
_SERVER = "pachd-embedded-server"


@dataclass(frozen=True)
class Groups:
    """`tops` is, for each controller that can be had, the directory that this server's groups are made in."""

    tops: Mapping[str, Path]
    version: int

    @contextlib.contextmanager
    def group(self, name: str, limits: Limits) -> Iterator[Group]:
        """A group with these limits for as long as it is used; its processes must have ended by then.

        Raises OSError where the kernel does not take a limit.
        """
        made: list[Path] = []
        try:
            for top in dict.fromkeys(self.tops.values()):
                (top / name).mkdir()
                made.append(top / name)
            for controller, top in self.tops.items():
                for file, value in self._settings(controller, limits):
                    if file not in _SWAP or (top / name / file).exists():  # kernels that do not count swap
                        _write(top / name / file, value)
            yield Group(tuple(made), self.version)
        finally:
            for directory in made:
                with contextlib.suppress(OSError):
                    directory.rmdir()

    def _settings(self, controller: str, limits: Limits) -> list[tuple[str, str]]:
        """(file, content), in the order of writing."""
        if controller == "memory" and limits.memory is not None:
            memory = str(limits.memory)
            if self.version == 2:
                return [("memory.max", memory), ("memory.swap.max", "0")]
            return [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)]
        if controller == "cpu" and limits.cpu is not None:
            quota = str(max(1000, round(limits.cpu * PERIOD_US)))  # the kernel takes no less
            if self.version == 2:
                return [("cpu.max", f"{quota} {PERIOD_US}")]
            return [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", quota)]
        return []

    def clear(self) -> None:
        """Removes the groups that a killed server left, and the directory of them all."""
        for top in set(self.tops.values()):
            for entry in [*top.iterdir(), top]:
                if entry.is_dir():
                    with contextlib.suppress(OSError):
                        entry.rmdir()


@dataclass(frozen=True)
class Group:
    directories: tuple[Path, ...]
    version: int

    @contextlib.contextmanager
    def entrances(self) -> Iterator[list[int]]:
        """File descriptors: a process that writes "0" to each is in the group from then on."""
        with contextlib.ExitStack() as stack:
            files = [(directory / "cgroup.procs").open("wb", 0) for directory in self.directories]
            yield [stack.enter_context(file).fileno() for file in files]

    def was_short_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group because of its limit."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        for directory in self.directories:
            with contextlib.suppress(OSError):
                fields = dict(line.split() for line in (directory / name).read_text().splitlines())
                return int(fields.get("oom_kill", 0)) > 0
        return False


def find(mark: str, root: Path = Path("/")) -> Groups | None:
    """The groups that this process may make, in directories named after `mark`; None where it may not."""
    mounts = _mounts(root)
    own = _own_groups(root)
    if "cgroup2" in mounts:
        base = _inside(mounts["cgroup2"], own.get("", "/"))
        for candidate in (base, mounts["cgroup2"][0]):
            with contextlib.suppress(OSError):
                if (found := _version_2(candidate, mark)) is not None:
                    return found
    tops: dict[str, Path] = {}
    for controller in CONTROLLERS:
        if controller in mounts:
            top = _inside(mounts[controller], own.get(controller, "/")) / f"pachd-embedded-{mark}"
            with contextlib.suppress(OSError):
                top.mkdir(exist_ok=True)
                tops[controller] = top
    return Groups(tops, 1) if tops else None


def _version_2(base: Path, mark: str) -> Groups | None:
    """The groups below `base`. Raises OSError where that is not allowed."""
    if base.name == _SERVER:
        base = base.parent  # an earlier server of this process moved there
    controllers = [name for name in CONTROLLERS if name in (base / "cgroup.controllers").read_text().split()]
    if not controllers:
        return None
    wanted = " ".join(f"+{name}" for name in controllers)
    if not set(controllers) <= set((base / "cgroup.subtree_control").read_text().split()):
        processes = (base / "cgroup.procs").read_text().split()
        if (base / "cgroup.type").exists() and processes:  # the top of the tree alone has no such file
            if processes != [str(os.getpid())]:
                return None
            (base / _SERVER).mkdir(exist_ok=True)
            _write(base / _SERVER / "cgroup.procs", "0")
        _write(base / "cgroup.subtree_control", wanted)
    top = base / f"pachd-embedded-{mark}"
    top.mkdir(exist_ok=True)
    _write(top / "cgroup.subtree_control", wanted)
    return Groups(dict.fromkeys(controllers, top), 2)


def _mounts(root: Path) -> dict[str, tuple[Path, str]]:
    """Where "cgroup2" and each controller of version 1 is mounted, and which part of its tree that shows."""
    found = {}
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split()
        place = (root / fields[4].lstrip("/"), fields[3])
        if kind == "cgroup2":
            found["cgroup2"] = place
        elif kind == "cgroup":
            found.update({name: place for name in options.split(",") if name in CONTROLLERS})
    return found


def _own_groups(root: Path) -> dict[str, str]:
    """The group of this process by controller of version 1; that of version 2 has the name ""."""
    groups = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        groups.update(dict.fromkeys(names.split(","), path))
    return groups


def _inside(mount: tuple[Path, str], group: str) -> Path:
    """The directory of a group; the mount itself where that shows another part of the tree."""
    place, shown = mount
    below = os.path.relpath(group, shown)
    return place if below.startswith("..") else place / below


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="ascii")
