# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a tree patterns keep, as a table."""

from __future__ import annotations

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._patterns import ALL, Patterns

FILES = ["a.csv", "a.txt", "d/a.csv", "d/e/a.csv", "d/e/b.txt", "e/x.tmp", "tmp/y"]


def kept(include: list[str] | None = None, exclude: list[str] | None = None) -> list[str]:
    patterns = Patterns.parse(include, exclude, "")
    return [path for path in FILES if patterns.keep(path)]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.csv", ["a.csv", "d/a.csv", "d/e/a.csv"]),
        ("/*.csv", ["a.csv"]),
        ("d/*.csv", ["d/a.csv"]),
        ("d/**/*.csv", ["d/a.csv", "d/e/a.csv"]),
        ("d/**", ["d/a.csv", "d/e/a.csv", "d/e/b.txt"]),
        ("**/e", ["d/e/a.csv", "d/e/b.txt", "e/x.tmp"]),
        ("e", ["d/e/a.csv", "d/e/b.txt", "e/x.tmp"]),
        ("/e", ["e/x.tmp"]),
        ("tmp/", ["tmp/y"]),
        ("a.txt/", []),
        ("[ab].txt", ["a.txt", "d/e/b.txt"]),
        ("[!a].txt", ["d/e/b.txt"]),
        ("?", ["d/a.csv", "d/e/a.csv", "d/e/b.txt", "e/x.tmp", "tmp/y"]),
        ("d?a.csv", []),
        ("a.c", []),
        (".*", []),
    ],
)
def test_table(pattern: str, matches: list[str]) -> None:
    assert kept(include=[pattern]) == matches
    assert kept(exclude=[pattern]) == [path for path in FILES if path not in matches]


def test_exclude_is_stronger() -> None:
    assert kept(["*.csv", "*.txt"], ["d/e/"]) == ["a.csv", "a.txt", "d/a.csv"]


def test_none_is_all_and_an_empty_list_of_includes_is_nothing() -> None:
    assert kept() == FILES
    assert kept(include=[]) == []
    assert kept(exclude=[]) == FILES
    assert not ALL
    assert Patterns.parse([], None, "")


def test_what_is_excluded_is_not_entered() -> None:
    patterns = Patterns.parse(["*.csv"], ["tmp/", "d/e"], "")
    assert [name for name in ("d", "d/e", "tmp", "e") if patterns.enter(name)] == ["d", "e"]


@pytest.mark.parametrize("pattern", ["", "/"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(PachydermError, match=r"^syncs\[1\]\.exclude\[1\]: .* names nothing"):
        Patterns.parse(None, ["a", pattern], "syncs[1].")


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(PachydermError, match=r"^include\[0\]: \[z-a\]: bad character range"):
        Patterns.parse(["[z-a]"], None, "")
