# SPDX-License-Identifier: GPL-3.0-or-later
"""Imports put into and taken out of TOML as text."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _container_runtime_imports as imports

OURS = "/c/conf.d/*.toml"
TEXTS = [
    ("version = 2\n", ["N"]),
    ("version = 2", ["N"]),
    ("# c\n\n  version = 3 # why\n[grpc]\nimports = 3\n", ["N"]),
    ("root = '/r'\n[a]\nversion = 2\n", ["N"]),
    ("imports = []\nversion = 2\n", ["N"]),
    ("version = 2\nimports = ['/a.toml'] # why\n", ["/a.toml", "N"]),
    ('imports = ["/a.toml", "b.toml",]\nversion = 2\n', ["/a.toml", "b.toml", "N"]),
    ('imports = [\n  "/a.toml", # first ]\n  "/b.toml",\n]\n[x]\ny = 1\n', ["/a.toml", "/b.toml", "N"]),
    ("imports = [\n  '/a.toml'\n]\n", ["/a.toml", "N"]),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_add_and_remove(text: str, expected: list[str]) -> None:
    new = imports.add(text, OURS)
    assert tomllib.loads(new)["imports"] == [OURS if name == "N" else name for name in expected]
    before = tomllib.loads(text)
    assert {**before, "imports": None} == {**tomllib.loads(new), "imports": None}
    # What was before stays in its order, to the letter.
    position = 0
    for line in text.splitlines():
        for word in line.replace("]", " ] ").split():
            position = new.index(word.rstrip(","), position)
    removed = imports.remove(new, OURS)
    assert tomllib.loads(removed) == {key: value for key, value in before.items() if value != []}
    if "imports" not in before:
        assert removed == (text if text.endswith("\n") else f"{text}\n")


def test_removes_the_first_and_keeps_the_rest() -> None:
    text = f'imports = ["{OURS}", "/b.toml"] # why\n'
    assert imports.remove(text, OURS) == 'imports = ["/b.toml"] # why\n'
    assert imports.remove(text, "/other") == text
    assert imports.remove("version = 2\n", OURS) == "version = 2\n"


@pytest.mark.parametrize(
    "text", ["", "imports = 3\n", "imports = [3]\n", 'imports = ["a\n', "[t]\nimports = []\n"]
)
def test_what_is_no_plain_array_is_not_edited(text: str) -> None:
    assert imports.find(text) is None


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/c/conf.d/*.toml", "/c/conf.d/99-nvidia.toml", True),
        ("/c/*/*.toml", "/c/conf.d/99-nvidia.toml", True),
        ("/c/conf.d/99-nvidia.toml", "/c/conf.d/99-nvidia.toml", True),
        ("/c/*.toml", "/c/conf.d/99-nvidia.toml", False),
        ("/c/conf.d/*.conf", "/c/conf.d/99-nvidia.toml", False),
    ],
)
def test_covers(pattern: str, path: str, covered: bool) -> None:
    assert imports.covers(pattern, path) is covered


def test_elsewhere_imports_are_those_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("10-a.toml", "99-nvidia.toml", "zz.toml", "no.conf"):
        (folder / name).touch()
    text = 'version = 2\nimports = ["own.toml",\n  "conf.d/*.toml"]\nx = 1\n'
    drop_in = str(folder / "99-nvidia.toml")

    def tried(stand_in: str | None) -> list[str]:
        new = imports.with_imports_elsewhere(text, str(tmp_path), drop_in, stand_in)
        assert new.splitlines()[3] == "x = 1"  # lines keep their numbers
        listed: list[str] = tomllib.loads(new)["imports"]
        return listed

    own, a, z = str(tmp_path / "own.toml"), str(folder / "10-a.toml"), str(folder / "zz.toml")
    assert tried(None) == [own, a, z]
    assert tried("/scratch/new.toml") == [own, a, "/scratch/new.toml", z]
    (folder / "99-nvidia.toml").unlink()
    assert tried("/scratch/new.toml") == [own, a, "/scratch/new.toml", z]


def test_version_and_settings() -> None:
    assert imports.version("# c\nversion = 3 # v\n") == 3
    assert imports.version("[plugins]\nversion = 2\n") is None
    assert not imports.has_settings("# c\n \n  # d\n")
    assert imports.has_settings("# c\nroot = '/r'\n")
