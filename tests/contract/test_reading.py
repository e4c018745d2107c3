# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files: list, walk, glob, inspect, get, diff, as a real pachd 2.12 answers."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

FILES = {"/a": b"1", "/a-b": b"22", "/d/e/f.txt": b"333", "/d/x": b"4444", "/z.txt": b""}
LISTED = ["/a", "/a-b", "/d/", "/z.txt"]
WALKED = ["/", "/a", "/a-b", "/d/", "/d/e/", "/d/e/f.txt", "/d/x", "/z.txt"]


@pytest.fixture
def tree(data: Any) -> Any:
    data.put(FILES)
    return data


# List and walk


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", LISTED),
        ("", LISTED),
        ("/d", ["/d/e/", "/d/x"]),
        ("d/", ["/d/e/", "/d/x"]),
        ("/d/e/..", ["/d/e/", "/d/x"]),
        ("/d/x", ["/d/x"]),
        ("/missing", []),
        ("/d/missing", []),
        ("/d/*", []),
    ],
)
def test_list(tree: Any, path: str, found: list[str]) -> None:
    assert tree.ls(path) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [("/", WALKED), ("", WALKED), ("./d/e/", WALKED[4:6]), ("/d", WALKED[3:7]), ("//a", ["/a"])],
)
def test_walk(tree: Any, path: str, found: list[str]) -> None:
    assert tree.walk(path) == found


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        ({"number": 2}, ["/a", "/a-b"]),
        ({"number": 100_000}, LISTED),
        ({"number": 2, "reverse": True}, ["/z.txt", "/d/"]),
        ({"pagination_marker": pfs.File(path="/a-b")}, ["/d/", "/z.txt"]),
        ({"pagination_marker": pfs.File(path="/d/")}, ["/z.txt"]),
        ({"pagination_marker": pfs.File(path="/a"), "number": 1}, ["/a-b"]),
        ({"pagination_marker": pfs.File(path="/d/"), "number": 1, "reverse": True}, ["/a-b"]),
        ({"pagination_marker": pfs.File(path="/b")}, ["/d/", "/z.txt"]),
        ({"pagination_marker": pfs.File(path="/zz")}, []),
    ],
)
def test_pages_of_a_list(tree: Any, options: Any, listed: list[str]) -> None:
    assert tree.ls("/", **options) == listed


def test_pages_put_together_are_the_whole(data: Any) -> None:
    # "-" sorts before the slash that a directory's path ends in, "0" after it.
    names = ["/a-1", "/a/x", "/a0", "/b/c/d", "/b-c", "/c"]
    data.put(dict.fromkeys(names, b"1"))
    assert data.ls() == ["/a-1", "/a/", "/a0", "/b-c", "/b/", "/c"]
    for read in (data.ls, data.walk):
        whole, pages = read("/"), read("/", number=1)
        while page := read("/", number=1, pagination_marker=pfs.File(path=pages[-1])):
            pages += page
        assert pages == whole


def test_pages_of_a_walk(tree: Any) -> None:
    marker = pfs.File(path="/d/")
    assert tree.walk("/", number=2, pagination_marker=marker) == ["/d/e/", "/d/e/f.txt"]
    assert tree.walk("/", number=2, reverse=True) == ["/z.txt", "/d/x"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"reverse": True}, "number must be > 0 when reverse is true"),
        ({"number": 100_001}, "cannot return more than 100000 files at a time"),
    ],
)
def test_pages_that_are_refused(tree: Any, refused: Any, options: Any, text: str) -> None:
    for read in (tree.ls, tree.walk):
        with refused(StatusCode.UNKNOWN, text):
            read("/", **options)


