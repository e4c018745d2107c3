# SPDX-License-Identifier: GPL-3.0-or-later
"""Globs match and capture as those of pachd 2.12 do. Each row was checked against the real matcher."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from pachd_embedded.pfs import glob_regex, glob_search
from pachd_embedded.pfs.glob import Glob, GlobError
from pachd_embedded.pfs.glob_syntax import parse
from tests.contract.oracle import GLOB_ERRORS, GLOB_FILES, GLOB_MATCHES


@pytest.mark.parametrize(("pattern", "expected"), GLOB_MATCHES)
def test_matches(pattern: str, expected: list[str]) -> None:
    glob = Glob(pattern)
    assert [path for path in GLOB_FILES if glob.match(path)] == expected


@pytest.mark.parametrize(("pattern", "expected"), GLOB_MATCHES)
def test_every_match_starts_with_the_literal_prefix(pattern: str, expected: list[str]) -> None:
    prefix = Glob(pattern).literal_prefix
    assert all(path.startswith(prefix) for path in expected)


def test_a_trailing_slash_of_a_directory_makes_no_difference() -> None:
    assert Glob("/*").match("/d/")
    assert Glob("/(*)").captures("/d/") == ["/d", "d"]


@pytest.mark.parametrize("separator", list(" \\|%#:~;'\"<>$&,=`.-"))
def test_characters_of_paths_that_mean_nothing_in_a_glob(separator: str) -> None:
    assert Glob("/*-x").match(f"/a{separator}-x")
    assert Glob(f"/[a]\\{separator}b").match(f"/a{separator}b")


@pytest.mark.parametrize(
    ("pattern", "prefix", "literal"),
    [
        ("/", "/", True),
        ("d/a/", "/d/a", True),
        ("/d/a*", "/d/a", False),
        ("/d/(a|b)", "/d/", False),
        ("/a+b", "/a", False),
        ("/a\\b", "/a\\b", False),
    ],
)
def test_literal_prefix(pattern: str, prefix: str, literal: bool) -> None:
    glob = Glob(pattern)
    assert (glob.literal_prefix, glob.is_literal) == (prefix, literal)


@pytest.mark.parametrize(
    ("pattern", "text"),
    GLOB_ERRORS,
)
def test_refused_patterns(pattern: str, text: str) -> None:
    with pytest.raises(GlobError, match=f"^{re.escape(text)}$"):
        Glob(pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a", "/a", []),
        ("/a", "/b", None),
        ("/", "/", None),
        ("/(*)-(*).csv", "/c-1.csv", ["c", "1"]),
        ("/(*)(*)", "/abc", ["abc", ""]),
        ("/{a,b}(*)", "/abc", ["bc"]),
        ("/(*)/(**)", "/d/e/f.txt", ["d", "e/f.txt"]),
        ("/(**)/(*)", "/d/e/f.txt", ["d/e", "f.txt"]),
        ("/@((a)b|(b))", "/ab", ["ab", "a", ""]),
        ("/@((a)b|(b))", "/b", ["b", "", "b"]),
        ("/a?(b)", "/a", [""]),
        ("/*(a|b)c", "/abc", ["ab"]),
        ("/+(@(a|b))", "/ab", ["ab", "b"]),
        ("/!(b)c", "/abc", ["ab"]),
        ("/!(b)", "/abc", ["abc"]),
        ("/(*)(*)(*)(*)c", "/abc", ["ab", "", "", ""]),
    ],
)
def test_captures(pattern: str, path: str, expected: list[str] | None) -> None:
    captured = Glob(pattern).captures(path)
    assert captured == (None if expected is None else [path, *expected])


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("fixed", "fixed"),
        ("$1", "c"),
        ("$2$1", "1c"),
        ("${1}0-$0", "c0-/c-1.csv"),
        ("$10", ""),
        ("$3x", "x"),
        ("$$1", "$1"),
        ("$$$1", "$c"),
        ("$", "$"),
        ("$x", "$x"),
        ("${1", "${1"),
        ("${}", "${}"),
        ("$1_$2", "c_1"),
    ],
)
def test_replace(template: str, expected: str) -> None:
    assert Glob("/(*)-(*).csv").replace("/c-1.csv", template) == expected


def test_replace_in_a_path_that_does_not_match() -> None:
    glob = Glob("/(a)")
    assert glob.replace("/b", "x$1") == "x"
    assert Glob("/").replace("/", "x$0") == "x"


PIECES = [
    *("a", "b", "ab", "/", "*", "**", "?", "[ab]", "[!a]", "{a,b}", "{a,b*}", "{a", "(", "|", ")", "(*)"),
    *("!(a)", "@(a|b)", "?(b)", "!(a|b)", "!(", "@", ",", "}"),
]


def _some_path(source: random.Random) -> str:
    return "/" + "/".join(
        "".join(source.choices("ab,@", k=source.randint(1, 4))) for _ in range(source.randint(1, 3))
    )


@pytest.mark.parametrize("seed", range(20))
def test_both_matchers_agree(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        pattern = "/" + "".join(source.choices(PIECES, k=source.randint(1, 6)))
        nodes = parse(pattern)
        quick, bounded = glob_regex.matcher(nodes), glob_search.matcher(nodes)
        for path in (_some_path(source) for _ in range(10)):
            assert quick(path) == bounded(path), (pattern, path)


def _looks_like(pattern: str) -> re.Pattern[str]:
    """A regular expression equal to a pattern of letters, "*(x|y)" and "+(x|y)"."""
    return re.compile(re.sub(r"([*+])\(([^)]*)\)", r"(?:\2)\1", pattern))


@pytest.mark.parametrize("pattern", ["/*(a|b)", "/+(a|b)c", "/a*(b|c)a", "/*(a|ab)*(b|c)", "/+(ab|a)+(ba|b)"])
def test_repeated_groups_match_as_in_a_regular_expression(pattern: str) -> None:
    source = random.Random(1)
    glob, expected = Glob(pattern), _looks_like(pattern)
    for _ in range(300):
        path = "/" + "".join(source.choices("abc", k=source.randint(1, 6)))
        assert glob.match(path) == (expected.fullmatch(path) is not None), path


HOSTILE: Sequence[str] = [
    "/*(*)x",
    "/+(a|aa)x",
    "/*(*(a))b",
    "/" + "a*" * 20 + "b",
    "/" + "{a,aa}" * 30 + "b",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    # A plain backtracking matcher would not come back from any of these in a life time.
    assert not Glob(pattern).match("/" + "a" * 300)


@pytest.mark.parametrize("group", ["{%s}", "@(%s)", "*(%s)", "+(%s|b)"])
def test_groups_nest_only_so_deep(group: str) -> None:
    def nested(depth: int) -> str:
        before, after = group.split("%s")
        return "/" + before * depth + "a" + after * depth

    assert Glob(nested(50)).match("/a")
    with pytest.raises(GlobError, match="nests too deeply"):
        Glob(nested(51))
