# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 again and again, at random moments, while clients write and a pipeline runs.

A few rounds by default; KILL_ROUNDS=50 makes as many (some ten minutes on two cores, since what a
round reads again grows), and another KILL_SEED other ones.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

import pachd_embedded
from pachd_embedded.workers.process import ProcessWorker
from tests.contract.lab import Data, Lab, poll, state_of

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
SEED = int(os.environ.get("KILL_SEED", "6"))
WRITERS = 3
# The longest time that a server lives in a round, in seconds from its ready line or from its start.
LIFE, START = 0.8, 1.0
EMBEDDED = Path(pachd_embedded.__file__).parents[1]
# Copies each file, with its number of bytes: what comes out says what went in.
SCRIPT = 'for f in /pfs/in/*; do cp "$f" /pfs/out/; wc -c < "$f" > "/pfs/out/size-$(basename "$f")"; done'


class Servers:
    """One server after the other over a directory. What a killed one was doing is for the next to mend."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory.with_suffix(".log")
        self.options = ["--private-pfs"] if ProcessWorker({}).check() else []

    @contextmanager
    def one(self, killed_after: float | None = None) -> Iterator[Lab | None]:
        """A server, killed at the end; or so many seconds after its start, None if that was too early."""
        command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(self.directory)]
        with self.log.open("a") as log:
            process = subprocess.Popen(
                [*command, "--address", "127.0.0.1:0", *self.options],
                env=dict(os.environ, PYTHONPATH=str(EMBEDDED), PYTHONDONTWRITEBYTECODE="1"),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        early = threading.Timer(killed_after, process.kill) if killed_after else None
        if early:
            early.start()
        try:
            ready = process.stdout.readline()
            address = ready.partition("address=")[2].partition(" ")[0]
            assert address or killed_after, self.log.read_text()[-2000:]
            self.kill: Callable[[], None] = process.kill
            yield Lab(Client.from_pachd_address(address)) if address else None
        finally:
            if early:
                early.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


def of_writer(writer: int, number: int) -> dict[str, bytes]:
    """What a commit of a writer adds; one in four has a file that is kept outside of the database."""
    source = random.Random(f"{writer}-{number}")
    size = 150_000 if number % 4 == 0 else source.randrange(5_000)
    return {f"/{number:05}": source.randbytes(size), f"/small/{number:05}": b"%d" % number}


def write(data: Data, number: int, files: dict[str, bytes]) -> None:
    """One commit: for odd numbers a stream of its own, else started, written and finished."""
    if number % 2:
        data.modify(files.items())
        return
    data.start()
    data.modify(files.items())
    data.finish()


class Writer(threading.Thread):
    """Makes commits until the server is gone. `done` is the last that the server said is finished."""

    def __init__(self, lab: Lab, repo: str, done: int, files: Callable[[int], dict[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.repo, self.data, self.done, self.files = repo, lab.data(repo), done, files
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while True:
                write(self.data, self.done + 1, self.files(self.done + 1))
                self.done += 1
        except (grpc.RpcError, ConnectionError) as error:
            if not is_gone(error):
                self.error = error


def is_gone(error: Exception) -> bool:
    """Whether the server went away. The SDK's ConnectionError is what it makes of the same status."""
    code = error.code() if isinstance(error, grpc.RpcError) else grpc.StatusCode.UNAVAILABLE
    return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Ledger:
    """What was ever seen finished, by commit: a digest of all its content."""

    def __init__(self) -> None:
        self.digests: dict[tuple[str, str], bytes] = {}
        self.random = random.Random(SEED)

    def check(self, lab: Lab, repos: list[str], sample: int | None = 10) -> None:
        """All that was finished still is, and its root's hash the same; new ones and a sample are read."""
        for repo in repos:
            infos = list(lab.pfs.list_commit(repo=lab.data(repo).repo))
            finished = [info.commit.id for info in infos if "finished" in info.to_dict()]
            known = [commit for of, commit in self.digests if of == repo]
            assert set(known) <= set(finished)
            again = known if sample is None else self.random.sample(known, min(sample, len(known)))
            for commit in [*again, *(set(finished) - set(known))]:
                digest = digest_of(lab.data(repo), commit)
                assert self.digests.setdefault((repo, commit), digest) == digest


