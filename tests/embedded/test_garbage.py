# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection: what nothing refers to goes, its space comes back, and all else stays."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc import RpcError, StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.core import Core
from pachd_embedded.server import Server, Settings
from pachd_embedded.store.collector import Collected
from tests.contract.lab import Data, poll

# In the database, in a file of its own, in several files.
SIZES = (100, 50_000, 150_000, 3_000_000)
NOTHING = Collected()


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def some(prefix: str, seed: int = 0) -> dict[str, bytes]:
    return {f"/{prefix}/{size}": content(size, seed) for size in SIZES}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, gc_period=0))
    yield server
    server.stop()


@pytest.fixture
def core(server: Server) -> Core:
    return server.core


@pytest.fixture
def client(server: Server, connect: Callable[[str], Client]) -> Client:
    return connect(server.address)


def disk_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def drop(client: Client, commit_id: str) -> None:
    client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit_id))


def is_clean(core: Core) -> bool:
    return [str(finding) for finding in core.pfs.fsck.check()] == []


def test_what_is_in_use_stays(core: Core, data: Any) -> None:
    data.put(some("a"))
    assert core.pfs.storage.collect() == NOTHING
    assert is_clean(core)


def test_a_dropped_commit_frees_its_chunks_and_bytes(
    core: Core, client: Client, data: Any, tmp_path: Path
) -> None:
    data.put(some("a"))
    before = disk_bytes(tmp_path)
    core.pfs.storage.collect()
    commit = data.put(some("b", seed=1))
    drop(client, commit)
    freed = core.pfs.storage.collect()
    assert freed.freed_chunks >= len(SIZES)
    assert freed.freed_bytes >= 3_000_000
    assert disk_bytes(tmp_path) < before + 200_000
    assert {path: data.read(path) for path in some("a")} == some("a")
    assert is_clean(core)
    assert core.pfs.storage.collect() == NOTHING


def test_a_squashed_commit_frees_only_what_its_children_do_not_share(
    core: Core, client: Client, data: Any
) -> None:
    data.put({"/kept": content(150_000), "/replaced": content(150_000, 1)})
    first = data.head()
    data.modify(["/replaced", ("/replaced", content(150_000, 2))])
    client.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=first))
    assert core.pfs.storage.collect().freed_chunks == 1
    assert data.read("/kept") == content(150_000)
    assert data.read("/replaced") == content(150_000, 2)


def test_small_files_give_the_database_back_to_the_disk(
    core: Core, client: Client, data: Any, tmp_path: Path
) -> None:
    data.put({"/kept": b"1"})
    core.pfs.storage.collect()
    before = (tmp_path / "data" / "pachd.sqlite").stat().st_size
    commit = data.put({f"/{n}": content(4000, n) for n in range(500)})
    drop(client, commit)
    freed = core.pfs.storage.collect()
    assert freed.freed_chunks == 500
    assert freed.freed_nodes > 0
    assert freed.freed_bytes > 2_000_000
    assert (tmp_path / "data" / "pachd.sqlite").stat().st_size < before + 200_000


def test_a_deleted_repo_is_freed(core: Core, client: Client, new_repo: Any) -> None:
    data = new_repo()
    data.put(some("a"))
    client.pfs.delete_repo(repo=data.repo)
    assert core.pfs.storage.collect().freed_chunks >= len(SIZES)


def test_what_was_overwritten_in_an_open_commit_is_freed(core: Core, data: Any) -> None:
    data.start()
    data.put({"/a": content(150_000)})
    data.modify(["/a", ("/a", content(150_000, 1))])
    freed = core.pfs.storage.collect()
    assert (freed.freed_chunks, freed.freed_nodes) == (1, 1)
    assert data.read("/a") == content(150_000, 1)


def test_a_stream_that_was_refused_is_freed(core: Core, data: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "globbing character"):
        data.modify([("/a", content(150_000)), ("/b", b""), ("/*", b"")])
    assert core.pfs.storage.collect().freed_chunks == 1


def test_content_that_two_repos_share_stays_while_one_has_it(
    core: Core, client: Client, new_repo: Any
) -> None:
    one, other = new_repo(), new_repo()
    for data in (one, other):
        data.put(some("a"))
    client.pfs.delete_repo(repo=one.repo)
    core.pfs.storage.collect()
    assert {path: other.read(path) for path in some("a")} == some("a")


