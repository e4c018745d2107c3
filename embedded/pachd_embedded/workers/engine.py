# SPDX-License-Identifier: GPL-3.0-or-later
"""podman or docker, by its command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NAMES = ("podman", "docker")
_INIT_DIRECTORIES = ("/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman")
# Seconds that the engine may take for what it does at once, on a machine that is busy.
_PATIENCE = 120.0
# What `info` tells of limits: which of memory and cpu the engine can enforce for this user.
_PODMAN_INFO = "{{json .Host.CgroupControllers}}"
_DOCKER_INFO = '{"memory":{{json .MemoryLimit}},"cpu":{{json .CPUCfsQuota}}}'


class EngineError(Exception):
    """What the engine said, as one line."""


class Engine:
    """`program` is its name or path. Raises EngineError where it does not work for this user."""

    def __init__(self, program: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise EngineError(f"{program}: no such program")
        self._program = os.path.abspath(found)
        self.is_podman = "podman" in self.call("--version").lower()
        answer = self.call("info", "--format", _PODMAN_INFO if self.is_podman else _DOCKER_INFO)
        told = json.loads(answer) or []
        # Of "memory" and "cpu", what it can limit.
        self.controllers = frozenset(name for name in ("memory", "cpu") if _has(told, name))
        # Docker always brings an init; podman takes another package's.
        self.has_init = not self.is_podman or shutil.which("catatonit", path=_search_path()) is not None

    def command(self, *arguments: str) -> list[str]:
        return [self._program, *arguments]

    def call(self, *arguments: str) -> str:
        """What it prints, without the last end of line. Raises EngineError."""
        try:
            done = subprocess.run(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                start_new_session=True,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{arguments[0]}: {error}") from error
        if done.returncode != 0:
            raise EngineError(said(done.stderr))
        return done.stdout.rstrip("\n")


def find(name: str) -> Engine:
    """The engine of that name or path; for "" the one that this machine has. Raises EngineError."""
    refusals = []
    for program in (name,) if name else _NAMES:
        try:
            return Engine(program)
        except EngineError as error:
            refusals.append(f"{program}: {str(error).removeprefix(f'{program}: ')}")
    raise EngineError("; ".join(refusals))


def said(text: str) -> str:
    """The error in what an engine wrote: its last line, without the engine's own "Error: "."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return lines[-1].removeprefix("Error: ").removeprefix("Error response from daemon: ")


def _has(told: Sequence[str] | dict[str, Any], name: str) -> bool:
    return bool(told[name]) if isinstance(told, dict) else name in told


def _search_path() -> str:
    return os.pathsep.join((*_INIT_DIRECTORIES, os.environ.get("PATH", os.defpath)))


def mountable(directory: Path) -> bool:
    """Whether an engine's --volume can name it."""
    return ":" not in str(directory)
