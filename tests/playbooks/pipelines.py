# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of pachyderm_pipeline share."""

from __future__ import annotations

from typing import Any

from .conftest import Lab


def spec(name: str = "p", repo: str = "data", script: str = "true", **fields: Any) -> dict[str, Any]:
    return {
        "pipeline": {"name": name},
        "input": {"pfs": {"repo": repo, "glob": "/*"}},
        "transform": {"cmd": ["sh"], "stdin": [script]},
        **fields,
    }


def lab_with_data(lab: Lab) -> Lab:
    """A lab with two repos, of which data holds two files."""
    lab.run("repo", repos=[{"name": "data"}, {"name": "taken"}])
    lab.put("/a", b"a")
    lab.put("/b", b"b")
    return lab


def run(lab: Lab, **options: Any) -> dict[str, Any]:
    """A run after its check-mode twin, which must predict the same actions and diff."""
    predicted = lab.run("pipeline", check=True, **options)
    result = lab.run("pipeline", **options)
    for key in ("changed", "actions", "diff"):
        assert predicted.get(key) == result.get(key), key
    return result


def verbs(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(action["action"], action["name"]) for action in result["actions"]]


def gpus(number: int | str) -> dict[str, Any]:
    return {"gpu": {"type": "nvidia.com/gpu", "number": number}}