def digest_of(data: Data, commit: str) -> bytes:
    """Of the content of a commit, read whole, and of what CommitInfo says of it."""
    digest = hashlib.blake2b(data.info(commit).error.encode())
    try:
        for frame in data.api.get_file_tar(file=data.file("/", commit)):
            digest.update(frame.value)
    except grpc.RpcError as error:
        digest.update(str(error.code()).encode())
    return digest.digest()


def settle(lab: Lab, repo: str, done: int, files: Callable[[int], dict[str, bytes]]) -> int:
    """The number of a writer's last commit after a crash; one that was left open is emptied and finished."""
    data = lab.data(repo)
    infos = list(lab.pfs.list_commit(repo=data.repo))
    if infos and "finishing" not in infos[0].to_dict():
        lab.pfs.clear_commit(commit=infos[0].commit)
        data.finish(infos[0].commit.id)
    found = data.files() if infos else {}
    last = max((int(path[1:]) for path in found if path.count("/") == 1), default=0)
    # What was acknowledged is there, of what was not at most the next; and each is whole.
    assert done <= last <= done + 1
    expected = {path: content for number in range(1, last + 1) for path, content in files(number).items()}
    assert found == expected
    return last


def fsck(lab: Lab) -> list[str]:
    return [answer.error for answer in lab.pfs.fsck() if answer.error]


def feed(number: int) -> dict[str, bytes]:
    """What a commit adds to the pipeline's input."""
    return {f"/{number:05}": b"x" * number}


@pytest.fixture
def undisturbed(tmp_path: Path) -> Callable[[int], dict[str, str]]:
    """The output of the pipeline for so many commits of input, on a server that nobody kills."""

    def run(last: int) -> dict[str, str]:
        with Servers(tmp_path / "undisturbed").one() as lab:
            assert lab is not None
            lab.pfs.create_repo(repo=pfs.Repo.from_uri("in"))
            for number in range(1, last + 1):
                lab.data("in").modify(feed(number).items())
            lab.pipeline("in", SCRIPT, name="out")
            assert lab.counts("out") == f"SUCCESS p{last} t{last}"
            return lab.files("out")

    return run


def test_nothing_that_was_finished_is_lost(tmp_path: Path, undisturbed: Any) -> None:
    source, ledger, servers = random.Random(SEED), Ledger(), Servers(tmp_path / "data")
    sources = {f"w{n}": lambda number, n=n: of_writer(n, number) for n in range(WRITERS)} | {"in": feed}
    done = dict.fromkeys(sources, 0)
    ended: dict[str, dict[str, Any]] = {}
    with servers.one() as lab:
        assert lab is not None
        for repo in sources:
            lab.pfs.create_repo(repo=pfs.Repo.from_uri(repo))
        lab.pipeline("in", SCRIPT, name="out")
    for number in range(ROUNDS):
        if number % 5 == 4:
            with servers.one(killed_after=source.uniform(0.05, START)):
                pass
        with servers.one() as lab:
            assert lab is not None
            assert fsck(lab) == []
            ledger.check(lab, [*sources, "out"])
            done = {repo: settle(lab, repo, done[repo], files) for repo, files in sources.items()}
            ended = ended_jobs(lab, ended)
            writers = [Writer(lab, repo, done[repo], files) for repo, files in sources.items()]
            killer = threading.Timer(source.uniform(0.02, LIFE), servers.kill)
            for thread in (*writers, killer):
                thread.start()
            for thread in (*writers, killer):
                thread.join()
            assert [writer.error for writer in writers] == [None] * len(writers)
            done = {writer.repo: writer.done for writer in writers}
    with servers.one() as lab:
        assert lab is not None
        done = {repo: settle(lab, repo, done[repo], files) for repo, files in sources.items()}
        poll(lambda: all("finished" in job.to_dict() for job in lab.jobs("out")))
        ended_jobs(lab, ended)
        assert {state_of(job) for job in lab.jobs("out")} == {"SUCCESS"}
        assert lab.files("out") == undisturbed(done["in"])
        ledger.check(lab, [*sources, "out"], sample=None)
        assert fsck(lab) == []
        assert list((servers.directory / "scratch").iterdir()) == []
    print(f"{ROUNDS} rounds: {done} commits, {len(ledger.digests)} read again, {len(ended)} jobs")


def ended_jobs(lab: Lab, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The jobs that have ended, of which those of `before` are as they were."""
    jobs = {job.job.id: job.to_dict() for job in lab.jobs("out") if "finished" in job.to_dict()}
    assert {job_id: jobs.get(job_id) for job_id in before} == before
    return jobs
