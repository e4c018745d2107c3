# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what `containerd config dump` prints. PRIVATE to the collection: it may change at any time.

That is TOML in one plain shape (a header or a key a line), and no TOML reader comes with Python before 3.11.
Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\[(?P<name>[^\[].*)\]$")
# What may differ: our runtime, whether it is the default, CDI, and the list of files that were read.
_RUNTIME = "plugins.{cri}.containerd.runtimes.nvidia"
_OURS = {"": "imports", "plugins.{cri}": "enable_cdi", "plugins.{cri}.containerd": "default_runtime_name"}


def sections(dump: str) -> dict[str, list[str]]:
    """Lines `key = value` by the header above them, without quotes in the header; `` holds the first ones."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in filter(None, map(str.strip, dump.splitlines())):
        header = _HEADER.match(line)
        if header:
            name = re.sub("[\"']", "", header.group("name"))
            found.setdefault(name, [])
        else:
            found[name].append(line)
    return found


def setting(lines: list[str], key: str) -> str | None:
    """The value of a key as it is written, or None."""
    return next((line.split(" = ", 1)[1] for line in lines if line.startswith(f"{key} = ")), None)


def difference(before: str, after: str, cri: str) -> str | None:
    """The first line that is in one dump only and is none of ours; `cri` is the name of the CRI plugin."""
    old, new = _others(before, cri), _others(after, cri)
    return next(iter(sorted(old ^ new)), None)


def _others(dump: str, cri: str) -> set[str]:
    """Every setting with its section, but for ours."""
    runtime = _RUNTIME.format(cri=cri)
    ours = {f"{section.format(cri=cri)}: {key} = " for section, key in _OURS.items()}
    return {
        f"{section}: {line}"
        for section, lines in sections(dump).items()
        if section != runtime and not section.startswith(f"{runtime}.")
        for line in lines
        if not any(f"{section}: {line}".startswith(prefix) for prefix in ours)
    }
