# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups: how the process worker limits the memory and the cpu of a datum, where it may.

A datum with limits has a group of its own for as long as it runs, in a directory for all of them:

- version 2, in the group that the server runs in, when that is the server's alone and writable, as systemd
  leaves it with Delegate=yes: the server itself then moves into a group beside theirs, because a group whose
  children are limited may hold no process;
- version 2, at the top of the tree, for root of the machine;
- version 1, in the server's own group of each controller, for root.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pachd_embedded.workers.limits import Limits

CONTROLLERS = ("memory", "cpu")
PERIOD_US = 100_000  # over which a share of cpu is counted
_SWAP = ("memory.swap.max", "memory.memsw.limit_in_bytes")
_NAME = "pachd-embedded"
_SERVER = f"{_NAME}-server"
_REMOVE_SECONDS = 2.0


@dataclass(frozen=True)
class Groups:
    """`parents` is, by the controllers that can be had, the directory in which groups are made.

    `mark` is in the names of this server's groups.
    """

    parents: Mapping[str, Path]
    version: int
    mark: str

    @contextlib.contextmanager
    def group(self, number: int, limits: Limits) -> Iterator[Group]:
        """A group with these limits for as long as it is used; its processes must have ended by then.

        Raises OSError where the kernel does not take a limit.
        """
        name = f"{_NAME}-{self.mark}-{number}"
        made: list[Path] = []
        try:
            for parent in dict.fromkeys(self.parents.values()):
                (parent / name).mkdir()
                made.append(parent / name)
            for controller, parent in self.parents.items():
                for file, value in self._settings(controller, limits):
                    if file not in _SWAP or (parent / name / file).exists():  # not all kernels count swap
                        _write(parent / name / file, value)
            yield Group(tuple(made), self.version)
        finally:
            for directory in made:
                _remove(directory)

    def clear(self) -> None:
        """Removes the groups that a killed server left: its datums ended with it."""
        for parent in set(self.parents.values()):
            for left in parent.glob(f"{_NAME}-{self.mark}-*"):
                _remove(left)

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
    """The groups that this process may make; None where it may make none."""
    mounts = _mounts(root)
    own = _own_groups(root)
    if "cgroup2" in mounts:
        for candidate in (_inside(mounts["cgroup2"], own.get("", "/")), mounts["cgroup2"][0]):
            with contextlib.suppress(OSError):
                if controllers := _split(candidate):
                    parent = candidate.parent if candidate.name == _SERVER else candidate
                    return Groups(dict.fromkeys(controllers, parent), 2, mark)
    places = {name: _inside(mounts[name], own.get(name, "/")) for name in CONTROLLERS if name in mounts}
    parents = {name: place for name, place in places.items() if os.access(place, os.W_OK)}
    return Groups(parents, 1, mark) if parents else None


def _split(base: Path) -> list[str]:
    """The controllers that groups below `base` (version 2) can be limited by, enabled there.

    Raises OSError where this process may not do that.
    """
    if base.name == _SERVER:
        base = base.parent  # an earlier server of this process moved there
    controllers = [name for name in CONTROLLERS if name in (base / "cgroup.controllers").read_text().split()]
    if not controllers or not os.access(base, os.W_OK):
        return []
    if not set(controllers) <= set((base / "cgroup.subtree_control").read_text().split()):
        processes = (base / "cgroup.procs").read_text().split()
        if (base / "cgroup.type").exists() and processes:  # the top of the tree alone has no such file
            if processes != [str(os.getpid())]:
                return []
            (base / _SERVER).mkdir(exist_ok=True)
            _write(base / _SERVER / "cgroup.procs", "0")
        _write(base / "cgroup.subtree_control", " ".join(f"+{name}" for name in controllers))
    return controllers


def _mounts(root: Path) -> dict[str, tuple[Path, str]]:
    """Where "cgroup2" and each controller of version 1 is mounted, and which part of its tree that shows."""
    found = {}
    for line in _lines(root / "proc/self/mountinfo"):
        before, _dash, after = line.partition(" - ")
        fields, (kind, _source, options) = before.split(), after.split()
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
        _number, names, path = line.split(":", 2)
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


def _remove(group: Path) -> None:
    end = time.monotonic() + _REMOVE_SECONDS
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # The kernel takes a killed process out of its group a moment after it has ended. Later than that,
            # somebody else's processes are in it.
            if time.monotonic() > end:
                return
            time.sleep(0.005)
        else:
            return


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="ascii")
