# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the whole repository: the link, licences, sizes, layers, documents that match the code."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
PYTHON = [path for path in FILES if path.suffix == ".py"]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
EMBEDDED = ROOT / "embedded/pachd_embedded"

# One sitting: nobody reads a longer file from its first line to its last.
LONGEST_FILE = 400
# Of a module, what is not documentation.
LONGEST_MODULE_CODE = 120


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Dotted names of what a file imports, relative ones with their dots."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def test_the_collection_finds_itself_through_a_relative_link() -> None:
    link = ROOT / "collections/ansible_collections/gpulab/pachyderm"
    assert str(link.readlink()) == "../../.."
    assert link.resolve() == ROOT
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    assert "collections" in ignored  # or the link would go into the built tarball


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_python_files_say_their_licence_first(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    # In two parts, or `reuse lint` would take the rest of the line for a licence.
    assert "# SPDX-License" + "-Identifier: GPL-3.0-or-later" in lines[:3]


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_python_files_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_names_a_machine_or_a_registry(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    # A home directory other than a worker's /root, somebody's checkout, a package index or mirror.
    private = re.findall(r"/home/(?!user\b)\w+|/work/\w+|/Users/\w+|index-url|artifact.?registry", text)
    assert not private or path == Path(__file__)


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_thin_and_documented(module: str) -> None:
    path = ROOT / f"plugins/modules/{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    assert documentation["module"] == module
    if module.endswith("_info"):
        assert "gpulab.pachyderm._attributes.info" in documentation["extends_documentation_fragment"]
    else:
        assert {"check_mode", "diff_mode"} <= documentation["attributes"].keys()
    assert yaml.safe_load(texts["EXAMPLES"])
    assert yaml.safe_load(texts["RETURN"])
    prose = sum(text.count("\n") for text in texts.values())
    assert len(path.read_text(encoding="utf-8").splitlines()) - prose <= LONGEST_MODULE_CODE


@pytest.mark.parametrize("module", MODULES)
def test_an_action_group_holds_every_module_of_its_connection(module: str) -> None:
    """That of Kubernetes' API server, of pachd, or none: what runs on a node, or writes the report."""
    text = (ROOT / f"plugins/modules/{module}.py").read_text(encoding="utf-8")
    fragments = {"gpulab.pachyderm.kubernetes": "kubernetes", "gpulab.pachyderm._connection": "pachyderm"}
    wanted = [group for name, group in fragments.items() if f"- {name}\n" in text]
    wanted = wanted or ["controller" if module == "lab_report" else "nvidia"]
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert [group for group, names in groups.items() if module in names] == wanted


def test_every_module_is_in_an_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert sorted(module for group in runtime["action_groups"].values() for module in group) == MODULES


def test_the_role_installs_the_releases_that_are_tested() -> None:
    packages = yaml.safe_load((ROOT / "roles/pachyderm_embedded/vars/main.yml").read_text())
    tested = (ROOT / "requirements/modules.txt").read_text().splitlines()
    assert packages["__pachyderm_embedded_packages"] == [line for line in tested if "==" in line]


def tells(specified: object, default: object) -> bool:
    """Whether a specification tells the default: as it is, or in words; a template needs no telling."""
    if specified is None:
        return default is None or "{{" in str(default)
    in_words = isinstance(specified, str) and " " in specified
    return specified == default or (in_words and (default == "" or "{{" in str(default)))


@pytest.mark.parametrize("role", ROLES)
def test_roles_specify_every_default_and_no_other_variable(role: str) -> None:
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    assert set(specs["main"]["options"]) == set(defaults)
    for spec in specs.values():
        options = spec["options"]
        assert [name for name in options if not name.startswith(f"{role}_")] == []
        assert [name for name, option in options.items() if not option.get("description")] == []
        assert [
            name for name, option in options.items() if not tells(option.get("default"), defaults[name])
        ] == []


@pytest.mark.parametrize("path", sorted((EMBEDDED / "servicers").glob("*.py")), ids=relative)
def test_servicers_reach_storage_through_the_domain_only(path: Path) -> None:
    assert not [name for name in imports(path) if ".store" in name]


@pytest.mark.parametrize(
    "path", sorted(p for d in ("pfs", "pps", "store") for p in (EMBEDDED / d).glob("*.py")), ids=relative
)
def test_domain_and_storage_know_nothing_of_the_wire(path: Path) -> None:
    assert not [name for name in imports(path) if name == "grpc" or ".servicers" in name]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/module_utils").glob("*_plan.py")), ids=relative)
def test_plans_do_no_io(path: Path) -> None:
    assert not [name for name in imports(path) if name.endswith(("_sdk", "_connection", "subprocess"))]
