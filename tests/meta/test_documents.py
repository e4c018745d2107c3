# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents say is there: files, headings, verbs, variables, options, and messages."""

from __future__ import annotations

import ast
import importlib
import re
from collections import ChainMap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import CONNECTION_SPEC

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "testlab/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
MODULES = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
ROLES = {path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml")}
PREFIX = "gpulab.pachyderm."
# The options that modules of a group have besides their own.
CONNECTIONS = {"pachyderm": CONNECTION_SPEC, "kubernetes": KUBERNETES_SPEC}
# What others print: apt.
OTHERS = {"Conflicting values set for option Signed-By"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def options(role: str) -> dict[str, Any]:
    specs = load(ROOT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec["options"].items()}


def all_options() -> dict[str, Any]:
    return {name: option for role in ROLES for name, option in options(role).items()}


def blocks() -> list[tuple[str, Any]]:
    """Each YAML block of the documents, under the name of its page and its number there."""
    return [
        (f"{name_of(page)} {number}", yaml.safe_load(text))
        for page in PAGES
        for number, text in enumerate(
            re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL), 1
        )
    ]


def tasks_of(entries: Any) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
            yield from tasks_of(entry.get(part, []))


BLOCKS = blocks()
DECLARATIONS = [(name, block) for name, block in BLOCKS if isinstance(block, dict)]
TASKS = [
    (f"{name}: {task['name']}", key.removeprefix(PREFIX), task[key])
    for name, block in BLOCKS
    if isinstance(block, list)
    for task in tasks_of(block)
    for key in task
    if key.startswith(PREFIX) and key.removeprefix(PREFIX) in MODULES
]


def refusals(spec: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """What Ansible would refuse of these values, those apart that are templates."""
    known = {key: value for key, value in values.items() if "{{" not in str(value)}
    needed = {name: {**option, "required": False} for name, option in spec.items()}
    return list(ArgumentSpecValidator(needed).validate(known).error_messages)


@pytest.mark.parametrize(("name", "declared"), DECLARATIONS, ids=[name for name, _ in DECLARATIONS])
def test_declarations_are_what_roles_take(name: str, declared: dict[str, Any]) -> None:
    specs = all_options()
    page = (ROOT / name.split()[0]).read_text(encoding="utf-8")
    inventories = "".join(
        path.read_text() for path in [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("inventories/*/*/*")]
    )
    for key in declared.keys() - specs.keys():
        # One of the page's own, which another block reads; or the playbooks' own.
        assert re.search(rf"{{{{[^}}]*\b{key}\b", page) or re.search(rf"\b{key}\b", inventories), key
    given = {key: value for key, value in declared.items() if key in specs}
    assert refusals({key: specs[key] for key in given}, given) == []


@pytest.mark.parametrize(("name", "module", "given"), TASKS, ids=[name for name, _, _ in TASKS])
def test_tasks_are_what_modules_take(name: str, module: str, given: dict[str, Any] | None) -> None:
    own = importlib.import_module(f"ansible_collections.gpulab.pachyderm.plugins.modules.{module}").ARGUMENTS
    groups = load(ROOT / "meta/runtime.yml")["action_groups"]
    connection = [spec for group, spec in CONNECTIONS.items() if module in groups[group]]
    assert refusals(dict(ChainMap(own, *connection)), given or {}) == [], name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_of_roles_are_there(page: Path) -> None:
    """A name with a role's prefix is an option, a module, a role, or what a role leaves for others."""
    code = "".join(
        path.read_text() for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")]
    )
    known = set(all_options()) | MODULES | ROLES | set(re.findall(r"^ +(\w+):", code, re.MULTILINE))
    plugins = {path.stem for part in ("lookup", "filter") for path in (ROOT / "plugins" / part).glob("*.py")}
    named = re.findall(
        rf"(?<![\w/.-])(?:{'|'.join(sorted(ROLES))})_\w+(?!\.|\w)", page.read_text(encoding="utf-8")
    )
    assert sorted(set(named) - known - plugins) == []


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_verbs_and_playbooks_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert used <= verbs
    for path in re.findall(
        r"(?<![\w/])(?:playbooks|inventories|requirements|scripts|tests)/[\w./-]*\w", text
    ):
        # The reader's own inventory.
        assert path.startswith("inventories/mine") or (ROOT / path).exists(), path


def code_texts() -> Iterator[str]:
    """What the code can print: its strings, with a mark where a value goes."""
    for part in ("plugins", "roles", "embedded", "scripts", "examples", "testlab"):
        for path in sorted((ROOT / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values
                    )
    for pattern in ("roles/*/tasks/*.yml", "roles/*/vars/**/*.yml", "playbooks/*.yml", "scripts/*.sh"):
        for path in sorted(ROOT.glob(pattern)):
            yield path.read_text(encoding="utf-8")


@cache
def printed() -> str:
    return "\n".join(" ".join(text.split()) for text in code_texts())


def quoted() -> list[str]:
    """The messages in the first columns of docs/troubleshooting.md."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").split("\n## Where things are")[0]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


# Where a value stands in a message as it is printed: an ellipsis, an address, a branch, a number.
VALUE = re.compile(r"\.\.\.|\S+[@/]\S+|\S*\d\S*")


@pytest.mark.parametrize("message", quoted())
def test_a_message_is_one_that_the_code_prints(message: str) -> None:
    if message in OTHERS:
        return
    for piece in VALUE.split(message):
        words = piece.strip(" ,;:()'")
        assert words in printed(), f"{words!r} of {message!r}"


def enforcers() -> list[str]:
    return re.findall(r"`(\w+/[\w/.]+::\w+)`", (ROOT / "INVARIANTS.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("test", enforcers())
def test_an_invariant_names_a_test_that_is_there(test: str) -> None:
    path, name = test.split("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_invariant_names_a_test() -> None:
    lines = (ROOT / "INVARIANTS.md").read_text(encoding="utf-8").splitlines()
    rules = [
        line
        for line in lines
        if line.startswith("| ") and line not in ("| rule | enforced by |", "| --- | --- |")
    ]
    assert len(rules) > 20
    assert [rule for rule in rules if "::" not in rule] == []
