# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_file: set, again, change, omit, absent, each with its check-mode twin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab


def both(lab: Lab, **options: Any) -> dict[str, Any]:
    """The result of a run that check mode has told beforehand."""
    predicted = lab.run("file", check=True, **options)
    result = lab.run("file", **options)
    assert predicted == result
    return result


@pytest.fixture
def data(lab: Lab) -> Lab:
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}])
    return lab


def commits(lab: Lab) -> int:
    return len(list(lab.client.pfs.list_commit(repo=pfs.Repo.from_uri("data"))))


def test_life_of_one(data: Lab, tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(b"text")
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"content": "text"}, True),
        ({"content": "text"}, False),
        ({"src": str(tmp_path / "src")}, False),
        ({"content": "TEXT"}, True),
        ({"content": 12}, True),
        ({"content": "12"}, False),
        ({"content": ""}, True),
        ({"content": ""}, False),
        ({"src": str(tmp_path / "src")}, True),
        ({"state": "absent"}, True),
        ({"state": "absent"}, False),
    ]
    for options, changed in steps:
        before = commits(data)
        assert both(data, repo="data", path="/conf/a", **options)["changed"] is changed, options
        assert commits(data) - before == changed
    assert data.files() == {}


def test_all_files_of_a_branch_are_one_commit(data: Lab) -> None:
    data.put("/keep", b"k")
    data.put("/old/1", b"1")
    declared = [
        {"path": "b", "content": "B"},
        {"path": "/a,b/c", "content": "C"},
        {"path": "/a,b/d", "repo": "other", "branch": "x", "content": "D"},
        {"path": "/old", "state": "absent"},
    ]
    result = both(data, repo="data", files=declared)
    assert [file["change"] for file in result["files"]] == ["added", "added", "added", "deleted"]
    assert result["diff"]["after"]["branch default/data@master"] == {"/a,b/c": "1 bytes", "/b": "1 bytes"}
    assert data.files() == {"/keep": b"k", "/b": b"B", "/a,b/c": b"C"}
    assert commits(data) == 3
    assert not both(data, repo="data", files=declared)["changed"]
    assert both(data, repo="data", files=declared[:3], state="absent")["changed"]
    assert data.files() == {"/keep": b"k"}


def test_a_file_takes_the_place_of_a_directory_that_goes(data: Lab) -> None:
    data.put("/a", b"1")
    refused = data.run("file", repo="data", path="/a/b", content="x")
    assert "path: default/data@master:/a/b needs a directory at /a, which is a file" in refused["msg"]
    both(data, repo="data", files=[{"path": "/a/b", "content": "x"}, {"path": "/a", "state": "absent"}])
    assert data.files() == {"/a/b": b"x"}
    assert "/a is a directory there" in data.run("file", repo="data", path="/a", content="x")["msg"]


def test_large_content_is_compared_by_hash(data: Lab, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"0123456789" * 2_500_000)
    declared = {"repo": "data", "path": "/large", "src": str(tmp_path / "large")}
    assert both(data, **declared)["changed"]
    assert not both(data, **declared)["changed"]
    (tmp_path / "large").write_bytes(b"0123456789" * 2_499_999 + b"012345678X")
    assert both(data, **declared)["changed"]


def test_many_files_are_few_calls(data: Lab) -> None:
    declared = [{"path": f"/{number:03}/file", "content": str(number)} for number in range(120)]
    both(data, repo="data", files=declared)
    before = len(data.journal.read_text().splitlines())
    assert not data.run("file", repo="data", files=declared)["changed"]
    assert len(data.journal.read_text().splitlines()) - before <= 7


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, bytes]]]:
    """The address of a web server, and what it serves."""
    served = {"/weights": b"1"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in served else 404)
            self.end_headers()
            self.wfile.write(served.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_url_is_fetched_by_pachd_once(data: Lab, web: tuple[str, dict[str, bytes]]) -> None:
    address, served = web
    declared = {"repo": "data", "path": "/w", "url": f"{address}/weights"}
    assert both(data, **declared)["changed"]
    assert not both(data, **declared)["changed"]
    served["/weights"] = b"2"
    assert both(data, **declared, force=True)["files"][0]["change"] == "updated"
    assert data.files() == {"/w": b"2"}
    before = commits(data)
    failed = data.run("file", repo="data", path="/x", url=f"{address}/nothing")
    assert "default/data@master: cannot write its files: error retrieving content" in failed["msg"]
    assert commits(data) == before


def test_an_open_commit_and_a_broken_one(data: Lab) -> None:
    declared: dict[str, Any] = {"repo": "data", "path": "/a", "content": "x"}
    commit = data.client.pfs.start_commit(branch=pfs.Branch.from_uri("data@master"))
    assert "is still open; finish it" in data.run("file", **declared)["msg"]
    data.client.pfs.finish_commit(commit=commit, error="boom")
    result = data.run("file", **declared)
    assert result["warnings"] == [
        "default/data@master: its head has an error: boom; files are rewritten",
    ]
    assert data.files() == {"/a": b"x"}


def test_a_repo_that_does_not_exist(lab: Lab) -> None:
    declared: dict[str, Any] = {"repo": "soon", "path": "/a", "content": "x"}
    result = lab.run("file", check=True, **declared)
    assert result["changed"]
    assert result["warnings"] == ["repo default/soon does not exist yet"]
    assert "repo default/soon does not exist; create it first" in lab.run("file", **declared)["msg"]
    assert not both(lab, repo="soon", path="/a", state="absent")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "/a", "content": "x"}, "repo: is required"),
        ({"repo": "data", "path": "/a"}, "exactly one of content, src and url"),
        ({"repo": "data", "path": "/a", "content": "x", "url": "http://x"}, "exactly one of content, src"),
        ({"repo": "data", "path": "/a*", "content": "x"}, "path: path (/a*) invalid"),
        ({"repo": "data", "path": "/", "content": "x"}, "path: is the root of the branch"),
        (
            {"repo": "data", "path": "/a", "content": {"a": 1}},
            "content: must be text; use the filter to_json",
        ),
        ({"repo": "data", "path": "/a", "src": "/nowhere/a"}, "src: /nowhere/a: No such file"),
        ({"repo": "data", "path": "/a", "url": "weights"}, "url: weights: must begin with a scheme"),
        ({"repo": "data", "path": "/a", "url": "http://[::1/a"}, "url: http://[::1/a: Invalid IPv6 URL"),
        ({"repo": "data", "path": "/a", "src": "/a\0b"}, "src: /a\0b: is no path, since it holds a NUL"),
        (
            {"repo": "data", "files": [{"path": "/a", "content": "x"}, {"path": "a/", "content": "y"}]},
            "files[1]: file default/data@master:/a is declared in files[0]",
        ),
        (
            {"repo": "data", "files": [{"path": "/a", "content": "x"}, {"path": "/a/b", "content": "y"}]},
            "files[1].path: default/data@master:/a/b needs a directory at /a",
        ),
    ],
)
def test_bad_input_writes_nothing(data: Lab, options: dict[str, Any], message: str) -> None:
    before = data.mutations()
    result = data.run("file", **options)
    assert result["failed"]
    assert message in result["msg"]
    assert data.mutations() == before
