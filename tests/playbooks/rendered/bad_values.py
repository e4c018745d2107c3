# SPDX-License-Identifier: GPL-3.0-or-later
"""A value for each variable of a role that its argument specification must refuse."""

from __future__ import annotations

from typing import Any

import yaml

from tests.ansible_runs import ROOT

from .harness import Case

# What no value of the type can be read from.
WRONG: dict[str, Any] = {
    "bool": "perhaps",
    "int": "many",
    "float": "much",
    "dict": "text without an equals sign",
    "list": {"a": "dictionary"},
}


def options(role: str) -> dict[str, dict[str, Any]]:
    specification = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())
    found: dict[str, dict[str, Any]] = specification["argument_specs"]["main"]["options"]
    return found


def wrong_values(role: str) -> dict[str, Any]:
    """By variable, a value of the wrong type or out of its choices. Any text is a text: those have none."""
    found = {}
    for name, option in options(role).items():
        kind, element = option.get("type", "str"), option.get("elements", "str")
        if "choices" in option:
            found[name] = ["neither of them"] if kind == "list" else "neither of them"
        elif kind == "list" and element in WRONG:
            found[name] = [WRONG[element]]
        elif kind in WRONG:
            found[name] = WRONG[kind]
    return found


def cases() -> dict[str, Case]:
    """A node for each; named by the variable and the value."""
    return {
        f"{name}: {value}": Case(role, "debian12", variables={name: value})
        for role in ("nvidia_driver", "nvidia_docker")
        for name, value in wrong_values(role).items()
    }


BAD = cases()