# Glob


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/", ["/"]),
        ("", ["/"]),
        ("/*", LISTED),
        ("*", LISTED),
        ("/**", WALKED[1:]),
        ("/**.txt", ["/d/e/f.txt", "/z.txt"]),
        ("/**/*.txt", ["/d/e/f.txt"]),
        ("/d/", ["/d/"]),
        ("/d/*", ["/d/e/", "/d/x"]),
        ("/{a,d/x}", ["/a", "/d/x"]),
        ("/(a|z).txt", ["/z.txt"]),
        ("/@(a|z.txt)", ["/a", "/z.txt"]),
        ("/{a", ["/a"]),
        ("/nothing*", []),
    ],
)
def test_glob(tree: Any, pattern: str, found: list[str]) -> None:
    assert tree.glob(pattern) == found


def test_a_part_of_a_glob(tree: Any) -> None:
    within = pfs.PathRange(lower="/a-b", upper="/z")
    assert tree.glob("/*", path_range=within) == ["/a-b", "/d/"]


def test_a_glob_that_is_refused(tree: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "unexpected end of input"):
        tree.glob("/a[")


# Inspect


@pytest.mark.parametrize(
    ("path", "stored", "kind", "size"),
    [
        ("a", "/a", pfs.FileType.FILE, 1),
        ("./z.txt/", "/z.txt", pfs.FileType.FILE, 0),
        ("/d", "/d/", pfs.FileType.DIR, 7),
        ("/a/../d/e", "/d/e/", pfs.FileType.DIR, 3),
        ("/", "/", pfs.FileType.DIR, 10),
    ],
)
def test_inspect(tree: Any, path: str, stored: str, kind: pfs.FileType, size: int) -> None:
    info = tree.inspect(path)
    assert (info.file.path, info.file_type, info.size_bytes) == (stored, kind, size)
    assert info.file.datum == ("default" if kind is pfs.FileType.FILE else "")
    assert (info.file.commit.id, info.file.commit.repo) == (tree.head(), tree.repo)
    assert info.committed == tree.info().finishing


def test_a_listing_shows_what_inspect_does(tree: Any) -> None:
    for info in tree.api.walk_file(file=tree.file("/")):
        assert info == tree.inspect(info.file.path)


# What is not there


def test_missing_paths(tree: Any, refused: Any) -> None:
    at_branch = f"^file /nope not found in repo {tree.name} at commit $"
    for read in (tree.inspect, tree.read):
        with refused(StatusCode.NOT_FOUND, at_branch):
            read("/nope")
    commit = tree.head()
    with refused(StatusCode.NOT_FOUND, f"^file nope not found in repo {tree.name} at commit {commit}$"):
        tree.inspect("nope", commit)
    with refused(StatusCode.NOT_FOUND, rf"^commit/{commit} does not contain item: \(/nope\)$"):
        tree.walk("/nope")


def test_missing_commits(tree: Any, refused: Any) -> None:
    calls = {"ls": "/", "walk": "/", "glob": "/*", "read": "/a", "inspect": "/a"}
    for name, argument in calls.items():
        with refused(StatusCode.NOT_FOUND, "nope"):
            getattr(tree, name)(argument, "nope")


def test_the_root_of_an_empty_commit(data: Any, refused: Any) -> None:
    data.modify([])
    assert (data.ls(), data.walk(), data.glob("/"), data.glob("/**")) == ([], [], [], [])
    with refused(StatusCode.NOT_FOUND, "file / not found"):
        data.inspect("/")
    with refused(StatusCode.NOT_FOUND, "file / not found"):
        list(data.api.get_file_tar(file=data.file("/")))


# Get


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/a", b"1"),
        ("d//x/", b"4444"),
        ("/d/../a", b"1"),
        ("/*.txt", b""),
        ("/{a}", b"1"),
        ("/d/e/*", b"333"),
    ],
)
def test_get(tree: Any, path: str, content: bytes) -> None:
    assert tree.read(path) == content


