# SPDX-License-Identifier: GPL-3.0-or-later
"""The line `imports` of containerd's configuration, edited as text. PRIVATE to the collection.

Programs that write TOML sort the file and drop its comments; so only the characters of one import are put in
or taken out. What containerd then makes of the file is compared by the caller.
Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from dataclasses import dataclass

_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_IMPORTS = re.compile(r"^[ \t]*imports[ \t]*=[ \t]*\[", re.MULTILINE)
_VERSION = re.compile(r"^[ \t]*version[ \t]*=[ \t]*(\d+)[^\n]*(?:\n|$)", re.MULTILINE)
# What an array of strings is made of: a comment, white space or a comma, a string, the end.
_TOKEN = re.compile(r"""#[^\n]*|[\s,]+|"(?P<basic>[^"\\\n]*)"|'(?P<literal>[^'\n]*)'|(?P<end>\])""")


@dataclass(frozen=True)
class Element:
    """A string in the array; `start` and `end` are places in the text, around its quotes."""

    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Imports:
    """The array; `line` is where its line begins, `start` is at the `[`, `end` is after the `]`."""

    elements: list[Element]
    line: int
    start: int
    end: int


def _head(text: str) -> str:
    """What is in no table."""
    table = _TABLE.search(text)
    return text[: table.start()] if table else text


def find(text: str) -> Imports | None:
    """The array of imports. None if there is none, or none that is plain enough to be edited."""
    found = _IMPORTS.search(_head(text))
    if not found:
        return None
    elements = []
    position = found.end()
    while True:
        token = _TOKEN.match(text, position)
        if not token:
            return None
        value = token.group("basic") if token.group("basic") is not None else token.group("literal")
        if value is not None:
            elements.append(Element(value, token.start(), token.end()))
        position = token.end()
        if token.group("end"):
            return Imports(elements, found.start(), found.end() - 1, position)


def version(text: str) -> int | None:
    """The version of the configuration that the text names."""
    found = _VERSION.search(_head(text))
    return int(found.group(1)) if found else None


def has_settings(text: str) -> bool:
    """Whether there is more in it than comments and blank lines."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines())


def covers(pattern: str, path: str) -> bool:
    """Whether an import takes the file up. As in Go, `*` ends at a slash."""
    return pattern.count("/") == path.count("/") and fnmatch.fnmatchcase(path, pattern)


def resolve(elements: list[Element], folder: str) -> list[str]:
    """Imports as absolute paths: those that are relative are so to the folder of the file."""
    return [os.path.normpath(os.path.join(folder, element.value)) for element in elements]


def add(text: str, pattern: str) -> str:
    """The text with one import more, the last."""
    imports = find(text)
    if imports is None:
        line = f'imports = ["{pattern}"]\n'
        found = _VERSION.search(_head(text))
        if not found:
            return line + text
        before = text[: found.end()]
        return before + ("" if before.endswith("\n") else "\n") + line + text[found.end() :]
    if not imports.elements:
        return f'{text[: imports.start + 1]}"{pattern}"{text[imports.start + 1 :]}'
    last = imports.elements[-1]
    indent = re.search(r"\n[ \t]*$", text[: last.start])
    return f'{text[: last.end]},{indent.group() if indent else " "}"{pattern}"{text[last.end :]}'


def remove(text: str, pattern: str) -> str:
    """The text without that import; the line goes if it was the only one."""
    imports = find(text)
    values = [element.value for element in imports.elements] if imports else []
    if imports is None or pattern not in values:
        return text
    if len(values) == 1:
        return text[: imports.line] + text[imports.end :].lstrip(" \t").replace("\n", "", 1)
    index = values.index(pattern)
    element = imports.elements[index]
    if index:
        return text[: imports.elements[index - 1].end] + text[element.end :]
    return text[: element.start] + text[imports.elements[1].start :]


def with_imports_elsewhere(text: str, folder: str, drop_in: str, stand_in: str | None) -> str:
    """The text to try in another folder: imports absolute, and `stand_in` in place of the file `drop_in`.

    Without a stand-in the drop-in is left out. Lines keep their numbers, for messages.
    """
    imports = find(text)
    if imports is None:
        return text
    paths: list[str] = []
    for pattern in resolve(imports.elements, folder):
        if covers(pattern, drop_in):
            others = {path for path in glob.glob(pattern) if path != drop_in}
            merged = sorted(others | {drop_in})
            paths += [path for path in merged if path != drop_in or stand_in]
        else:
            paths.append(pattern)
    listed = ", ".join(f"'{stand_in if path == drop_in else path}'" for path in paths)
    lines = "\n" * text.count("\n", imports.start, imports.end)
    return f"{text[: imports.start]}[{listed}{lines}]{text[imports.end :]}"
