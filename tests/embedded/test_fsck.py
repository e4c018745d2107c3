# SPDX-License-Identifier: GPL-3.0-or-later
"""fsck: each kind of damage is told, with what suffers from it; a store that is well gives no line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.core import Core
from pachd_embedded.server import Server, Settings
from tests.contract.lab import Lab

LARGE = random.Random(1).randbytes(150_000)


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


@pytest.fixture
def lab(client: Client) -> Lab:
    return Lab(client)


@pytest.fixture
def problems(client: Client) -> Callable[..., list[str]]:
    """The errors that the API tells."""

    def ask(**options: Any) -> list[str]:
        return [response.error for response in client.pfs.fsck(**options)]

    return ask


@pytest.fixture
def commit(data: Any) -> str:
    """A commit with a small and a large file, and the tree node that both are in."""
    return str(data.put({"/small": b"1", "/large": LARGE}))


def test_all_is_well(lab: Lab, problems: Callable[..., list[str]]) -> None:
    """After everything that changes heads, provenance and jobs."""
    repo = lab.repo(a="1")
    data = lab.data(repo)
    first = data.head()
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    lab.put(repo, {"b": "2"})
    lab.counts(pipeline)
    lab.pfs.create_branch(branch=data.branch("old"), head=data.commit(first))
    trigger = pfs.Trigger(branch="master", commits=1)
    lab.pfs.create_branch(branch=data.branch("slow"), trigger=trigger)
    lab.pipeline(repo, "exit 1", name=pipeline, update=True)
    lab.counts(pipeline)
    dropped = lab.put(repo, {"c": "3"})
    lab.counts(pipeline)
    lab.pfs.create_branch(branch=data.branch("slow"), head=data.commit(first))
    lab.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=dropped))
    lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
    data.start()
    assert problems() == []
    assert problems(fix=True) == []
    assert problems(zombie_all=True) == []


# Content


def test_a_lost_chunk_of_its_own_file(
    core: Core, data: Any, commit: str, problems: Any, refused: Any
) -> None:
    ((digest, path),) = core.pfs.chunks.large()
    path.unlink()
    assert problems() == [f"commit default/{data.name}@{commit}:/large: chunk {digest.hex()} is missing"]
    with refused(StatusCode.DATA_LOSS, f"chunk {digest.hex()} is missing"):
        data.read("/large")
    assert data.read("/small") == b"1"


def test_a_lost_chunk_in_the_database(core: Core, data: Any, commit: str, problems: Any) -> None:
    core.db.execute("DELETE FROM chunk")
    (problem,) = problems()
    assert problem.startswith(f"commit default/{data.name}@{commit}:/small: chunk ")
    assert problem.endswith(" is missing")


@pytest.mark.parametrize("content", [LARGE[:-1], LARGE[:-1] + b"?", b""], ids=["short", "changed", "empty"])
def test_a_damaged_chunk(core: Core, data: Any, commit: str, problems: Any, content: bytes) -> None:
    ((digest, path),) = core.pfs.chunks.large()
    path.write_bytes(content)
    assert problems() == [f"commit default/{data.name}@{commit}:/large: chunk {digest.hex()} is damaged"]


@pytest.mark.parametrize(
    ("sql", "what"),
    [("DELETE FROM node", "missing"), ("UPDATE node SET data = CAST('{}' AS BLOB)", "damaged")],
)
def test_a_tree_node(core: Core, data: Any, commit: str, problems: Any, sql: str, what: str) -> None:
    row = core.db.row("SELECT tree FROM pfs_commit WHERE id = ?", commit)
    assert row is not None
    core.db.execute(sql)
    node = row["tree"].hex()
    assert problems() == [f"commit default/{data.name}@{commit}: tree node {node} is {what}"]


def test_damage_that_two_commits_share_is_told_once(
    core: Core, data: Any, commit: str, problems: Any
) -> None:
    data.put({"/other": b"1"})
    ((_, path),) = core.pfs.chunks.large()
    path.unlink()
    (problem,) = problems()
    assert f"@{commit}:/large" in problem


# Commits, branches, jobs


def test_a_head_that_is_gone(core: Core, data: Any, commit: str, problems: Any) -> None:
    core.db.execute("UPDATE branch SET head = 999")
    (problem,) = problems()
    assert problem == (
        "consistency error: the commit #999 could not be found while checking head commit of"
        f" default/{data.name}@master"
    )


def test_a_parent_that_is_gone(core: Core, data: Any, commit: str, problems: Any) -> None:
    core.db.execute("UPDATE pfs_commit SET parent = 999")
    (problem,) = problems()
    assert problem.endswith(f"checking parent commit of default/{data.name}@{commit}")


def test_a_parent_that_is_open(core: Core, data: Any, commit: str, problems: Any) -> None:
    child = data.put({"/b": b"1"})
    core.db.execute("UPDATE pfs_commit SET finished = NULL WHERE id = ?", commit)
    assert problems() == [f"commit default/{data.name}@{child} is finished before its parent"]


def test_a_finished_commit_without_files_on_record(core: Core, data: Any, commit: str, problems: Any) -> None:
    core.db.execute("UPDATE pfs_commit SET based = 0")
    (problem,) = problems()
    assert problem == f"commit default/{data.name}@{commit} is finished and its files are not on record"


def test_provenance_that_is_gone_is_told_and_fixed(
    core: Core, client: Client, new_repo: Any, problems: Any
) -> None:
    up, down = new_repo(), new_repo()
    up.put({"/a": b"1"})
    down.derive(up)
    core.db.execute("INSERT INTO commit_provenance SELECT seq, 999, 'gone' FROM commit_provenance")
    (problem,) = problems()
    assert problem.endswith(f"checking direct provenance of default/{down.name}@{down.head()}")
    (response,) = client.pfs.fsck(fix=True)
    assert (response.fix, response.error) == (problem, "")
    assert problems() == []
    assert [commit.id for commit in down.info().direct_provenance] == [up.head()]


def test_a_head_that_is_not_derived_from_the_heads_upstream(core: Core, new_repo: Any, problems: Any) -> None:
    up, down = new_repo(), new_repo()
    up.put({"/a": b"1"})
    down.derive(up)
    core.db.execute("DELETE FROM commit_provenance")
    assert problems() == [
        f"consistency error: parent branch default/{up.name}@master commit is not in direct provenance of"
        f" head of branch default/{down.name}@master"
    ]


def test_a_job_that_has_ended_with_its_commit_open(core: Core, lab: Lab, problems: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    job = lab.job(pipeline).job.id
    core.db.execute("UPDATE pfs_commit SET finishing = NULL WHERE branch = 'master' AND id = ?", job)
    assert problems() == [f"job {job} has ended, and its commit default/{pipeline}@{job} is open"]


def test_a_job_with_the_id_of_another_commit(core: Core, lab: Lab, problems: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    job = lab.job(pipeline).job.id
    core.db.execute("UPDATE job SET id = 'x'")
    assert f"job x writes commit default/{pipeline}@{job}, which has another id" in problems()


def test_zombies(core: Core, server: Server, lab: Lab, problems: Any) -> None:
    """Output of a datum that the job does not have. The SDK cannot ask for one commit: by hand, then."""
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, f"cp /pfs/{repo}/* /pfs/out/")
    lab.counts(pipeline)
    core.db.execute("UPDATE job SET datums = NULL")
    (problem,) = problems(zombie_all=True)
    assert problem.startswith("stale datum ")
    assert problem.endswith(" had file /a")
    commit = pfs.Commit(repo=pfs.Repo.from_uri(pipeline), branch=pfs.Branch.from_uri(f"{pipeline}@master"))
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_stream("/pfs_v2.API/Fsck", bytes, pfs.FsckResponse.FromString)
        found = call(pfs.FsckRequest(zombie_target=commit))
        assert [response.error for response in found] == [problem]
