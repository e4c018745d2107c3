# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's keys in Docker's daemon.json. PRIVATE to the collection: it may change at any time.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import Any

from ._container_runtime_files import read
from ._container_runtime_types import Entry, MissingToolError, Options, Plan, RuntimeConfigError, Tools

RUNTIME = "runtimes.nvidia"
DEFAULT = "default-runtime"
CDI = "features.cdi"
SHIM = ("runtimeType", "options")


def present(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """daemon.json with the runtime `nvidia`; every other key stays as it is."""
    text = unmarked(read(options.config))
    before = dict(entry.before) if entry else {}
    config = parse(options.config, text)
    keys = Keys(config, before)
    # Docker does not start with a runtime that has a path beside a shim or its options.
    others = {key: value for key, value in (keys.get(RUNTIME) or {}).items() if key not in SHIM}
    keys.set(RUNTIME, {**others, "path": options.runtime_path})
    if options.set_as_default:
        keys.set(DEFAULT, "nvidia")
    elif DEFAULT in before and keys.get(DEFAULT) == "nvidia":
        keys.put(DEFAULT, before.pop(DEFAULT))  # we made it the default; the user no longer wants it
    if options.cdi is not None:
        keys.set(CDI, options.cdi)
    old = parse(options.config, text)
    if config == old:
        return Plan({}, "reload", entry)
    new = dump(config, text)
    validate(options, new, tools)
    original = without(options.config, text, entry)
    return Plan({options.config: new}, how_to_apply(old, config), Entry(original, new, before))


def absent(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """daemon.json without NVIDIA's runtime, ours or nvidia-docker2's."""
    text = unmarked(read(options.config))
    new = without(options.config, text, entry)
    if new == text:
        return Plan({}, "reload", None)
    if new is not None:
        with suppress(MissingToolError):  # Docker is gone: nobody reads the file
            validate(options, new, tools)
    apply = how_to_apply(parse(options.config, text), parse(options.config, new))
    return Plan({options.config: new}, apply, None)


def without(path: str, text: str | None, entry: Entry | None) -> str | None:
    """The file without NVIDIA's keys, byte for byte as it was if nobody else wrote into it since."""
    if entry and text == entry.written:
        return entry.original
    before = entry.before if entry else {}
    config = parse(path, text)
    keys = Keys(config, {})
    runtime = keys.get(RUNTIME)
    if runtime is not None and (RUNTIME in before or is_nvidias(runtime)):
        former = before.get(RUNTIME)
        keys.put(RUNTIME, None if is_nvidias(former) else former)
    if keys.get(DEFAULT) == "nvidia" and (keys.get(RUNTIME) is None or DEFAULT in before):
        # Docker does not start with a default runtime that it does not know.
        keys.put(DEFAULT, before.get(DEFAULT))
    if CDI in before and keys.get(CDI) is not None:
        keys.put(CDI, before[CDI])
    if config == parse(path, text):
        return text
    return dump(config, text) if config else None


def is_nvidias(runtime: Any) -> bool:
    """Whether a runtime is NVIDIA's, as this module, nvidia-ctk and nvidia-docker2 write it."""
    path = runtime.get("path") if isinstance(runtime, dict) else None
    return isinstance(path, str) and os.path.basename(path) == "nvidia-container-runtime"


def parse(path: str, text: str | None) -> dict[str, Any]:
    """A missing or empty file sets nothing."""
    text = unmarked(text)
    if text is None or not text.strip():
        return {}
    try:
        config = json.loads(text, object_pairs_hook=lambda pairs: unique(path, pairs))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RuntimeConfigError(f"{path}: {place}: not valid JSON: {error.msg}") from error
    if not isinstance(config, dict):
        raise RuntimeConfigError(f"{path}: not a JSON object but a {type(config).__name__}")
    keys = Keys(config, {})
    for name in ("runtimes", "features", RUNTIME):
        value = keys.get(name)
        if value is not None and not isinstance(value, dict):
            raise RuntimeConfigError(f"{path}: {name} is not an object; write it as {{...}} or remove it")
    return config


def unmarked(text: str | None) -> str | None:
    """Without a byte order mark, which Docker passes over from 23 on, and does not start with before."""
    return text.lstrip("\ufeff") if text else text


def unique(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Docker takes both of two equal keys; written back there would be one."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise RuntimeConfigError(f"{path}: the key {key} is there twice; make them one")
        table[key] = value
    return table


def dump(config: dict[str, Any], like: str | None) -> str:
    """As JSON, indented as `like` is; by four spaces, as Docker's manual does it, if that tells nothing.

    Where all that is not ASCII was escaped, it stays so.
    """
    found = re.search(r'^([ \t]+)"', like or "", re.MULTILINE)
    return (
        json.dumps(config, indent=found.group(1) if found else 4, ensure_ascii=(like or "").isascii()) + "\n"
    )


def validate(options: Options, text: str, tools: Tools) -> None:
    """By Docker itself where it can: `--validate` came after 20.10, which takes the file as it is."""
    path = tools.write("daemon.json", text)
    try:
        tools.output(options.executable, "--validate", "--config-file", path)
    except MissingToolError:
        raise
    except RuntimeConfigError as error:
        message = str(error).splitlines()[0]
        if "unknown flag: --validate" not in message:
            raise RuntimeConfigError(message.replace(path, options.config)) from error


def how_to_apply(old: dict[str, Any], new: dict[str, Any]) -> str:
    """`reload` if a SIGHUP is enough: it takes runtimes and the default as they are in the file.

    Tried with 20.10 and 26.1: of a key that is no longer in the file the old value stays in force, and
    features (CDI) are read at the start only.
    """
    stays = all(key in new or key not in old for key in ("runtimes", DEFAULT))
    return "reload" if stays and old.get("features") == new.get("features") else "restart"


class Keys:
    """A configuration by dotted key. `before` gets the former value of each key that is set."""

    def __init__(self, config: dict[str, Any], before: dict[str, Any]) -> None:
        self._config = config
        self._before = before

    def get(self, key: str) -> Any:
        """Its value, or None."""
        table, name = self._table(key)
        return table.get(name)

    def set(self, key: str, value: Any) -> None:
        """Sets a key, and remembers what it was before the first time."""
        if self.get(key) != value:
            self._before.setdefault(key, self.get(key))
            self.put(key, value)

    def put(self, key: str, value: Any) -> None:
        """Sets a key; None removes it, and the table that only it was in."""
        table, name = self._table(key)
        if value is not None:
            table[name] = value
            if table is not self._config:
                self._config[key.split(".")[0]] = table
            return
        table.pop(name, None)
        if not table and table is not self._config:
            self._config.pop(key.split(".")[0], None)

    def _table(self, key: str) -> tuple[dict[str, Any], str]:
        """The table that a key is in, a new one if there is none, and its name there."""
        outer, _dot, inner = key.partition(".")
        return (self._config.get(outer) or {}, inner) if inner else (self._config, outer)
