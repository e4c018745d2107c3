# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of nvidia_container_runtime hand to each other. PRIVATE to the collection.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._nvidia_node_run import run

# A command that takes longer hangs; each of them only reads and writes files.
TIMEOUT = 60.0


class RuntimeConfigError(Exception):
    """One line for the user: which file, where in it, and what to do."""


class MissingToolError(RuntimeConfigError):
    """A program that is not installed (yet)."""


@dataclass(frozen=True)
class Options:
    """The module's options, defaults filled in."""

    runtime: str
    state: str
    set_as_default: bool
    cdi: bool | None
    runtime_path: str
    config: str
    drop_in: str
    executable: str


# Name, in what is remembered, of the folder that we made for a file of ours.
FOLDER = "folder"


@dataclass(frozen=True)
class Entry:
    """What is remembered of a configuration file that we changed.

    `original` is the file without anything of ours (None: there was none), `written` is what we made of it;
    `before` has the former value of each key that we set, by our name for it.
    """

    original: str | None = None
    written: str | None = None
    before: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """`files` are texts by path (None: no file), in the order in which they are to be put in place.

    `apply` is what makes the engine take them: `reload` or `restart`. `entry` is to be remembered of the
    configuration file.
    """

    files: dict[str, str | None]
    apply: str
    entry: Entry | None


@dataclass(frozen=True)
class Tools:
    """Programs, and a folder for what they read and write; nothing in it stays."""

    scratch: Path

    def require(self, program: str) -> None:
        """That a program is there, if it is given by its path."""
        if os.path.isabs(program) and not os.path.exists(program):
            raise MissingToolError(f"{program} is not installed")

    def output(self, *command: str) -> str:
        """What a command prints. Its last line of complaint is the error."""
        result = run(list(command), TIMEOUT)
        if result.code is None:
            missing = result.error.endswith("is not installed")
            raise (MissingToolError if missing else RuntimeConfigError)(result.error)
        if result.code != 0:
            raise RuntimeConfigError(result.error.strip() or f"{command[0]} failed, and said nothing")
        return result.output

    def write(self, name: str, text: str) -> str:
        """Path of a file in the folder."""
        path = self.scratch / name
        path.write_text(text, encoding="utf-8")
        return str(path)
