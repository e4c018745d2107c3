# SPDX-License-Identifier: GPL-3.0-or-later
"""What linters do not look for: variables that nothing reads, and downloads that nothing pins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pachd_embedded import __version__

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
PINNED = re.compile(r"-r \S+|[A-Za-z0-9_.-]+==\S+")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def code_of(role: str) -> str:
    """All that a role runs, its comments and its documentation apart."""
    paths = [path for path in sorted((ROOT / "roles" / role).rglob("*")) if path.is_file()]
    lines: list[str] = []
    for path in paths:
        if path.name not in ("README.md", "argument_specs.yml"):
            lines += path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def variables(role: str) -> set[str]:
    """The names of a role's defaults and vars, and of the options that it declares without a default."""
    directory = ROOT / "roles" / role
    files = [path for part in ("defaults", "vars") for path in (directory / part).rglob("*.yml")]
    names = {name for path in files for name in load(path) or {}}
    return names | set(load(directory / "meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def unread(names: set[str], code: str) -> list[str]:
    """Those that the code does not name, nor makes from a prefix: lookup('vars', 'PREFIX_' ~ kind)."""
    read = set(re.findall(r"\b\w+\b", code))
    prefixes = tuple(re.findall(r"'(\w+_)' ~", code))
    return sorted(name for name in names - read if not name.startswith(prefixes))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_every_variable_that_it_has(role: str) -> None:
    # A definition starts its line; whatever else names the variable reads it.
    code = code_of(role) + "".join(path.read_text() for path in (ROOT / "playbooks").glob("*.yml"))
    assert unread(variables(role), re.sub(r"^\w+:", "", code, flags=re.MULTILINE)) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_every_result_that_it_registers(role: str) -> None:
    code = code_of(role)
    registered = set(re.findall(r"^ *register: (\w+)$", code, flags=re.MULTILINE))
    assert unread(registered, re.sub(r"^ *register: \w+$", "", code, flags=re.MULTILINE)) == []


def tasks_of(entries: Any) -> Iterator[dict[str, Any]]:
    """Tasks, those in blocks as well."""
    for entry in entries or []:
        yield entry
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
            yield from tasks_of(entry.get(part))


def tasks() -> list[tuple[str, dict[str, Any]]]:
    files = [*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "roles").glob("*/tasks/*.yml")]
    return [
        (f"{path.relative_to(ROOT)}: {task.get('name')}", task)
        for path in sorted(files)
        for task in tasks_of(load(path))
    ]


def test_what_a_task_downloads_is_pinned() -> None:
    """A file has a checksum (that of a key may be left to the inventory), a chart its version."""
    loose = []
    for where, task in tasks():
        fetched = task.get("ansible.builtin.get_url")
        if fetched is not None and "checksum" not in fetched:
            loose.append(where)
        unpacked = task.get("ansible.builtin.unarchive") or {}
        if "://" in str(unpacked.get("src")):
            loose.append(where)
        chart = task.get("kubernetes.core.helm") or {}
        if chart.get("chart_ref") and "chart_version" not in chart:
            loose.append(where)
        if {"ansible.builtin.git", "ansible.builtin.subversion"} & task.keys():
            loose.append(where)
    assert loose == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_requirements_name_one_release(path: Path) -> None:
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    assert [line for line in lines if line and not PINNED.fullmatch(line)] == []


def test_collections_are_pinned() -> None:
    wanted = load(ROOT / "requirements.yml")["collections"]
    assert [entry["name"] for entry in wanted if not re.fullmatch(r"[\d.]+", str(entry.get("version")))] == []


def test_images_have_tags() -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for pattern in ("roles/*/defaults/*.yml", "roles/*/vars/**/*.yml", "examples/**/Dockerfile")
        for path in ROOT.glob(pattern)
    }
    named = re.compile(r"^(?:FROM |\w+_image: *)([^\s\"{]+)$", re.MULTILINE)
    images = [image for text in texts.values() for image in named.findall(text)]
    assert images
    assert [
        image for image in images if not re.search(r"[:@][^/]+$", image) or image.endswith(":latest")
    ] == []


def test_the_release_is_in_the_changelog_and_the_embedded_pachd_is_of_it() -> None:
    version = load(ROOT / "galaxy.yml")["version"]
    assert version in load(ROOT / "changelogs/changelog.yaml")["releases"]
    assert version == __version__
