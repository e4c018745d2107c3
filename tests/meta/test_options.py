# SPDX-License-Identifier: GPL-3.0-or-later
"""No option of a module without its case and its example."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import CONNECTION_SPEC
from tests.playbooks.cases import OF_ALL, OF_MODULES, Case, Left

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.gpulab.pachyderm.plugins.modules"
MODULES = {
    path.stem: importlib.import_module(f"{PACKAGE}.{path.stem}")
    for path in sorted((ROOT / "plugins/modules").glob("*.py"))
}
OF_PACHD = [
    name for name, module in MODULES.items() if "- gpulab.pachyderm._connection\n" in module.DOCUMENTATION
]
CASES = {
    **{name: [] for name in OF_PACHD},
    "every module": [case for table in OF_ALL for case in table.complete()],
}
for _table in OF_MODULES:
    CASES[f"pachyderm_{_table.module}"] = [*CASES[f"pachyderm_{_table.module}"], *_table.complete()]
# Three words are a sentence.
FEWEST_WORDS = 3


def specs(name: str) -> Mapping[str, Any]:
    return CONNECTION_SPEC if name == "every module" else MODULES[name].ARGUMENTS


def paths(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each option with its argument spec, those of items and of dictionaries after it."""
    for name, option in spec.items():
        yield prefix + name, option
        yield from paths(option.get("options", {}), f"{prefix}{name}.")


@pytest.mark.parametrize("name", CASES)
def test_each_option_has_its_case_and_no_other(name: str) -> None:
    assert sorted(case.option for case in CASES[name]) == sorted(path for path, _ in paths(specs(name)))


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{name}-{case.option}") for name in CASES for case in CASES[name]]
)
def test_a_step_is_left_out_for_a_reason(case: Case) -> None:
    """`set` and `changed` never are, and a module that does not read the option ends them otherwise."""
    assert case.set.value is not None
    assert case.set.value != case.changed.value
    assert case.changed.changed or case.changed.fails or case.set.sees is not None
    reasons = [step for step in (*case.steps.values(), case.again) if isinstance(step, Left)]
    assert all(len(reason.why.split()) >= FEWEST_WORDS for reason in reasons)


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_logged_is_looked_for_in_results(name: str) -> None:
    hidden = {path for path, option in paths(specs(name)) if option.get("no_log")}
    assert {case.option for case in CASES[name] if case.secret} == hidden


def tasks(value: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """The options of each task of the module in examples, and those that a play gives to all of its tasks."""
    if isinstance(value, list):
        for inner in value:
            yield from tasks(inner, name)
    elif isinstance(value, dict):
        yield from (inner for key, inner in value.items() if key == f"gpulab.pachyderm.{name}" and inner)
        yield from (inner for key, inner in value.items() if key.startswith("group/gpulab.pachyderm."))
        yield from (found for inner in value.values() for found in tasks(inner, name))


def used(options: Any, spec: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of options that a task uses."""
    for item in options if isinstance(options, list) else [options]:
        for name, value in item.items() if isinstance(item, dict) else ():
            yield prefix + name
            yield from used(value, spec.get(name, {}).get("options", {}), f"{prefix}{name}.")


def shown(name: str, spec: Mapping[str, Any]) -> set[str]:
    examples = yaml.safe_load(MODULES[name].EXAMPLES)
    return {path for options in tasks(examples, name) for path in used(options, spec)}


def twins(name: str) -> Iterator[tuple[str, str]]:
    """An option of a list's items, and the one beside the list that it is documented by: "As O(name)."."""
    documented = yaml.safe_load(MODULES[name].DOCUMENTATION)["options"]
    for path, _ in paths(MODULES[name].ARGUMENTS):
        option = {"suboptions": documented}
        for part in path.split("."):
            option = option["suboptions"][part]
        if found := re.match(r"As O\(([\w.]+)\)", str(option["description"])):
            yield path, found[1]


@pytest.mark.parametrize("name", MODULES)
def test_each_option_has_an_example(name: str) -> None:
    """Of an option that an item of a list has too, one of the two."""
    spec = MODULES[name].ARGUMENTS
    seen = shown(name, spec)
    seen |= {path for pair in twins(name) for path in pair if set(pair) & seen}
    assert not {path for path, _ in paths(spec)} - seen


@pytest.mark.parametrize("spec", [CONNECTION_SPEC, KUBERNETES_SPEC], ids=["pachd", "kubernetes"])
def test_each_way_to_connect_has_an_example(spec: Mapping[str, Any]) -> None:
    seen = {path for name in MODULES for path in shown(name, spec)}
    assert not set(spec) - seen
