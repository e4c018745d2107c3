# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9: what a client was told is finished is there after a restart, and nothing is half there."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

MASTER = pfs.Commit.from_uri("data@master")
# More than what the database keeps itself, so that one file of each commit is a file on disk as well.
LARGE = 150_000


def content(n: int) -> dict[str, bytes]:
    return {
        f"/{n}/a": f"{n}".encode(),
        f"/{n}/b": b"",
        f"/{n}/large": random.Random(n).randbytes(LARGE),
        "/last": f"{n}".encode(),
    }


def put(client: Client, n: int) -> None:
    """One commit: a stream of its own for odd n, else started and finished."""

    def requests(commit: pfs.Commit) -> Iterator[pfs.ModifyFileRequest]:
        yield pfs.ModifyFileRequest(set_commit=commit)
        yield pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path="/last"))
        for path, data in content(n).items():
            yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=data))

    if n % 2:
        client.pfs.modify_file(requests(MASTER))
        return
    infos = client.pfs.list_commit(repo=MASTER.branch.repo, number=1)
    head = next(iter(infos), None)
    if head is not None and "finished" not in head.to_dict():
        commit = head.commit  # left open by a crash: the commit goes on
        client.pfs.clear_commit(commit=commit)
    else:
        commit = client.pfs.start_commit(branch=MASTER.branch)
    client.pfs.modify_file(requests(commit))
    client.pfs.finish_commit(commit=commit)


def read(client: Client, commit: pfs.Commit, path: str) -> bytes:
    frames = client.pfs.get_file(file=pfs.File(commit=commit, path=path))
    return b"".join(frame.value for frame in frames)


def check(client: Client, acknowledged: int) -> int:
    """Every acknowledged commit is there and whole, at most one more is; the number of the last one."""
    infos = list(client.pfs.list_commit(repo=MASTER.branch.repo, reverse=True))
    finished = [info for info in infos if "finished" in info.to_dict()]
    assert len(infos) - len(finished) <= 1
    assert acknowledged <= len(finished) <= acknowledged + 1
    for n, info in enumerate(finished, 1):
        assert read(client, info.commit, "/last") == str(n).encode()
        assert info.error == ""
    if finished:
        last = finished[-1].commit
        for n in range(1, len(finished) + 1):
            for path, data in content(n).items():
                if path != "/last":
                    assert read(client, last, path) == data
        found = client.pfs.walk_file(file=pfs.File(commit=last, path="/"))
        assert len(list(found)) == 2 + 4 * len(finished)
    return len(finished)


def put_until_killed(client: Client, server: Any, done: int, last: int) -> int:
    """Make commits after the first `done`; kill the server once `last` are made, while the next ones are."""
    time_to_die = threading.Event()
    killer = threading.Thread(target=lambda: (time_to_die.wait(30), server.kill()))
    killer.start()
    try:
        while True:
            if done == last:
                time_to_die.set()
            put(client, done + 1)
            done += 1
    except (grpc.RpcError, ConnectionError):  # the latter is the SDK's, where it died between two puts
        return done
    finally:
        time_to_die.set()
        killer.join()


def test_commits_survive_kill_9_at_any_moment(
    serve: Callable[..., Any], connect: Any, tmp_path: Path
) -> None:
    rng = random.Random(9)
    done = 0
    for crash in range(5):
        server = serve()
        client = connect(server.address)
        if crash == 0:
            client.pfs.create_repo(repo=MASTER.branch.repo)
        done = check(client, done)
        done = put_until_killed(client, server, done, done + rng.randrange(1, 12))
    drafts = tmp_path / "data" / "drafts"
    (drafts / "left").write_bytes(b"half a chu")
    client = connect(serve().address)
    done = check(client, done)
    put(client, done + 1)
    assert check(client, done + 1) == done + 1
    assert list(drafts.iterdir()) == []


@pytest.mark.parametrize("opened", [False, True], ids=["one-shot", "open commit"])
def test_a_stream_cut_by_kill_9_leaves_no_trace(
    serve: Callable[..., Any], connect: Any, opened: bool
) -> None:
    server = serve()
    client = connect(server.address)
    client.pfs.create_repo(repo=MASTER.branch.repo)
    if opened:
        commit = client.pfs.start_commit(branch=MASTER.branch)
        client.pfs.put_file_from_bytes(commit=commit, path="/before", data=b"1")

    def requests() -> Iterator[pfs.ModifyFileRequest]:
        yield pfs.ModifyFileRequest(set_commit=MASTER)
        for n in range(100):
            yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{n}", raw=bytes(50_000)))
        server.kill()

    with pytest.raises(grpc.RpcError):
        client.pfs.modify_file(requests())
    client = connect(serve().address)
    if not opened:
        assert list(client.pfs.list_commit(repo=MASTER.branch.repo)) == []
        assert list(client.pfs.list_branch(repo=MASTER.branch.repo)) == []
    else:
        (info,) = client.pfs.list_commit(repo=MASTER.branch.repo)
        assert "finishing" not in info.to_dict()
        client.pfs.finish_commit(commit=info.commit)
        found = client.pfs.list_file(file=pfs.File(commit=MASTER, path="/"))
        assert [info.file.path for info in found] == ["/before"]


def test_the_database_is_sound_after_a_crash(serve: Callable[..., Any], connect: Any, tmp_path: Path) -> None:
    server = serve()
    client = connect(server.address)
    client.pfs.create_repo(repo=MASTER.branch.repo)
    put(client, 1)
    server.kill()
    with sqlite3.connect(tmp_path / "data" / "pachd.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()
