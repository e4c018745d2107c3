# SPDX-License-Identifier: GPL-3.0-or-later
"""Egress of a commit's files to a directory that the operator opened, and what else is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded import directories
from pachd_embedded.server import Server, Settings
from tests.contract.lab import Lab

CONTENT = {"/a": b"1", "/d/e/f": random.Random(1).randbytes(3_000_000), "/empty": b""}


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """The directory that is open."""
    (tmp_path / "out").mkdir()
    yield tmp_path / "out"
    directories.remove(tmp_path / "out")  # it may be too deep for pytest


@pytest.fixture
def client(tmp_path: Path, out: Path, connect: Callable[[str], Client]) -> Iterator[Client]:
    settings = Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, egress_dirs=(out,))
    server = Server(settings)
    yield connect(server.address)
    server.stop()


def write(data: Any, url: str, at: str = "master") -> Any:
    target = pfs.ObjectStorageEgress(url=url)
    return data.api.egress(commit=data.commit(at), object_storage=target)


def files(directory: Path) -> dict[str, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {f"/{path.relative_to(directory)}": path.read_bytes() for path in found}


def test_a_commit_is_written_with_its_directories(data: Any, out: Path) -> None:
    data.put(CONTENT)
    answer = write(data, f"file://{out}/results/today")
    assert answer.object_storage.bytes_written == 3_000_001
    assert files(out / "results" / "today") == CONTENT


def test_files_are_replaced_and_others_stay(data: Any, out: Path) -> None:
    data.put({"/a": b"new"})
    (out / "a").write_bytes(b"old")
    (out / "b").write_bytes(b"other")
    write(data, f"file://{out}")
    assert files(out) == {"/a": b"new", "/b": b"other"}


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_no_part(
    data: Any, out: Path, refused: Any
) -> None:
    data.put({"/a": b"1"})
    (out / "a").mkdir()
    with refused(StatusCode.UNKNOWN, "error writing .*/a: Is a directory"):
        write(data, f"file://{out}")
    assert files(out) == {}


def test_an_empty_commit_writes_nothing(data: Any, out: Path) -> None:
    data.api.create_branch(branch=data.branch())
    assert write(data, f"file://{out}").object_storage.bytes_written == 0
    assert files(out) == {}


def test_no_other_directory_is_written_to(data: Any, tmp_path: Path, out: Path, refused: Any) -> None:
    data.put({"/a": b"1"})
    for url in (f"file://{tmp_path}", f"file://{out}/../data", f"file://{out}x", "file://relative"):
        with refused(StatusCode.UNIMPLEMENTED, "--egress-dir"):
            write(data, url)
    assert not (tmp_path / "a").exists()


def test_a_link_does_not_lead_out(data: Any, tmp_path: Path, out: Path, refused: Any) -> None:
    data.put({"/link/a": b"1"})
    (tmp_path / "private").mkdir()
    (out / "link").symlink_to(tmp_path / "private")
    with refused(StatusCode.UNKNOWN, "outside of the directories"):
        write(data, f"file://{out}")
    assert files(tmp_path / "private") == {}


@pytest.mark.parametrize("store", ["s3", "gs", "azblob"])
def test_object_stores_are_not_served(data: Any, refused: Any, store: str) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNIMPLEMENTED, f"does not egress to {store}: give a file:// URL"):
        write(data, f"{store}://bucket/path")


@pytest.mark.parametrize("url", ["foo://x", "/tmp/x", ""])
def test_an_unknown_store(data: Any, refused: Any, url: str) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "unrecognized object store"):
        write(data, url)


def test_databases_are_not_served(data: Any, refused: Any) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNIMPLEMENTED, "databases"):
        data.api.egress(commit=data.commit(), sql_database=pfs.SqlDatabaseEgress(url="postgresql://x"))


def test_no_target(data: Any, refused: Any) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "egress failed"):
        data.api.egress(commit=data.commit())


def test_a_missing_commit(data: Any, out: Path, refused: Any) -> None:
    with refused(StatusCode.NOT_FOUND, "not found"):
        write(data, f"file://{out}", at="nope")


def test_a_pipeline_writes_its_output(client: Client, out: Path) -> None:
    lab = Lab(client)
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/", egress={"URL": f"file://{out}/{repo}"})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert files(out / repo) == {"/a": b"1"}
    lab.put(repo, {"b": "2"})
    assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"
    assert files(out / repo) == {"/a": b"1", "/b": b"2"}


def test_a_pipeline_with_another_target_is_refused(client: Client, tmp_path: Path, refused: Any) -> None:
    lab = Lab(client)
    repo = lab.repo(a="1")
    for url in (f"file://{tmp_path}", "s3://bucket/path"):
        with refused(StatusCode.UNIMPLEMENTED, "does not egress to"):
            lab.create(json.dumps(lab.spec("e", repo, "true", egress={"URL": url})))
    assert list(client.pps.list_pipeline()) == []


def test_directories_may_be_deep(data: Any, out: Path) -> None:
    path = "/d" * 1_500 + "/f"
    data.put({path: b"1"})
    write(data, f"file://{out}")
    assert Path(f"{out}{path}").read_bytes() == b"1"


def test_a_path_that_is_too_long_is_named(data: Any, out: Path, refused: Any) -> None:
    data.put({"/d" * 2_100 + "/f": b"1"})
    with refused(StatusCode.UNKNOWN, "error writing .*/d/d/f: File name too long"):
        write(data, f"file://{out}")