@pytest.mark.parametrize(
    ("offset", "content"), [(0, b"4444"), (1, b"444"), (3, b"4"), (4, b""), (5, b""), (1 << 40, b"")]
)
def test_get_from_an_offset(tree: Any, offset: int, content: bytes) -> None:
    assert tree.read("/d/x", offset=offset) == content


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/d", "^cannot get directory or non-regular file. Use GetFileTAR instead$"),
        ("/", "^cannot get directory or non-regular file. Use GetFileTAR instead$"),
        ("/d*", "^cannot get directory or non-regular file. Use GetFileTAR instead$"),
        ("/a*", "^matched multiple files. Use GetFileTAR instead$"),
        ("/a[", "unexpected end of input"),
    ],
)
def test_get_of_what_is_not_one_file(tree: Any, refused: Any, path: str, text: str) -> None:
    with refused(StatusCode.UNKNOWN, text):
        tree.read(path)


def test_a_negative_offset_is_an_error_here(client: Client, tree: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "offset -1 is negative"):
        tree.read("/a", offset=-1)
    assert tree.read("/a") == b"1"


def test_an_open_commit_is_readable(tree: Any) -> None:
    tree.start()
    tree.modify(["/a", ("/new", b"1")])
    assert tree.ls() == ["/a-b", "/d/", "/new", "/z.txt"]
    assert "committed" not in tree.inspect("/new").to_dict()


def test_a_read_goes_on_with_the_commit_that_it_began_with(tree: Any) -> None:
    stream = tree.api.walk_file(file=tree.file("/"))
    found = [next(stream).file.path]
    tree.modify(["/"])
    assert found + [info.file.path for info in stream] == WALKED


# Diff


def diff(new: pfs.File, old: pfs.File | None, data: Any, **options: Any) -> list[tuple[str, str]]:
    pairs = data.api.diff_file(new_file=new, old_file=old, **options)
    return [(pair.new_file.file.path, pair.old_file.file.path) for pair in pairs]


def test_diff_against_the_parent(tree: Any) -> None:
    tree.modify(["/a", "/d/x", ("/d/x", b"new"), ("/n/m", b"1")])
    assert diff(tree.file("/"), None, tree) == [
        ("/", "/"),
        ("", "/a"),
        ("/d/", "/d/"),
        ("/d/x", "/d/x"),
        ("/n/", ""),
        ("/n/m", ""),
    ]
    assert diff(tree.file("/d"), None, tree) == [("/d/", "/d/"), ("/d/x", "/d/x")]
    assert diff(tree.file("/z.txt"), None, tree) == []


def test_what_is_written_again_does_not_differ(tree: Any) -> None:
    tree.modify(["/a", ("/a", b"1")])
    assert diff(tree.file("/"), None, tree) == []


def test_diff_against_another_commit(tree: Any, new_repo: Any) -> None:
    other = new_repo()
    other.put({"/a": b"1", "/b": b"1"})
    assert diff(other.file("/a"), tree.file("/a"), tree) == []
    assert diff(other.file("/b"), tree.file("/b"), tree) == [("/b", "")]
    first = tree.head()
    tree.modify(["/d/"])
    found = diff(tree.file("/d"), tree.file("/d", first), tree)
    assert found == [("", "/d/"), ("", "/d/e/"), ("", "/d/e/f.txt"), ("", "/d/x")]


def test_diff_of_different_paths_compares_whole_paths(data: Any) -> None:
    data.put({"/a/x": b"1", "/b/x": b"1"})
    assert diff(data.file("/b"), data.file("/a"), data) == [
        ("", "/a/"),
        ("", "/a/x"),
        ("/b/", ""),
        ("/b/x", ""),
    ]


def test_diff_of_the_first_commit(data: Any) -> None:
    data.put({"/a": b"1"})
    assert diff(data.file("/"), None, data) == [("/", ""), ("/a", "")]


def test_a_file_that_became_a_directory(data: Any) -> None:
    data.put({"/a": b"1"})
    data.modify(["/a", ("/a/b", b"1")])
    assert diff(data.file("/a"), None, data) == [("", "/a"), ("/a/", ""), ("/a/b", "")]
