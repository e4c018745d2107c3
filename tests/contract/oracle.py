# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of what a real pachd 2.12 answered: which paths globs match, how many datums inputs make."""

from __future__ import annotations

from typing import Any

GLOB_FILES = (
    "/",
    "/a",
    "/ab",
    "/abc",
    "/b",
    "/b.txt",
    "/c-1.csv",
    "/d",
    "/d/a",
    "/d/b.txt",
    "/d/e",
    "/d/e/f.txt",
)

GLOB_MATCHES = [
    # Roots, slashes and cleaning.
    ("/", ["/"]),
    ("", ["/"]),
    (".", ["/"]),
    ("a", ["/a"]),
    ("//d//a", ["/d/a"]),
    ("/d/", ["/d"]),
    ("/d/e/..", ["/d"]),
    ("/nope", []),
    # Wildcards.
    ("/*", ["/a", "/ab", "/abc", "/b", "/b.txt", "/c-1.csv", "/d"]),
    ("*", ["/a", "/ab", "/abc", "/b", "/b.txt", "/c-1.csv", "/d"]),
    ("/*/*", ["/d/a", "/d/b.txt", "/d/e"]),
    ("/d/*", ["/d/a", "/d/b.txt", "/d/e"]),
    ("/**", list(GLOB_FILES[1:])),
    ("/***", list(GLOB_FILES[1:])),
    ("/**/*.txt", ["/d/b.txt", "/d/e/f.txt"]),
    ("/**.txt", ["/b.txt", "/d/b.txt", "/d/e/f.txt"]),
    ("/**(a|b)", ["/a", "/ab", "/abc", "/b", "/b.txt", "/c-1.csv", "/d"]),
    ("/d/**", ["/d/a", "/d/b.txt", "/d/e", "/d/e/f.txt"]),
    ("/?", ["/a", "/b", "/d"]),
    ("/??", ["/ab"]),
    ("/d?a", []),
    # Classes.
    ("/[ab]", ["/a", "/b"]),
    ("/[a-c]", ["/a", "/b"]),
    ("/[!a-c]", ["/d"]),
    ("/[^a-c]", ["/d"]),
    ("/[a!]", ["/b", "/d"]),
    ("/[[:alpha:]]", ["/a", "/b", "/d"]),
    ("/c[-]1.csv", ["/c-1.csv"]),
    ("/c[+-.]1.csv", ["/c-1.csv"]),
    ("/c-[[:digit:]].csv", ["/c-1.csv"]),
    ("/c[a-]1.csv", ["/c-1.csv"]),
    ("/c-[!!-a].csv", []),
    ("/d[!x]a", ["/d/a"]),
    # Braces.
    ("/{a,b}", ["/a", "/b"]),
    ("/{a,d/*}", ["/a", "/d/a", "/d/b.txt", "/d/e"]),
    ("/{a,{ab,abc}}", ["/a", "/ab", "/abc"]),
    ("/{,d/}a", ["/a", "/d/a"]),
    ("/{a", ["/a"]),
    ("/{a,b", ["/a", "/b"]),
    ("/a}", []),
    # Parentheses.
    ("/(a|b)", ["/a", "/b"]),
    ("/@(a|b)", ["/a", "/b"]),
    ("/(a", ["/a"]),
    ("/a?(b)", ["/a", "/ab"]),
    ("/*(a|b|c)", ["/a", "/ab", "/abc", "/b"]),
    ("/+(a|b)", ["/a", "/ab", "/b"]),
    ("/a+(b|c)", ["/ab", "/abc"]),
    ("/!(a)", ["/ab", "/abc", "/b", "/b.txt", "/c-1.csv", "/d"]),
    ("/!(a|b)", ["/ab", "/abc", "/b.txt", "/c-1.csv", "/d"]),
    ("/!(a).txt", ["/b.txt"]),
    ("/!(b).txt", []),
    ("/!(a)*", ["/b", "/b.txt", "/c-1.csv", "/d"]),
    ("/d/!(*.txt)", ["/d/a", "/d/e"]),
    # Text that looks like syntax.
    ("/a,b", []),
    ("/a|b", []),
    ("/a\\b*", []),
    ("/[a]\\b", ["/ab"]),
    ("/{@(a|b),d}", ["/d"]),
    ("/{!a,b}", []),
    ("/b.t+t", []),
]

GLOB_ERRORS = [
    ("/a[", "unexpected end of input"),
    ("/a[b", "unexpected end of input"),
    ("/[z-a]", "error parsing regexp: [x-y] range in reverse order"),
    ("/[]", "error parsing regexp: unterminated [] set"),
    ("/^(a)", "unimplemented quatifier ^"),
]

# Repos that the inputs below read, as paths; those of directories end in a slash, as FileInfo has them.
DATUM_PATHS = {
    "l": ["/", "/a-1", "/a-2", "/b-1", "/d/", "/d/x", "/d/y"],
    "r": ["/", "/a-9", "/b-7", "/b-8", "/c-1"],
    "empty": [],
}


def of(repo: str, glob: str, **options: Any) -> dict[str, Any]:
    return {"pfs": {"repo": repo, "glob": glob} | options}


JOIN_ON = {"joinOn": "$1"}
OUTER = {"joinOn": "$1", "outerJoin": True}
GROUP_BY = {"groupBy": "$1"}


def letters(kind: str, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Both repos under a glob that captures the letter and the digit of a name."""
    return {kind: [of("l", "/(*)-(*)", **left), of("r", "/(*)-(*)", **right)]}


# An input and how many files each of its datums has, as counted on a real pachd with these repos.
DATUM_COUNTS = [
    (of("l", "/"), [1]),
    (of("l", "/*"), [1] * 4),
    (of("l", "/**"), [1] * 6),
    (of("empty", "/*"), []),
    ({"cross": [of("l", "/*"), of("r", "/*")]}, [2] * 16),
    ({"cross": [of("l", "/*"), of("empty", "/*")]}, []),
    ({"cross": [letters("union", {}, {}), of("l", "/", name="x")]}, [2] * 7),
    ({"union": [of("l", "/*"), of("r", "/*")]}, [1] * 8),
    ({"union": [of("l", "/*"), of("l", "/*")]}, [1] * 4),
    (letters("join", JOIN_ON, JOIN_ON), [2] * 4),
    (letters("join", OUTER, JOIN_ON), [2] * 4),
    (letters("join", OUTER, OUTER), [1] + [2] * 4),
    ({"group": [of("l", "/(*)-(*)", **GROUP_BY)]}, [1, 2]),
    (letters("group", GROUP_BY, GROUP_BY), [1, 3, 3]),
    ({"group": [letters("join", JOIN_ON | GROUP_BY, JOIN_ON | GROUP_BY)]}, [4, 4]),
]
