# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, made of good input and a seed: texts, specs of pipelines, messages of any class."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pachd_embedded.pps.proto_schema import Field, fields_of

COMMIT = "0123456789ab4cdef0123456789abcde"

TEXTS = (
    *(
        "",
        " ",
        "a",
        "/",
        "//",
        ".",
        "..",
        "/a/../../b",
        "/a//b/",
        "~",
        "a b",
        "a/b",
        "é",
        "☃",
        "\u202e",
        "\0",
    ),
    *("\n", "\t", "/a\0b", "*", "/**", "/[", "/{a", "/(((", "/!(a)", "/^(a)", "$1", "${", "%s", "%n", "{}"),
    *("'; DROP TABLE repo; --", '"', "\\", "\\u0000", "null", "true", "-1", "1e400", "NaN", "0x10", "1Q"),
    *(
        "default",
        "data",
        "data@master",
        "master",
        "master^9",
        "master.0",
        "master.-1",
        "^",
        "^^",
        "@",
        "a@b@c",
    ),
    *(COMMIT, COMMIT[:8], COMMIT + "^", "f" * 32, "deadbeef", "10s", "1m", "-5s", "9" * 30 + "s", "@daily"),
    *(
        "x" * 52,
        "x" * 5000,
        "/x" * 600,
        "(" * 200,
        "**" * 60,
        "user",
        "spec",
        "meta",
        "__filesets__",
        "bogus",
    ),
    *(
        "http://127.0.0.1:1/",
        "file:///nope",
        "foo://bar",
        "https://[",
        "://",
        "s3://b",
        "robot:x",
        "pach:root",
    ),
)
NUMBERS = (0, 1, -1, 2, 255, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**64, 10**400)
ODD: tuple[Any, ...]
ODD = (None, True, False, [], {}, [[]], [{}], {"": ""}, 0.5, -0.0, 1e308, *TEXTS[:12], *NUMBERS)

SPEC = {
    "pipeline": {"name": "fuzzed", "project": {"name": "default"}},
    "description": "all that a spec can have, or much of it",
    "transform": {
        "image": "ubuntu:20.04",
        "cmd": ["true"],
        "stdin": ["true"],
        "env": {"A": "b"},
        "errCmd": ["true"],
        "acceptReturnCode": [1],
    },
    "input": {
        "cross": [
            {"pfs": {"repo": "data", "glob": "/*", "name": "one", "branch": "master"}},
            {"join": [{"pfs": {"repo": "data", "glob": "/(*)", "joinOn": "$1", "name": "two"}}]},
        ]
    },
    "parallelismSpec": {"constant": "1"},
    "resourceRequests": {"cpu": 0.1, "memory": "64Mi", "disk": "1Gi"},
    "resourceLimits": {"cpu": 0.5, "memory": "1Gi", "gpu": {"type": "nvidia.com/gpu", "number": "0"}},
    "datumSetSpec": {"number": "10", "sizeBytes": "100"},
    "datumTimeout": "10s",
    "jobTimeout": "20s",
    "datumTries": "1",
    "outputBranch": "master",
    "schedulingSpec": {"nodeSelector": {"a": "b"}},
    "metadata": {"annotations": {"a": "b"}},
    "reprocessSpec": "until_success",
    "autoscaling": False,
    "tolerations": [{"key": "a", "operator": "EXISTS"}],
}


def text(source: Random) -> str:
    picked = source.choice(TEXTS)
    return picked + source.choice(TEXTS) if source.random() < 0.2 else picked


def spec(source: Random) -> str:
    """The text of a spec in which one to three things are wrong, or odd, or by chance as good as before."""
    whole: Any = copy.deepcopy(SPEC)
    for _ in range(source.randint(1, 3)):
        _spoil(whole, source)
    written = json.dumps(whole, ensure_ascii=source.random() < 0.5)
    at = source.randrange(len(written))
    match source.randrange(12):
        case 0:
            return written[:at]
        case 1:
            return written[:at] + source.choice('{}[],:"\\\0é 0') + written[at + 1 :]
        case 2:
            return written.replace('"glob"', '"glob": "/", "glob"', 1)
        case 3:
            return written + source.choice(("{}", "]", " x", written))
        case 4:
            return "[" * 3000 + written
    return written


def _spoil(whole: Any, source: Random) -> None:
    """Change one place in a tree of dicts and lists."""
    place: Any = whole
    while True:
        if not place:
            return
        key = source.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or source.random() < 0.3:
            break
        place = place[key]
    match source.randrange(5):
        case 0:
            del place[key]
        case 1 if isinstance(place, dict):
            place[text(source)] = place[key]
        case 2:
            place[key] = text(source)
        case 3:
            place[key] = {"pfs": place[key]} if source.random() < 0.5 else [place[key], place[key]]
        case _:
            place[key] = source.choice(ODD)


def message(kind: Any, source: Random, depth: int = 0) -> Any:
    """A message of that class with some of its fields set to anything that fits on the wire."""
    made = kind()
    # As when it comes over the wire: an empty message is one that is there.
    made._serialized_on_wire = True
    for field in fields_of(kind):
        if source.random() > 0.5 or depth > 4:
            continue
        if field.map:
            setattr(made, field.name, {text(source): _value(field, source, depth)})
        elif field.repeated:
            setattr(made, field.name, [_value(field, source, depth) for _ in range(source.randrange(3))])
        else:
            setattr(made, field.name, _value(field, source, depth))
    return made


def _value(field: Field, source: Random, depth: int) -> Any:
    kind = field.wraps or field.kind
    if kind == "message":
        if field.type is timedelta:
            return timedelta(seconds=source.choice((0, 1, -1, 10**9)))
        if field.type is datetime:
            return datetime.fromtimestamp(source.choice((0, 1, 2**31)), UTC)
        return message(field.type, source, depth + 1)
    if kind == "string":
        return text(source)
    if kind == "bytes":
        return text(source).encode()
    if kind == "bool":
        return source.random() < 0.5
    if kind == "enum":
        return source.choice((*field.type.__members__.values(), 99))
    if kind in ("float", "double"):
        return source.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
    low, high = _RANGES[kind]
    return source.choice([number for number in NUMBERS if low <= number <= high])


_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
