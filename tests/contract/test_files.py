# SPDX-License-Identifier: GPL-3.0-or-later
"""ModifyFile: what a stream of changes does to a commit, as a real pachd 2.12 does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

COLLISION = r"file / directory path collision \(/a/b\)"


# The commit that a stream goes into


def test_a_stream_to_a_missing_branch_makes_it_with_one_finished_commit(data: Any) -> None:
    commit = data.put({"/a": b"1"})
    assert data.history() == [commit]
    assert (data.state(), data.info().origin.kind) == ("finished", pfs.OriginKind.USER)


def test_a_stream_to_a_branch_goes_into_its_open_head_or_a_new_commit(data: Any) -> None:
    first = data.put({"/a": b"1"})
    open_ = data.start()
    data.put({"/b": b"1"})
    data.put({"/c": b"1"})
    assert data.state() == "started"
    data.finish()
    last = data.put({"/d": b"1"})
    assert data.history() == [last, open_, first]
    assert data.ls() == ["/a", "/b", "/c", "/d"]


def test_a_stream_to_a_missing_repo(client: Client, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "repo default/nope not found"):
        client.pfs.put_file_from_bytes(commit=pfs.Commit.from_uri("nope@master"), path="/a", data=b"1")


def test_a_stream_that_breaks_off_leaves_nothing(client: Client, data: Any) -> None:
    """Many times, because gRPC tells the server of a break after the end, and not always equally late."""

    def broken() -> Iterator[Any]:
        yield pfs.ModifyFileRequest(set_commit=data.commit())
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/half", raw=b"x" * 1000))
        raise RuntimeError("the client has no more")

    for _ in range(300):
        with pytest.raises(grpc.RpcError):
            client.pfs.modify_file(broken())
    assert not client.pfs.branch_exists(data.branch())


@pytest.mark.parametrize("branch", ["master", "new"])
def test_a_stream_that_fails_leaves_nothing(client: Client, data: Any, refused: Any, branch: str) -> None:
    before = data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "globbing character"):
        data.modify([("/b", b"1"), "/a", ("/*", b"1")], at=branch)
    assert (data.history(), data.ls()) == ([before], ["/a"])
    assert [info.branch.name for info in client.pfs.list_branch(repo=data.repo)] == ["master"]


def test_a_stream_into_an_open_commit_that_fails_leaves_it_as_it_was(data: Any, refused: Any) -> None:
    data.start()
    data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "relative"):
        data.modify(["/a", ("/..", b"1")])
    data.finish()
    assert data.ls() == ["/a"]


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([], "^EOF$"),
        (
            [pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"1"))],
            "^first message must be a commit$",
        ),
    ],
)
def test_a_stream_begins_with_its_commit(client: Client, refused: Any, requests: Any, text: str) -> None:
    with refused(StatusCode.UNKNOWN, text):
        client.pfs.modify_file(iter(requests))


def test_a_stream_without_changes_makes_a_commit(data: Any) -> None:
    data.modify([])
    assert (len(data.history()), data.ls()) == (1, [])


# Changes


@pytest.mark.parametrize(
    ("changes", "files"),
    [
        ([("/a", b"1"), ("/a", b"2")], {"/a": b"012"}),
        (["/a", ("/a", b"1")], {"/a": b"1"}),
        ([("/a", b"1"), "/a"], {}),
        ([("/a", b"1"), "/a", ("/a", b"2")], {"/a": b"2"}),
        (["/missing", "/missing/"], {"/a": b"0"}),
        ([("/b", b"1"), ("/a", b"2"), ("/b", b"3")], {"/a": b"02", "/b": b"13"}),
        ([("/b", b"")], {"/a": b"0", "/b": b""}),
        ([("/", b"1")], {"/a": b"0"}),
    ],
)
@pytest.mark.parametrize("streams", ["one", "a stream each", "a commit each"])
def test_changes_take_effect_in_order(data: Any, changes: Any, files: Any, streams: str) -> None:
    data.put({"/a": b"0"})
    if streams != "a commit each":
        data.start()
    for part in [changes] if streams == "one" else [[change] for change in changes]:
        data.modify(part)
    if streams != "a commit each":
        data.finish()
    assert {path: data.read(path) for path in data.ls()} == files


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/d", ["/a", "/d/1", "/d/e/2", "/da"]),
        ("/d/", ["/a", "/da"]),
        ("d/", ["/a", "/da"]),
        ("/d/e/", ["/a", "/d/1", "/da"]),
        ("/d/1", ["/a", "/d/e/2", "/da"]),
        ("/a/", ["/a", "/d/1", "/d/e/2", "/da"]),
        ("/", []),
    ],
)
@pytest.mark.parametrize("same_stream", [True, False])
def test_deletes(data: Any, path: str, left: list[str], same_stream: bool) -> None:
    files = [(name, b"1") for name in ("/a", "/d/1", "/d/e/2", "/da")]
    if same_stream:
        data.modify([*files, path])
    else:
        data.modify(files)
        data.modify([path])
    assert [found for found in data.glob("/**") if not found.endswith("/")] == left


@pytest.mark.parametrize("path", ["/*", "/a?", "/[a]"])
def test_a_glob_is_no_path_to_delete(data: Any, refused: Any, path: str) -> None:
    with refused(StatusCode.UNKNOWN, "globbing character"):
        data.modify([path])


# Paths


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("a", "/a"),
        ("a/", "/a"),
        ("//a", "/a"),
        ("/d//b///c/", "/d/b/c"),
        ("/.a", "/.a"),
        ("/...", "/..."),
        ("/a..b", "/a..b"),
        *[(f"/x{c}y", f"/x{c}y") for c in " \\|%#:~;'\"<>$&,=`-_"],
    ],
)
def test_paths_as_they_are_stored(data: Any, path: str, stored: str) -> None:
    data.put({path: b"1"})
    assert [found for found in data.walk() if not found.endswith("/")] == [stored]
    assert data.inspect(stored).size_bytes == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", r"path \(\) invalid: only printable ASCII characters allowed"),
        ("é", "only printable ASCII characters allowed"),
        ("/a\n", "only printable ASCII characters allowed"),
        ("/a\0", "only printable ASCII characters allowed"),
        (".", "relative file paths are not allowed"),
        ("..", "relative file paths are not allowed"),
        ("/a/../b", "relative file paths are not allowed"),
        ("/a/.", "relative file paths are not allowed"),
        *[(f"/a{c}", rf"globbing character \(\{c}\) not allowed in path") for c in "*?[]{}!()@+^"],
    ],
)
def test_paths_that_are_refused(data: Any, refused: Any, path: str, reason: str) -> None:
    with refused(StatusCode.UNKNOWN, reason):
        data.put({path: b"1"})
    with refused(StatusCode.UNKNOWN, reason):
        data.modify([pfs.CopyFile(dst=path, src=data.file("/a"))])
    assert data.history() == []


# A path that is both a file and a directory


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"/a/b": b"1", "/z": b"1"}, {"/a": b"1"}),
        ({"/a": b"1", "/z": b"1"}, {"/a/b": b"1"}),
        ({"/z": b"1"}, {"/a": b"1", "/a/b": b"1"}),
    ],
)
def test_a_collision_shows_when_the_commit_is_finished_and_when_it_is_read(
    data: Any, refused: Any, before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    data.put(before)
    commit = data.put(after)
    assert data.info(commit).error == "file / directory path collision (/a/b)"
    calls = {"ls": "/", "walk": "/", "glob": "/**", "read": "/z", "inspect": "/z"}
    for name, argument in calls.items():
        with refused(StatusCode.UNKNOWN, COLLISION):
            getattr(data, name)(argument)


@pytest.mark.parametrize(("healing", "left"), [("/a/b", ["/a"]), ("/a", ["/a/"]), ("/", [])])
def test_a_later_commit_heals_a_collision(data: Any, healing: str, left: list[str]) -> None:
    data.put({"/a/b": b"1", "/a": b"1"})
    data.modify([healing])
    assert (data.info().error, data.ls()) == ("", left)


def test_a_collision_stays_until_it_is_healed(data: Any) -> None:
    data.put({"/a/b": b"1", "/a": b"1"})
    data.put({"/other": b"1"})
    assert data.info().error == "file / directory path collision (/a/b)"


def test_deep_and_near_names_do_not_collide(data: Any) -> None:
    data.put({"/a": b"1", "/a-b/c": b"1", "/ab": b"1", "/a.d/e/f": b"1"})
    assert data.info().error == ""


def test_a_path_of_two_datums_is_unreadable(data: Any, refused: Any) -> None:
    data.modify([pfs.AddFile(path="/a", datum=datum, raw=b"1") for datum in ("d1", "d2")])
    text = r"duplicate path output by different datums \(/a from d1 and /a from d2\)"
    with refused(StatusCode.UNKNOWN, text):
        data.read("/a")
    with refused(StatusCode.UNKNOWN, text):
        data.ls()


def test_a_file_keeps_the_name_of_its_datum(data: Any) -> None:
    data.modify([pfs.AddFile(path="/a", datum="d1", raw=b"1"), ("/b", b"1")])
    assert [data.inspect(path).file.datum for path in ("/a", "/b")] == ["d1", "default"]


# Copies


@pytest.mark.parametrize(
    ("source", "target", "append", "files"),
    [
        ("/a", "/c", False, {"/c": b"1", "/d/x": b"9"}),
        ("/a", "/d/x", False, {"/d/x": b"1"}),
        ("/a", "/d/x", True, {"/d/x": b"91"}),
        ("/t", "/d", False, {"/d/b": b"2", "/d/e/f": b"3", "/d/x": b"9"}),
        ("/t/", "/n/m", False, {"/d/x": b"9", "/n/m/b": b"2", "/n/m/e/f": b"3"}),
        ("/", "/n", False, {"/d/x": b"9", "/n/a": b"1", "/n/t/b": b"2", "/n/t/e/f": b"3"}),
        ("/t", "/", False, {"/b": b"2", "/d/x": b"9", "/e/f": b"3"}),
        ("/missing", "/d/x", False, {"/d/x": b"9"}),
    ],
)
def test_copies_between_repos(
    data: Any, new_repo: Any, source: str, target: str, append: bool, files: dict[str, bytes]
) -> None:
    other = new_repo()
    other.put({"/a": b"1", "/t/b": b"2", "/t/e/f": b"3"})
    data.put({"/d/x": b"9"})
    data.modify([pfs.CopyFile(dst=target, src=other.file(source), append=append)])
    found = [path for path in data.walk() if not path.endswith("/")]
    assert {path: data.read(path) for path in found} == files


def test_a_copy_within_a_repo_reads_the_commit_that_it_names(data: Any) -> None:
    first = data.put({"/a": b"1"})
    data.modify(["/a", pfs.CopyFile(dst="/b", src=data.file("/a", first))])
    assert (data.ls(), data.read("/b")) == (["/b"], b"1")


def test_a_copy_from_a_missing_commit_leaves_nothing(data: Any, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "nope"):
        data.modify([("/x", b"1"), pfs.CopyFile(dst="/b", src=data.file("/a", "nope"))])
    assert data.history() == []
