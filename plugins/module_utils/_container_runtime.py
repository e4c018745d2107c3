# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's runtime in a container engine: from options to a result. PRIVATE to the collection.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _container_runtime_containerd as containerd
from . import _container_runtime_crio as crio
from . import _container_runtime_docker as docker
from ._container_runtime_files import load_entry, read, remove_empty, replace, save, save_entry
from ._container_runtime_types import FOLDER, MissingToolError, Options, Plan, Tools

ENGINES = {"docker": docker, "containerd": containerd, "crio": crio}


@dataclass(frozen=True)
class Defaults:
    """Where an engine has its configuration; the program that checks it."""

    config: str
    drop_in: str
    executable: str


DEFAULTS = {
    "docker": Defaults("/etc/docker/daemon.json", "", "dockerd"),
    "containerd": Defaults(
        "/etc/containerd/config.toml", "/etc/containerd/conf.d/99-nvidia.toml", "containerd"
    ),
    "crio": Defaults("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/99-nvidia.toml", "crio"),
}


@dataclass(frozen=True)
class Places:
    """Folders of our own: of markers (a boot does what they ask for, and clears them), and of records."""

    markers: Path = Path("/run/gpulab-nvidia")
    records: Path = Path("/var/lib/gpulab-nvidia")


def execute(
    options: Options,
    tools: Tools,
    move: Callable[[str, str], None],
    check: bool = False,
    places: Places | None = None,
) -> dict[str, Any]:
    """Does what the options say, in check mode as if; returns the module's result.

    `move` replaces the second path by the first. Raises RuntimeConfigError before anything is changed.
    """
    places = places or Places()
    marker = places.markers / f"{options.runtime}.restart"
    record = places.records / f"{options.runtime}.json"
    entry = load_entry(record)
    work = getattr(ENGINES[options.runtime], options.state)
    try:
        if options.state == "present":
            tools.require(options.runtime_path)
        plan: Plan = work(options, entry, tools)
    except MissingToolError as error:
        if not check:
            raise
        # A role that installs it first will not have done so in check mode.
        note = f"{error} yet: the configuration of {options.runtime} would be changed after that"
        return {**_result({}, "restart"), "changed": True, "msg": note}
    old = {path: read(path) for path in plan.files}
    files = {path: text for path, text in plan.files.items() if text != old[path]}
    apply = _pending(marker, plan.apply if files else None)
    result = _result({path: (old[path], text) for path, text in files.items()}, apply)
    if check:
        return result

    def remember() -> None:
        # First the marker: a run that is killed between here and the restart leaves it to the next.
        save(marker, apply or "")
        if plan.entry is not None:
            save_entry(record, plan.entry)

    if files:
        result["backup_file"] = replace(files, options.config, remember, move)
    if plan.entry is None and options.state == "absent":
        if entry and FOLDER in entry.before:
            remove_empty(entry.before[FOLDER])
        save_entry(record, None)
    return result


def _pending(marker: Path, apply: str | None) -> str | None:
    """What is to be done: what an earlier run left to be done, unless a restart does more."""
    waiting = read(str(marker))
    if waiting is None:
        return apply
    return (apply or "reload") if waiting == "reload" else "restart"


def _result(files: dict[str, tuple[str | None, str | None]], apply: str | None) -> dict[str, Any]:
    return {
        "changed": bool(files),
        "files": list(files),
        "pending": apply is not None,
        "apply": apply,
        "backup_file": None,
        "diff": [
            {"before_header": path, "after_header": path, "before": hide(old), "after": hide(new)}
            for path, (old, new) in files.items()
        ],
    }


def hide(text: str | None) -> str:
    """The text without passwords: those of registries, and those in addresses of proxies."""
    text = re.sub(
        r"(?m)^([ \t]*(?:auth|identitytoken|password)[ \t]*=[ \t]*)\S.*$", r'\1"********"', text or ""
    )
    return re.sub(r"(://[^/\s:@]*:)[^/\s@]+@", r"\1********@", text)
