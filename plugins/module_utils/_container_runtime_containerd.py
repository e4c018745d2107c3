# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's runtime in containerd, by a drop-in file. PRIVATE to the collection: it may change at any time.

containerd up to 2.0 merges imported files by plugin: one that names the CRI plugin replaces all that was said
of it before. So the drop-in holds the whole section, as it is in force without the drop-in (`config dump`),
with the runtime added by nvidia-ctk. The user's file gets the import and nothing else.
Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from . import _container_runtime_ctk as ctk
from . import _container_runtime_imports as imports
from ._container_runtime_dump import difference, sections, setting
from ._container_runtime_files import read
from ._container_runtime_types import (
    FOLDER,
    Entry,
    MissingToolError,
    Options,
    Plan,
    RuntimeConfigError,
    Tools,
)

HEADER = """\
# Written by gpulab.pachyderm.nvidia_container_runtime: the CRI section of {config} and NVIDIA's runtime.
# Change {config}; the next run takes that up here.
"""
IMPORT = "import"
# The CRI plugin by the version of the configuration; "cri" is its name in version 1.
CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}


def present(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """The drop-in, made anew from the configuration as it is now, and its import."""
    current = read(options.config)
    text = _with_version(options, current, tools)
    base = dump(options, text, None, tools)
    drop_in = _drop_in(options, text, base, tools)

    pattern = _covering(options, text)
    new = text if pattern is None else imports.add(text, pattern)
    check(options, base, dump(options, new, tools.write("new.toml", drop_in), tools))
    files: dict[str, str | None] = {options.drop_in: drop_in, options.config: new}
    if new == current:
        return Plan(files, "restart", entry)
    before = dict(entry.before) if entry else {}
    if pattern:
        before[IMPORT] = pattern
    folder = os.path.dirname(options.drop_in)
    if not os.path.isdir(folder):
        before[FOLDER] = folder
    return Plan(files, "restart", Entry(without(current, entry), new, before))


def absent(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """Without the drop-in and its import."""
    current = read(options.config)
    new = without(current, entry)
    if new is not None and new != current:
        with suppress(MissingToolError):  # containerd is gone: nobody reads the file
            dump(options, new, None, tools)
    return Plan({options.config: new, options.drop_in: None}, "restart", None)


def without(text: str | None, entry: Entry | None) -> str | None:
    """The user's file without our import, byte for byte as it was if nobody else wrote into it since."""
    if entry is None or text is None:
        return text
    if text == entry.written:
        return entry.original
    added = entry.before.get(IMPORT)
    rest = imports.remove(text, added) if added else text
    made_by_us = entry.original is None and not re.sub(r"version[ \t]*=[ \t]*\d", "", rest).strip()
    return None if made_by_us else rest


def dump(options: Options, text: str, drop_in: str | None, tools: Tools) -> str:
    """The configuration in force if the file were `text`; `drop_in` is a file in place of ours, or none."""
    folder = os.path.dirname(options.config)
    trial = imports.with_imports_elsewhere(text, folder, options.drop_in, drop_in)
    path = tools.write("config.toml", trial)
    try:
        return tools.output(options.executable, "--config", path, "config", "dump")
    except MissingToolError:
        raise
    except RuntimeConfigError as error:
        raise RuntimeConfigError(explain(str(error).replace(path, options.config), options.config)) from error


def explain(error: str, config: str) -> str:
    """File, line and reason out of what containerd (1.x by `TOML: FILE: (LINE, COLUMN)`, 2.x) says."""
    reason = error.strip().splitlines()[-1].replace("containerd: ", "")
    file = re.search(r"file=(\S+)|TOML: (\S+?): ", error)
    where = (file.group(1) or file.group(2)) if file else f"{config} or a file that it imports"
    place = re.search(r"\((\d+), (\d+)\)|row (\d+) column (\d+)", reason)
    if place:
        line, column = [part for part in place.groups() if part]
        where = f"{where}: line {line}, column {column}"
    return f"{where}: {reason}"


def _with_version(options: Options, current: str | None, tools: Tools) -> str:
    """The file; where it says nothing, with the version of configurations that containerd writes itself."""
    if current is not None and imports.has_settings(current):
        return current
    version = imports.version(tools.output(options.executable, "config", "default"))
    return f"version = {version}\n{current or ''}"


def _drop_in(options: Options, text: str, base: str, tools: Tools) -> str:
    """nvidia-ctk's work on a copy of what is in force (`base`) by the user's file (`text`)."""
    found = sections(base)
    cri = CRI[imports.version(base) or 2]
    disabled = setting(found.get("", []), "disabled_plugins") or ""
    if any(f'"{name}"' in disabled.replace("'", '"') for name in ("cri", *CRI.values())):
        raise RuntimeConfigError(
            f'{options.config}: disabled_plugins switches the CRI plugin off; remove "cri"'
        )
    if imports.version(text) not in CRI:
        raise RuntimeConfigError(
            f"{options.config}: has no `version = 2`, so that containerd reads it as version 1, which takes"
            " no drop-in; write the version and the long names of plugins (see `containerd config migrate`)"
        )
    cdi = setting(found.get(f"plugins.{cri}", []), "enable_cdi")
    if options.cdi and cdi is None:
        raise RuntimeConfigError(f"{options.executable} knows no CDI: cdi needs containerd 1.7 or newer")
    if options.cdi is False:
        base = re.sub(r"(?m)^([ \t]*enable_cdi = )true$", r"\1false", base)
    default = setting(found.get(f"plugins.{cri}.containerd", []), "default_runtime_name") or ""
    # Others may have made it the default; that is theirs to change.
    flags = ["--set-as-default"] if options.set_as_default or default.strip("\"'") == "nvidia" else []
    flags += ["--cdi.enabled"] if options.cdi else []
    return HEADER.format(config=options.config) + ctk.drop_in(options, base, tools, *flags)


def _covering(options: Options, text: str) -> str | None:
    """The import to add: none if one covers the drop-in; nvidia-ctk's, if that takes up no other file."""
    folder, name = os.path.split(options.drop_in)
    found = imports.find(text)
    values = imports.resolve(found.elements, os.path.dirname(options.config)) if found else []
    if any(imports.covers(value, options.drop_in) for value in values):
        return None
    others = os.listdir(folder) if os.path.isdir(folder) else []
    alone = not any(other.endswith(".toml") and other != name for other in others)
    # As a glob it is no error that the file is missing.
    return f"{folder}/*.toml" if alone else f"{folder}/{os.path.splitext(name)[0]}*.toml"


def check(options: Options, before: str, after: str) -> None:
    """That what is in force changes in NVIDIA's keys only, and does change."""
    cri = CRI[imports.version(before) or 2]
    runtime = sections(after).get(f"plugins.{cri}.containerd.runtimes.nvidia.options", [])
    if (setting(runtime, "BinaryName") or "").strip("\"'") != options.runtime_path:
        raise RuntimeConfigError(
            f"{options.drop_in}: does not take effect: a file that {options.config} imports after it replaces"
            " the CRI section; rename that file so that it comes first, or set drop_in"
        )
    other = difference(before, after, cri)
    if other:
        raise RuntimeConfigError(
            f"{options.config}: left alone, since the drop-in would also change: {other}"
        )
