# SPDX-License-Identifier: GPL-3.0-or-later
"""Content on its way: frames of large files, TAR streams, files that the server fetches from a URL."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pfs

# The largest frame that pachd sends.
FRAME = 19_922_944


def content(size: int) -> bytes:
    return hashlib.shake_256(f"{size}:".encode()).digest(size)


def in_frames(path: str, data: bytes, size: int) -> list[tuple[str, bytes]]:
    return [(path, data[at : at + size]) for at in range(0, len(data), size)]


# Frames


@pytest.fixture(scope="module")
def large() -> bytes:
    return content(25_000_000)


def test_a_large_file_comes_back_in_frames_of_19_mib(data: Any, large: bytes) -> None:
    data.modify(in_frames("/large", large, FRAME))
    frames = [frame.value for frame in data.api.get_file(file=data.file("/large"))]
    assert [len(frame) for frame in frames] == [FRAME, len(large) - FRAME]
    assert b"".join(frames) == large
    for offset in (1, FRAME, 24_999_999, 25_000_000):
        assert data.read("/large", offset=offset) == large[offset:]


def test_the_sdk_reads_and_seeks_by_its_own_means(data: Any, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "d" / "b").write_bytes(content(2_000_000))
    with data.api.commit(branch=data.branch()) as commit:
        commit.put_files(source=tmp_path, path="/in")
        commit.put_file_from_bytes("/in/a", b" more", append=True)
    assert data.ls("/in") == ["/in/a", "/in/d/"]
    with data.api.pfs_file(data.file("/in/a")) as file:
        assert (file.read(2), file.read()) == (b"on", b"e more")
    with data.api.pfs_file(data.file("/in/d/b")) as file:
        assert file.read() == content(2_000_000)


@pytest.mark.parametrize("at", [1, 999_999, 1_000_000, 1_500_000])
def test_content_is_the_same_however_it_was_appended(data: Any, at: int) -> None:
    whole = content(2_500_000)
    data.put({"/a": whole[:at]})
    data.start()
    data.put({"/a": whole[at:-1]})
    data.put({"/a": whole[-1:]})
    data.finish()
    assert data.read("/a") == whole
    assert data.inspect("/a").size_bytes == len(whole)


@pytest.mark.embedded_only  # a real pachd keeps pieces apart, depending on how its storage was compacted
@pytest.mark.parametrize("at", [1, 999_999, 1_000_000, 1_500_000])
def test_the_hash_is_the_same_however_it_was_appended(data: Any, at: int) -> None:
    whole = content(2_500_000)
    for path, pieces in (("/pieces", [whole[:at], whole[at:]]), ("/whole", [whole])):
        for piece in pieces:
            data.put({path: piece})
    assert data.inspect("/pieces").hash == data.inspect("/whole").hash


# TAR


def members(data: Any, path: str, **options: Any) -> list[tuple[str, bytes, int, int, float]]:
    stream = data.api.get_file_tar(file=data.file(path), **options)
    with tarfile.open(fileobj=io.BytesIO(b"".join(frame.value for frame in stream))) as tar:
        return [(m.name, m.type, m.size, m.mode, m.mtime) for m in tar]


FILE, DIRECTORY = tarfile.REGTYPE, tarfile.DIRTYPE


def test_tar_of_the_root(data: Any) -> None:
    data.put({"/a": b"1", "/d/e/f": b"22"})
    assert members(data, "/") == [
        ("", DIRECTORY, 0, 0, 0),
        ("/a", FILE, 1, 0, 0),
        ("/d", DIRECTORY, 0, 0, 0),
        ("/d/e", DIRECTORY, 0, 0, 0),
        ("/d/e/f", FILE, 2, 0, 0),
    ]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/a", ["/a"]),
        ("/d", ["/d", "/d/e", "/d/e/f"]),
        ("d/", ["/d", "/d/e", "/d/e/f"]),
        ("/*", ["/a", "/d", "/d/e", "/d/e/f"]),
        ("/**", ["/a", "/d", "/d/e", "/d/e/f"]),
        ("/d/*", ["/d/e", "/d/e/f"]),
    ],
)
def test_tar_of_a_path(data: Any, path: str, names: list[str]) -> None:
    data.put({"/a": b"1", "/d/e/f": b"22"})
    assert [member[0] for member in members(data, path)] == names


def test_tar_of_what_is_missing(data: Any, refused: Any) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.NOT_FOUND, "file /nope not found"):
        members(data, "/nope")


def test_tar_ignores_the_offset(data: Any) -> None:
    data.put({"/a": b"123"})
    assert members(data, "/a", offset=2) == [("/a", FILE, 3, 0, 0)]


def test_the_sdk_unpacks_a_tar(data: Any, large: bytes) -> None:
    files = {"/d/" + "e" * 100 + "/" + "n" * 200: b"long", "/d/large": large, "/empty": b""}
    data.modify(
        [change for path, value in files.items() for change in in_frames(path, value, FRAME) or [(path, b"")]]
    )
    with data.api.pfs_tar_file(data.file("/")) as tar:
        unpacked = {
            "/" + member.name.lstrip("/"): tar.extractfile(member).read() for member in tar if member.isfile()
        }
    assert unpacked == files


# URLs


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that has /found (3 MB) and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/found"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(content(3_000_000) if found else b"no such page")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def put_url(data: Any, url: str, path: str = "/a", recursive: bool = False) -> None:
    source = pfs.AddFileUrlSource(url=url, recursive=recursive)
    data.modify([pfs.AddFile(path=path, url=source)])


def test_an_unknown_kind_of_url_leaves_no_commit(data: Any, refused: Any) -> None:
    for url, kind in (("foo://bucket/a", "foo"), ("", "")):
        with refused(StatusCode.UNKNOWN, f"unrecognized object store: {kind}$"):
            put_url(data, url)
    assert data.history() == []


# The web server that these are about is on this machine.


@pytest.mark.embedded_only
def test_a_file_from_the_web(data: Any, web: str) -> None:
    put_url(data, f"{web}/found")
    assert data.read("/a") == content(3_000_000)


@pytest.mark.embedded_only
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("{web}/nope", 'error retrieving content from "{web}/nope": 404 Not Found'),
        ("file:///etc/hostname", "start the embedded pachd with --source-dir"),
        ("http://127.0.0.1:1/a", "error retrieving content from"),
    ],
)
def test_urls_that_fail_leave_no_commit(data: Any, web: str, refused: Any, url: str, text: str) -> None:
    with refused(StatusCode.UNKNOWN, text.format(web=web)):
        put_url(data, url.format(web=web))
    assert data.history() == []


# Several at once


@pytest.mark.parametrize("opened", [False, True], ids=["a commit each", "one open commit"])
def test_streams_at_the_same_time_lose_nothing(data: Any, background: Any, opened: bool) -> None:
    if opened:
        data.start()
    else:
        data.put({})
    streams = [background(data.put, {f"/{n}": b"own", "/all": b"1"}) for n in range(12)]
    for stream in streams:
        stream.result(30)
    if opened:
        data.finish()
    assert len(data.history()) == (1 if opened else 13)
    assert sorted(data.ls()) == sorted(["/all", *(f"/{n}" for n in range(12))])
    assert data.read("/all") == b"1" * 12
