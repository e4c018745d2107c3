# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that run on nodes keep to the node's own Python: 3.8 or newer, with its standard library alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PLUGINS = Path(__file__).parents[2] / "plugins"
GROUPS = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text())["action_groups"]
ON_NODES = [PLUGINS / f"modules/{module}.py" for module in GROUPS["nvidia"]]
# Of newer standard libraries, what one reaches for first.
NEWER_MODULES = {"graphlib", "tomllib", "zoneinfo"}
NEWER_NAMES = {"UTC", "cache", "hardlink_to", "is_relative_to", "pairwise", "removeprefix", "removesuffix"}
NEWER_NAMES |= {"StrEnum", "batched", "readlink_to", "to_thread", "with_stem"}
BUILTIN_TYPES = {"dict", "frozenset", "list", "set", "tuple", "type"}


def reached(paths: list[Path]) -> list[Path]:
    """These files, and those of the collection that they import."""
    found: dict[Path, None] = {}
    while paths:
        path = paths.pop()
        found[path] = None
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.level or ours(node.module or "")):
                # Either of the package or of one of its modules.
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                files = [PLUGINS / "module_utils" / f"{name}.py" for name in names if name]
                paths += [file for file in files if file not in found and file.exists()]
    return sorted(found)


def ours(module: str) -> bool:
    return f"{module}.".startswith("ansible_collections.gpulab.pachyderm.plugins.module_utils.")


def name_of(path: Path) -> str:
    return path.stem


def problems(text: str) -> list[str]:
    """What a Python 3.8 without further libraries would stumble over."""
    tree = ast.parse(text, feature_version=(3, 8))
    found = []
    if "annotations" not in {alias.name for node in imports(tree, "__future__") for alias in node.names}:
        found.append("annotations are run")
    for node in ast.walk(without_annotations(tree)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if not on_a_node(alias.name)]
        elif isinstance(node, ast.ImportFrom) and not node.level and not on_a_node(node.module or ""):
            found.append(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.name in NEWER_NAMES]
        elif isinstance(node, ast.Attribute) and node.attr in NEWER_NAMES:
            found.append(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            found += [f"{node.value.id}[...]"] * (node.value.id in BUILTIN_TYPES)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = [side for side in (node.left, node.right) if isinstance(side, ast.Constant | ast.Dict)]
            found += ["None |" if isinstance(side, ast.Constant) else "dict |" for side in sides]
        elif isinstance(node, ast.keyword) and node.arg == "strict":
            found.append("zip(strict)")
    return found


def imports(tree: ast.AST, module: str) -> Iterator[ast.ImportFrom]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == module)


def on_a_node(module: str) -> bool:
    top = module.split(".")[0]
    return ours(module) or top == "ansible" or (top in sys.stdlib_module_names and top not in NEWER_MODULES)


def without_annotations(tree: ast.Module) -> ast.Module:
    """With the import from __future__ they are text, which may hold anything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return tree


@pytest.mark.parametrize("path", reached(ON_NODES), ids=name_of)
def test_runs_on_python_3_8_as_it_comes(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("import tomllib", "tomllib"),
        ("import yaml", "yaml"),
        ("from tomlkit import parse", "tomlkit"),
        ("from functools import cache", "cache"),
        ("'a'.removeprefix('a')", "removeprefix"),
        ("Names = list[str]", "list[...]"),
        ("Name = str | None", "None |"),
        ("both = {'a': 1} | other", "dict |"),
        ("zip(a, b, strict=True)", "zip(strict)"),
        ("from ansible_collections.community.docker.plugins.module_utils._api import x", "._api"),
    ],
)
def test_the_check_finds(line: str, problem: str) -> None:
    (found,) = problems(f"from __future__ import annotations\n{line}\n")
    assert found.endswith(problem)


def test_what_a_module_imports_is_checked_too(tmp_path: Path) -> None:
    module = tmp_path / "nvidia_x.py"
    package = "ansible_collections.gpulab.pachyderm.plugins.module_utils"
    for line in (f"from {package}._nvidia_node import read_node", f"from {package} import _nvidia_node"):
        module.write_text(f"{line}\n")
        names = {path.name for path in reached([module])}
        assert {"nvidia_x.py", "_nvidia_node.py", "_nvidia_node_run.py"} <= names


NEWER_SYNTAX = ["match a:\n    case 1: pass", "try: pass\nexcept* OSError: pass"]
if sys.version_info < (3, 13):
    # Newer parsers take this for what Python 3.8 reads, too.
    NEWER_SYNTAX.append("with (open(a) as b, open(c) as d): pass")


@pytest.mark.parametrize("line", NEWER_SYNTAX)
def test_the_check_refuses_newer_syntax(line: str) -> None:
    with pytest.raises(SyntaxError):
        problems(line)


def test_annotations_may_be_new() -> None:
    text = "def f(a: list[str] | None) -> dict[str, int] | None:\n    b: tuple[int, ...] = ()\n"
    assert problems(f"from __future__ import annotations\n{text}") == []
    assert problems(text) == ["annotations are run"]
