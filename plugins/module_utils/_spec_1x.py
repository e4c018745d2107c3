# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs of Pachyderm 1.x in the form of 2.x. PRIVATE to the collection: it may change at any time.

A spec of 2.x comes out as it went in. Field names are taken in snake_case and in camelCase, as pachd does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ._errors import PachydermError

Spec = dict[str, Any]

GPU_TYPE = "nvidia.com/gpu"

# Fields of 1.x that 2.x does not know, and what became of them.
_DROPPED = {
    "incremental": "every datum is computed on its own",
    "batch": "there is nothing like it",
    "cachesize": "there is no such cache",
    "enablestats": "statistics are always kept",
    "maxqueuesize": "workers take one datum at a time",
    "hashtreespec": "there are no hash trees",
    "scaledownthreshold": "autoscaling takes workers away as soon as they are idle",
}
_RENAMED = {"chunkspec": "datum_set_spec", "standby": "autoscaling"}
_RESOURCES = ("resourcerequests", "resourcelimits", "sidecarresourcelimits", "sidecarresourcerequests")
_DURATIONS = ("datumtimeout", "jobtimeout")
_GO_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:h|m|s|ms|us|ns))+")
_GO_PART = re.compile(r"(\d+(?:\.\d*)?)(ms|us|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# A path under /pfs/out, up to what ends a word of a shell.
_OUT_PATH = re.compile(r"/pfs/out/[^\s\"'`;|&<>()]+")


def convert(spec: Mapping[str, Any]) -> tuple[Spec, list[str]]:
    """The spec as 2.x takes it, and a text for each thing that was converted or dropped.

    Raises PachydermError for what 2.x has no counterpart of, where leaving it out would change the result.
    """
    converted: Spec = copy.deepcopy(dict(spec))
    notes: list[str] = []
    for key in list(converted):
        _convert_top(converted, key, notes)
    for key in [key for key in converted if plain(key) == "input"]:
        _convert_input(converted[key], "input", notes)
    if notes and (joined := joined_files(converted)):
        notes.append(
            f"several datums write {', '.join(joined)}: Pachyderm 1.x joined such files, 2.x fails the job;"
            ' use the glob "/", or put something of the datum into the name'
        )
    return converted, notes


def plain(key: str) -> str:
    """A field name without the difference between snake_case and camelCase."""
    return key.replace("_", "").lower()


def joined_files(spec: Mapping[str, Any]) -> list[str]:
    """Fixed paths below /pfs/out that the transform writes although its input makes several datums."""
    if not any(_makes_several(value) for key, value in spec.items() if plain(key) == "input"):
        return []
    transform = next((value for key, value in spec.items() if plain(key) == "transform"), None)
    if not isinstance(transform, dict):
        return []
    lines = [str(line) for key in ("cmd", "stdin") for line in transform.get(key) or []]
    paths = [path for line in lines for path in _OUT_PATH.findall(line)]
    # A variable or a pattern in the path may well be something of the datum.
    return list(dict.fromkeys(p for p in paths if not re.search(r"[$*?{]", p) and not p.endswith("/")))


def _convert_top(spec: Spec, key: str, notes: list[str]) -> None:
    name, value = plain(key), spec[key]
    if name == "inputs":
        raise PachydermError(f"{key}: this form is older than Pachyderm 1.4; write it as input")
    if name in _DROPPED:
        del spec[key]
        notes.append(f"{key} dropped: {_DROPPED[name]}")
    elif name in _RENAMED:
        del spec[key]
        spec[_RENAMED[name]] = value
        notes.append(f"{key} is now {_RENAMED[name]}")
    elif name == "parallelismspec" and isinstance(value, dict):
        for old in [k for k in value if plain(k) in ("coefficient", "strategy")]:
            del value[old]
            notes.append(f"{key}.{old} dropped: only a constant number of workers is left")
        if not value:
            del spec[key]
    elif name in _RESOURCES and isinstance(value, dict):
        _convert_gpu(value, key, notes)
    elif name in _DURATIONS and isinstance(value, str):
        spec[key] = _duration(value, key, notes)
    elif name == "egress" and isinstance(value, dict) and "url" in value:
        value["URL"] = value.pop("url")
        notes.append(f"{key}.url is now {key}.URL")
    elif name == "transform" and isinstance(value, dict) and "build" in value:
        raise PachydermError(f"{key}.build: 2.x builds no images; push one, and name it in {key}.image")


def _convert_gpu(resources: Spec, key: str, notes: list[str]) -> None:
    gpu = resources.get("gpu")
    if isinstance(gpu, bool) or not isinstance(gpu, int | str):
        return
    if not str(gpu).isdigit():
        raise PachydermError(f"{key}.gpu: must be a number of GPUs or {{type, number}}, not {gpu!r}")
    if int(gpu) == 0:
        del resources["gpu"]
        notes.append(f"{key}.gpu dropped: it is 0")
        return
    resources["gpu"] = {"type": GPU_TYPE, "number": int(gpu)}
    notes.append(f"{key}.gpu {gpu} is now type {GPU_TYPE}, number {gpu}")


def _duration(text: str, key: str, notes: list[str]) -> str:
    if re.fullmatch(r"\d+(\.\d+)?s", text) or not _GO_DURATION.fullmatch(text):
        return text
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _GO_PART.findall(text))
    notes.append(f"{key} {text} is now {seconds:g}s")
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _convert_input(value: Any, where: str, notes: list[str]) -> None:
    if not isinstance(value, dict):
        return
    for key in list(value):
        inner = value[key]
        if plain(key) == "git":
            raise PachydermError(f"{where}.git: 2.x has no git input; bring the files into a repo")
        if plain(key) == "atom":
            del value[key]
            value["pfs"] = _convert_atom(inner, f"{where}.atom", notes)
        elif isinstance(inner, list):
            for index, item in enumerate(inner):
                _convert_input(item, f"{where}.{key}[{index}]", notes)


def _convert_atom(atom: Any, where: str, notes: list[str]) -> Any:
    notes.append(f"{where} is now {where.removesuffix('atom')}pfs")
    if not isinstance(atom, dict):
        return atom
    for key in list(atom):
        if plain(key) == "commit":
            raise PachydermError(f"{where}.{key}: 2.x reads the head of a branch; name a branch instead")
        if plain(key) == "fromcommit":
            del atom[key]
            notes.append(f"{where}.{key} dropped: 2.x reads the whole branch")
    return atom


def _makes_several(value: Any) -> bool:
    """Whether an input can make more than one datum."""
    is_union = isinstance(value, dict) and bool(value.get("union"))
    return is_union or any(glob != "/" for glob in _globs(value))


def _globs(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "pfs" and isinstance(inner, dict):
            yield str(inner.get("glob", "/"))
        elif isinstance(inner, list):
            for item in inner:
                yield from _globs(item)