def test_an_expired_file_set_is_freed(core: Core, client: Client, data: Any) -> None:
    def requests() -> Iterator[pfs.ModifyFileRequest]:
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=content(150_000)))

    client.pfs.create_file_set(requests())
    assert core.pfs.storage.collect() == NOTHING
    core.db.execute("UPDATE file_set SET expires = 1")
    assert core.pfs.storage.collect().freed_chunks == 1


# Meanwhile


@pytest.mark.parametrize("size", SIZES)
def test_garbage_that_is_written_again_before_the_collection_ends_stays(
    core: Core, client: Client, data: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    drop(client, data.put({"/a": content(size)}))
    look = core.pfs.chunks.large

    def write_first() -> Any:
        data.put({"/a": content(size)})  # after the collection has seen what is in use
        return look()

    monkeypatch.setattr(core.pfs.chunks, "large", write_first)
    core.pfs.storage.collect()
    assert data.read("/a") == content(size)
    assert is_clean(core)


@pytest.mark.parametrize("size", SIZES)
def test_what_a_writer_has_stored_and_not_committed_yet_stays(core: Core, size: int) -> None:
    with core.pfs.chunks.writer() as writer:
        chunks = core.pfs.files.store(writer, [content(size)])
        writer.flush()
        assert core.pfs.storage.collect() == NOTHING
        assert b"".join(core.pfs.files.read(chunks)) == content(size)
    assert core.pfs.storage.collect().freed_chunks == len(chunks)


def test_a_file_is_read_to_its_end_although_its_commit_is_dropped(
    core: Core, client: Client, data: Any
) -> None:
    parts = [content(15_000_000, n) for n in range(4)]
    large = b"".join(parts)
    data.modify([("/a", part) for part in parts])
    commit = data.head()
    frames = client.pfs.get_file(file=data.file("/a", commit))
    start = next(frames).value
    drop(client, commit)
    core.pfs.storage.collect()
    assert start + b"".join(frame.value for frame in frames) == large
    assert core.pfs.storage.collect().freed_chunks > 1


def test_writers_lose_nothing_to_collections_at_the_same_time(
    core: Core, client: Client, new_repo: Any
) -> None:
    """Each writer makes commits of contents that the others make and drop as well."""
    repos = [new_repo() for _ in range(3)]
    done = threading.Event()

    def write(data: Any) -> None:
        for n in range(15):
            commit = data.put({f"/{n % 4}": content(size, n % 4) for size in SIZES[:3]})
            if n % 3:
                drop(client, commit)

    def collect() -> None:
        while not done.is_set():
            core.pfs.storage.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    writers = [threading.Thread(target=write, args=(data,)) for data in repos]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    collector.join()
    assert is_clean(core)


def test_it_runs_by_itself(tmp_path: Path, connect: Callable[[str], Client]) -> None:
    server = Server(Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True, gc_period=0.05))
    try:
        client = connect(server.address)
        data = Data(client, "data")
        client.pfs.create_repo(repo=data.repo)
        drop(client, data.put({"/a": content(150_000)}))
        poll(lambda: not list((tmp_path / "data" / "chunks").glob("??/*")))
    finally:
        server.stop()


def test_a_store_with_a_lost_tree_node_is_left_as_it_is(core: Core, client: Client, data: Any) -> None:
    """What hung on that node is known to nobody any more, and may be all that is left of a commit."""
    data.put({"/a": content(150_000)})
    core.db.execute("DELETE FROM node")
    with pytest.raises(LookupError, match=r"tree node [0-9a-f]+ is missing"):
        core.pfs.storage.collect()
    assert len(list(core.pfs.chunks.large())) == 1


def test_kill_9_during_collections_leaves_all_that_is_in_use(
    serve: Callable[..., Any], connect: Callable[[str], Client], tmp_path: Path
) -> None:
    done: list[int] = []
    for crash in range(4):
        server = serve("--gc-period", "0.01")
        client = connect(server.address)
        data = Data(client, "data")
        if crash == 0:
            client.pfs.create_repo(repo=data.repo)
        for n in done:
            assert data.read(f"/{n}") == content(150_000, n)
        assert [str(problem) for problem in client.pfs.fsck()] == []
        killer = threading.Timer(0.5 + crash / 4, server.kill)
        killer.start()
        try:
            while True:
                n = len(done)
                # Deleted first: before the crash it may have been done, and nobody was told.
                data.modify([f"/{n}", (f"/{n}", content(150_000, n))])
                done.append(n)
                drop(client, data.put({"/dropped": content(150_000, -1), f"/dropped{n}": content(99, -n)}))
        except (RpcError, ConnectionError):
            killer.join()
    assert done
