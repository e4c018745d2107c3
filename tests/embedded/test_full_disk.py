# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full: a clear error, nothing lost, and on it goes once there is space.

The data lies on a small tmpfs in a mount namespace of the server's own, which needs no root where the kernel
lets users make namespaces. A file beside the data takes the space away, and its deletion gives it back.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc import RpcError, StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from tests.contract.lab import AnyTextWith, Data, Lab, poll
from tests.embedded.conftest import EMBEDDED, PATIENCE

DISK_BYTES = 24 << 20
FULL = (StatusCode.RESOURCE_EXHAUSTED, AnyTextWith("no space is left for the data of the embedded pachd"))
NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount"]


@dataclass
class Disk:
    """A server, its client, and its disk as the server sees it."""

    client: Client
    directory: Path
    process: subprocess.Popen[str]
    log: Path

    def fill(self, leave: int = 0) -> None:
        """Take all space but for `leave` bytes."""
        filler = self.directory / "filler"
        with filler.open("ab") as file:
            free = shutil.disk_usage(self.directory).free - leave
            file.write(bytes(max(0, free)))

    def clear(self) -> None:
        (self.directory / "filler").unlink()


def can_mount() -> bool:
    command = [*NAMESPACES, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0
    )


pytestmark = pytest.mark.skipif(not can_mount(), reason="the kernel refuses a tmpfs in a namespace")


@pytest.fixture
def disk(tmp_path: Path, connect: Callable[[str], Client]) -> Iterator[Disk]:
    mount = tmp_path / "disk"
    mount.mkdir()
    script = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && exec "$@"'
    serve = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(mount / "data")]
    options = ["--address", "127.0.0.1:0", "--private-pfs", "--gc-period", "0.2"]
    environment = dict(os.environ, PYTHONPATH=str(EMBEDDED), PYTHONDONTWRITEBYTECODE="1")
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*NAMESPACES, "sh", "-c", script, str(mount), *serve, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().partition("address=")[2].partition(" ")[0]
        assert address, log.read_text()
        yield Disk(connect(address), Path(f"/proc/{process.pid}/root{mount}"), process, log)
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.fixture
def client(disk: Disk) -> Client:
    return disk.client


@pytest.fixture
def data(client: Client) -> Data:
    data = Data(client, "data")
    client.pfs.create_repo(repo=data.repo)
    return data


def content(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def put_until_full(data: Data, size: int, at: str = "master") -> dict[str, bytes]:
    """Makes commits until one is refused for want of space; the files of those that were not."""
    done: dict[str, bytes] = {}
    refusal = None
    for n in range(100_000):
        file = {f"/{n}": content(size, n)}
        try:
            data.put(file, at)
        except RpcError as error:
            refusal = error.code(), error.details()
            break
        done |= file
    assert refusal == FULL
    return done


def problems(client: Client) -> list[str]:
    return [response.error for response in client.pfs.fsck()]


@pytest.mark.parametrize("size", [50_000, 1_500_000], ids=["in the database", "in files"])
def test_a_write_is_refused_nothing_is_lost_and_on_it_goes(
    disk: Disk, client: Client, data: Data, size: int
) -> None:
    disk.fill(leave=9 << 20)
    done = put_until_full(data, size)
    assert done
    assert data.files() == done
    assert problems(client) == []
    disk.clear()
    data.put({"/after": content(size, -1)})
    assert data.files() == done | {"/after": content(size, -1)}
    assert problems(client) == []


def test_an_open_commit_stays_open_with_what_it_has(disk: Disk, client: Client, data: Data) -> None:
    disk.fill(leave=9 << 20)
    commit = data.start()
    done = put_until_full(data, 1_500_000)
    assert data.state() == "started"
    disk.clear()
    data.finish()
    assert (data.head(), data.files()) == (commit, done)


@pytest.mark.parametrize("verb", ["create a repo", "start a commit", "make a branch"])
def test_what_only_changes_metadata_is_refused_as_well(
    disk: Disk, client: Client, data: Data, verb: str
) -> None:
    calls: dict[str, Callable[[int], Any]] = {
        "create a repo": lambda n: client.pfs.create_repo(repo=pfs.Repo.from_uri(f"repo-{n}")),
        "start a commit": lambda n: data.start(f"branch-{n}"),
        "make a branch": lambda n: client.pfs.create_branch(branch=data.branch(f"branch-{n}")),
    }

    def call_until_full() -> None:
        for n in range(5000):
            calls[verb](n)

    disk.fill()
    with pytest.raises(RpcError) as caught:
        call_until_full()
    assert (caught.value.code(), caught.value.details()) == FULL
    disk.clear()
    calls[verb](5001)
    assert problems(client) == []


def test_dropped_commits_make_space_by_themselves(disk: Disk, client: Client, data: Data) -> None:
    """Garbage collection works on a disk that is full, and runs without being told."""
    kept = data.put({"/kept": b"1"})
    disk.fill(leave=9 << 20)
    put_until_full(data, 1_500_000)
    for commit in data.history()[:-1]:
        client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit))
    assert data.head() == kept
    poll(lambda: shutil.disk_usage(disk.directory).free > 6 << 20)
    data.put({"/after": content(1_500_000, -1)})
    assert data.ls() == ["/after", "/kept"]


def test_a_job_waits_for_space_and_ends_well(disk: Disk, client: Client, data: Data) -> None:
    lab = Lab(client)
    data.put({"/a": content(3_000_000, 1)})
    pipeline = lab.pipeline("data", "wc -c </pfs/data/a >/pfs/out/bytes", glob="/")
    lab.counts(pipeline)
    # Enough for the commit, and not for the datum's copy of its input.
    disk.fill(leave=2 << 20)
    data.put({"/b": b"1"})
    poll(lambda: "no space is left: the job waits" in disk.log.read_text())
    assert lab.state(pipeline) in ("CREATED", "STARTING", "RUNNING")
    disk.clear()
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.files(pipeline) == {"/bytes": "3000000\n"}
    assert problems(client) == []
