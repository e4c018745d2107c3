# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/compatibility.md: its tables against what is registered, its rules against the tests."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.calls import served
from pachd_embedded.core import Core
from pachd_embedded.rpc import SERVICES, methods_of
from pachd_embedded.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/compatibility.py"


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("compatibility", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compatibility = load_script()
RPCS: dict[str, dict[str, str]] = compatibility.rpcs()
RULES = [(area["title"], rule) for area in compatibility.rules() for rule in area["rule"]]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths of the methods that a servicer has."""
    core = Core(Settings(tmp_path_factory.mktemp("data"), private_pfs=True), offline=True)
    paths = set(served(core.servicers()))
    core.close()
    return paths


def test_the_tables_of_the_document_are_those_of_the_data() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_method_of_the_api_is_listed_once() -> None:
    listed = {(service, method) for service, methods in RPCS.items() for method in methods}
    api = {tuple(method.path[1:].split("/")) for module in SERVICES for method in methods_of(module)}
    assert listed == api


@pytest.mark.parametrize("service", sorted(RPCS))
def test_what_is_listed_as_served_is_registered(service: str, registered: set[str]) -> None:
    promised = {f"/{service}/{method}" for method, state in RPCS[service].items() if "refused" not in state}
    assert promised - registered == set()


@pytest.mark.parametrize("service", sorted(RPCS))
def test_what_is_not_served_is_listed_as_refused(service: str, registered: set[str]) -> None:
    """Where a function refuses, tests/embedded shows it by calling."""
    refused = {
        f"/{service}/{method}" for method, state in RPCS[service].items() if state.startswith("refused")
    }
    here = {path for path in registered if path.startswith(f"/{service}/")}
    assert {f"/{service}/{method}" for method in RPCS[service]} - here <= refused


@pytest.mark.parametrize("service", sorted(RPCS))
def test_a_function_that_refuses_says_why_in_the_table(service: str, registered: set[str]) -> None:
    bare = {f"/{service}/{method}" for method, state in RPCS[service].items() if state.endswith("NTED")}
    assert bare & registered == set()


@cache
def names_in(path: Path) -> set[str]:
    """The names of a file's tests, classes and all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("title", "rule"), RULES, ids=lambda value: str(value)[:60])
def test_the_test_that_a_rule_names_is_there(title: str, rule: dict[str, str]) -> None:
    path, _, name = rule["test"].partition("::")
    assert (ROOT / path).is_file(), f"{title}: {path}"
    assert name in names_in(ROOT / path), f"{title}: {rule['test']}"
    assert name.startswith("test_")


def test_a_rule_is_told_once() -> None:
    texts = [rule["rule"] for _, rule in RULES]
    assert sorted(set(texts)) == sorted(texts)
