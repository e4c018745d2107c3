# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules document is what they take; and they keep to the sizes of the design."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.doc_fragments import _attributes, _connection, kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import CONNECTION_SPEC

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
PACKAGE = "ansible_collections.gpulab.pachyderm.plugins.modules"


def load(module: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{module}")


def compare(documented: dict[str, Any], spec: dict[str, Any], where: str) -> None:
    assert set(documented) == set(spec), where
    for name, option in spec.items():
        text = documented[name]
        for key in ("type", "elements", "choices", "default", "required", "aliases"):
            assert text.get(key) == option.get(key), f"{where}{name}.{key}"
        if "options" in option:
            compare(text["suboptions"], option["options"], f"{where}{name}.")


@pytest.mark.parametrize("module", MODULES)
def test_options_are_documented_as_they_are(module: str) -> None:
    compare(yaml.safe_load(load(module).DOCUMENTATION)["options"], load(module).ARGUMENTS, f"{module}: ")


@pytest.mark.parametrize(
    ("fragment", "spec"), [(_connection, CONNECTION_SPEC), (kubernetes, KUBERNETES_SPEC)]
)
def test_connection_is_documented_as_it_is(fragment: Any, spec: dict[str, Any]) -> None:
    documented = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    compare(documented, spec, "connection: ")
    for name, option in spec.items():
        for variable in option.get("fallback", (None, []))[1]:
            assert f"E({variable})" in str(documented[name]["description"])


@pytest.mark.parametrize("module", MODULES)
def test_module_has_all_its_parts(module: str) -> None:
    documentation = yaml.safe_load(load(module).DOCUMENTATION)
    assert documentation["module"] == module
    fragments = documentation["extends_documentation_fragment"]
    if "gpulab.pachyderm._connection" in fragments:
        assert "gpulab.pachyderm._attributes.actiongroup" in fragments
    if "gpulab.pachyderm.kubernetes" in fragments:
        assert "gpulab.pachyderm.kubernetes.actiongroup" in fragments
    if module.endswith("_info"):
        assert "gpulab.pachyderm._attributes.info" in fragments
    else:
        assert set(documentation["attributes"]) == {"check_mode", "diff_mode", "idempotent"}
    assert yaml.safe_load(load(module).RETURN)
    examples = yaml.safe_load(load(module).EXAMPLES)
    assert f"gpulab.pachyderm.{module}" in yaml.safe_dump(examples)


@pytest.mark.parametrize("module", MODULES)
def test_texts_are_texts(module: str) -> None:
    """A colon inside of an unquoted text makes a mapping of it, which ansible-doc refuses."""
    for part in (load(module).DOCUMENTATION, load(module).RETURN):
        for text in texts(yaml.safe_load(part)):
            assert isinstance(text, str), text


def texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("description", "details") and not (isinstance(inner, dict) and "description" in inner):
                yield from inner if isinstance(inner, list) else [inner]
            yield from texts(inner)


def test_fragments_hold_the_same_attributes() -> None:
    parts = {
        name: yaml.safe_load(getattr(_attributes.ModuleDocFragment, name))
        for name in ("DOCUMENTATION", "INFO")
    }
    assert set(parts["DOCUMENTATION"]["attributes"]) == set(parts["INFO"]["attributes"])


def test_files_are_short() -> None:
    for path in (ROOT / "plugins" / "module_utils").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path
    for module in MODULES:
        text = (ROOT / "plugins" / "modules" / f"{module}.py").read_text()
        assert len(text.rsplit('"""', 1)[1].splitlines()) <= 120, module
