# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings in the configuration of NVIDIA's container toolkit. PRIVATE to the collection.

nvidia-ctk knows the settings and their types; what it writes has lost the comments of the user. So its answer
decides what is set, and the lines of these settings are put into the user's text, if it then means the same.
Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ._container_runtime_ctk import run
from ._container_runtime_files import read, replace
from ._container_runtime_types import RuntimeConfigError, Tools

_HEADER = re.compile(r"[ \t]*\[(?P<name>[^\[\]]+)\][ \t]*(?:#.*)?$")


def execute(
    config: str,
    settings: Mapping[str, Any],
    tools: Tools,
    move: Callable[[str, str], None],
    check: bool = False,
) -> dict[str, Any]:
    """Merges settings (dotted key -> value) into the file `config`; returns the module's result."""
    flags = [flag(key, value) for key, value in settings.items()]
    old = read(config)
    source = tools.write("config.toml", old) if old is not None else f"{tools.scratch}/none.toml"
    command = ["nvidia-ctk", "config", f"--config-file={source}"]
    wanted = run(tools, config, *command, *flags)
    new = old
    if old is None:
        new = wanted
    elif wanted != run(tools, config, *command):
        new = merge(old, wanted, list(settings))
        if not _means(new, wanted, tools):
            new = wanted
    result: dict[str, Any] = {
        "changed": new != old,
        "backup_file": None,
        "diff": {"before_header": config, "after_header": config, "before": old or "", "after": new or ""},
    }
    if new != old and not check:
        result["backup_file"] = replace({config: new}, config, lambda: None, move)
    return result


def _means(text: str, wanted: str, tools: Tools) -> bool:
    """Whether nvidia-ctk reads `wanted` out of the edited text."""
    try:
        return (
            tools.output("nvidia-ctk", "config", f"--config-file={tools.write('edited.toml', text)}")
            == wanted
        )
    except RuntimeConfigError:
        return False  # keys that are written in another way, such as `a.b = 1`, are then there twice


def flag(key: str, value: Any) -> str:
    """As nvidia-ctk takes a setting; it checks the key and the type itself."""
    if isinstance(value, bool):
        return f"--set={key}={str(value).lower()}"
    if isinstance(value, (str, int)):
        return f"--set={key}={value}"
    if isinstance(value, list) and value and all(isinstance(item, (str, int)) for item in value):
        return f"--set={key}={':'.join(map(str, value))}"
    raise RuntimeConfigError(f"settings: {key}: {value!r} is no text, number, boolean or list of texts")


def merge(text: str, wanted: str, keys: list[str]) -> str:
    """`text` with the lines that `wanted` has for `keys`.

    A key that is there, or is there as a comment, keeps its place; another comes last in its section, and a
    section that is missing last in the file.
    """
    lines = text.splitlines()
    for key in keys:
        section, _dot, name = key.rpartition(".")
        source = wanted.splitlines()
        found = _key(source, section, name, commented=False)
        if found is None:
            continue
        line = source[found]
        place = _key(lines, section, name, commented=False)
        if place is None:
            place = _key(lines, section, name, commented=True)
        if place is not None:
            indent = re.match(r"[ \t]*", lines[place])
            lines[place] = (indent.group() if indent else "") + line.lstrip()
        else:
            _insert(lines, section, line.lstrip())
    return "\n".join(lines) + "\n"


def _section(lines: list[str], section: str) -> range | None:
    """Numbers of the lines of a section, without its header; `` is what comes before the first."""
    start = 0 if not section else None
    for number, line in enumerate(lines):
        header = _HEADER.match(line)
        if header and start is not None:
            return range(start, number)
        if header and header.group("name").strip() == section:
            start = number + 1
    return None if start is None else range(start, len(lines))


def _key(lines: list[str], section: str, name: str, commented: bool) -> int | None:
    pattern = re.compile(rf"[ \t]*{'#[ ]?' if commented else ''}{re.escape(name)}[ \t]*=")
    return next((n for n in _section(lines, section) or () if pattern.match(lines[n])), None)


def _insert(lines: list[str], section: str, line: str) -> None:
    place = _section(lines, section)
    if place is None:
        lines += ["", f"[{section}]", line]
        return
    last = max((n for n in place if lines[n].strip()), default=place.start - 1)
    lines.insert(last + 1, line)
