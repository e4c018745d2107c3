# SPDX-License-Identifier: GPL-3.0-or-later
"""Files put by file:// URLs: from directories that the operator opened, and from nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded import directories
from pachd_embedded.server import Server, Settings


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Path]:
    """The directory that is open. It holds the file a, d/b, and a link to a file outside of it."""
    opened = tmp_path / "opened"
    (opened / "d").mkdir(parents=True)
    (opened / "a").write_bytes(b"")
    (opened / "d/b").write_bytes(b"b")
    (tmp_path / "secret").write_bytes(b"secret")
    (opened / "link").symlink_to(tmp_path / "secret")
    yield opened
    directories.remove(opened)  # it may be too deep for pytest


@pytest.fixture
def client(tmp_path: Path, opened: Path, connect: Callable[[str], Client]) -> Iterator[Client]:
    settings = Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, source_dirs=(opened,))
    server = Server(settings)
    yield connect(server.address)
    server.stop()


def put(data: Any, source: object, path: str, recursive: bool = False) -> None:
    url = pfs.AddFileUrlSource(url=f"file://{source}", recursive=recursive)
    data.modify([pfs.AddFile(path=path, url=url)])


def test_a_file_and_a_directory(data: Any, opened: Path) -> None:
    put(data, opened / "d/b", "/b")
    assert data.read("/b") == b"b"
    put(data, opened, "/all", recursive=True)
    assert data.walk() == ["/", "/all/", "/all/a", "/all/d/", "/all/d/b", "/b"]


@pytest.mark.parametrize("name", ["../secret", "link", "../data/pachd.sqlite", "/etc/hostname"])
def test_what_is_not_open_is_refused(data: Any, opened: Path, refused: Any, name: str) -> None:
    with refused(StatusCode.UNKNOWN, "start the embedded pachd with --source-dir"):
        put(data, opened / name, "/x")
    assert data.history() == []


def test_a_file_that_is_not_there(data: Any, opened: Path, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "nope.*No such file"):
        put(data, opened / "nope", "/x")
    assert data.history() == []


def test_directories_may_be_deep(data: Any, opened: Path) -> None:
    path = "/d" * 1_500
    directories.make(f"{opened}{path}")
    Path(f"{opened}{path}/f").write_bytes(b"1")
    put(data, opened, "/all", recursive=True)
    assert data.read(f"/all{path}/f") == b"1"
