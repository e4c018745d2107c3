# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for tests of pipelines: a server with two simulated GPUs, the official SDK, code that can be held."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from pachd_embedded.server import Server, Settings
from pachd_embedded.workers.process import ProcessWorker

GPUS = 2
# Seconds for what takes a fraction of one, on a machine that is busy.
PATIENCE = 30

_numbers = itertools.count()

Spec = dict[str, Any]


def poll(condition: Callable[[], Any]) -> Any:
    """The first true answer of `condition`, for what the API offers no call that waits."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return answer


class Lab:
    """What tests do with pipelines, in calls of the SDK. Names are fresh, so that tests do not meet."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pfs = client.pfs
        self.pps = client.pps

    def name(self, kind: str) -> str:
        return f"{kind}-{next(_numbers)}"

    # Repos

    def repo(self, **files: str) -> str:
        """A new repo; with files it has one commit on master."""
        name = self.name("repo")
        self.pfs.create_repo(repo=pfs.Repo.from_uri(name))
        if files:
            self.put(name, files)
        return name

    def put(
        self, repo: str, files: Mapping[str, str] | None = None, delete: str = "", branch: str = "master"
    ) -> str:
        """One commit; the answer is its id. Files of that name are replaced."""
        with self.pfs.commit(branch=pfs.Branch.from_uri(f"{repo}@{branch}")) as commit:
            if delete:
                commit.delete_file(path=delete)
            for path, content in (files or {}).items():
                commit.put_file_from_bytes(path, content.encode())
        return str(commit.id)

    def files(self, repo: str, at: str = "master") -> dict[str, str]:
        """All files with their content."""
        infos = self.pfs.walk_file(file=pfs.File.from_uri(f"{repo}@{at}:/"))
        paths = [info.file.path for info in infos if info.file_type == pfs.FileType.FILE]
        return {path: self.read(repo, path, at) for path in paths}

    def read(self, repo: str, path: str, at: str = "master") -> str:
        with self.pfs.pfs_file(pfs.File.from_uri(f"{repo}@{at}:{path}")) as file:
            return str(file.read().decode())

    def commit_info(self, repo: str, at: str = "master") -> Any:
        return self.pfs.inspect_commit(commit=pfs.Commit.from_uri(f"{repo}@{at}"))

    # Pipelines and jobs

    def pipeline(self, source: str | Spec, *script: str, glob: str = "/*", **fields: Any) -> str:
        """Create (or with `update` change) a pipeline whose code is a script of bash.

        `source` is the name of a repo, or a whole input; `fields` are the spec's own, but for `name`,
        `update`, `reprocess` and `transform`, which is merged into the transform.
        """
        name = fields.pop("name", "") or self.name("pipe")
        flags = {flag: fields.pop(flag, False) for flag in ("update", "reprocess")}
        spec = {
            "pipeline": {"name": name},
            "input": pfs_input(source, glob) if isinstance(source, str) else source,
            "transform": {"cmd": ["bash"], "stdin": list(script)} | fields.pop("transform", {}),
            **fields,
        }
        self.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec), **flags)
        return name

    def pipeline_info(self, pipeline: str) -> Any:
        return self.pps.inspect_pipeline(pipeline=pps.Pipeline(name=pipeline), details=True)

    def jobs(self, pipeline: str, **options: Any) -> list[Any]:
        return list(self.pps.list_job(pipeline=pps.Pipeline(name=pipeline), **options))

    def job(self, pipeline: str, job_id: str = "", wait: bool = True) -> Any:
        """A job, the newest unless told otherwise, once it has ended."""
        job_id = job_id or self.jobs(pipeline)[0].job.id
        job = pps.Job(pipeline=pps.Pipeline(name=pipeline), id=job_id)
        if not wait:
            return self.pps.inspect_job(job=job)
        # A job that never ends is an error of the test, not a test run that hangs.
        return poll(lambda: _ended(self.pps.inspect_job(job=job)))

    def counts(self, pipeline: str, job_id: str = "") -> str:
        """What became of a job and its datums, such as "SUCCESS p1 s2 t3"; a count of zero is left out."""
        job = self.job(pipeline, job_id)
        counters = {
            "p": job.data_processed,
            "s": job.data_skipped,
            "f": job.data_failed,
            "r": job.data_recovered,
            "t": job.data_total,
        }
        shown = [f"{letter}{count}" for letter, count in counters.items() if count or letter == "t"]
        return " ".join([state_of(job), *shown])

    def state(self, pipeline: str, job_id: str = "") -> str:
        """The state of a job as it is now, without its JOB_; the newest unless told otherwise."""
        return state_of(self.job(pipeline, job_id, wait=False))

    def pipeline_state(self, pipeline: str) -> str:
        info = self.pps.inspect_pipeline(pipeline=pps.Pipeline(name=pipeline))
        return str(pps.PipelineState(info.state).name.removeprefix("PIPELINE_"))

    def logs(self, pipeline: str, job_id: str = "", user: bool = True) -> list[str]:
        job_id = job_id or self.jobs(pipeline)[0].job.id
        job = pps.Job(pipeline=pps.Pipeline(name=pipeline), id=job_id)
        return [line.message for line in self.pps.get_logs(job=job) if line.user == user]


def pfs_input(repo: str, glob: str = "/*", **fields: Any) -> Spec:
    return {"pfs": {"repo": repo, "glob": glob, **fields}}


def state_of(job: Any) -> str:
    """The name of the state, which the SDK leaves a number."""
    return str(pps.JobState(job.state).name.removeprefix("JOB_"))


def _ended(job: Any) -> Any | None:
    return job if state_of(job) in ("SUCCESS", "FAILURE", "KILLED", "UNRUNNABLE") else None


class Visitor:
    """User code that has come to the gate and waits there."""

    def __init__(self, connection: socket.socket, word: str) -> None:
        self.word = word
        self._connection = connection

    def release(self) -> None:
        self._connection.sendall(b"\n")

    def is_gone(self) -> bool:
        """True once its process has ended, for which it waits."""
        return self._connection.recv(1) == b""

    def close(self) -> None:
        self._connection.close()


class Gate:
    """Where user code waits until the test lets it go on: a socket, which bash can speak to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._visitors: list[Visitor] = []

    def wait(self, word: str = "$PACH_DATUM_ID") -> str:
        """The line of a script: says a word at the gate, and waits."""
        port = self._listener.getsockname()[1]
        return f'exec 3<>/dev/tcp/127.0.0.1/{port}; echo "{word}" >&3; read -r _ <&3; exec 3<&-'

    def visitor(self) -> Visitor:
        """The next code that comes."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        with connection.makefile("r") as file:
            visitor = Visitor(connection, file.readline().strip())
        self._visitors.append(visitor)
        return visitor

    def is_empty(self) -> bool:
        """Whether nobody has come whom `visitor` did not hand out yet."""
        self._listener.settimeout(0)
        try:
            self._listener.accept()
        except BlockingIOError:
            return True
        finally:
            self._listener.settimeout(PATIENCE)
        return False

    def close(self) -> None:
        self._listener.close()
        for visitor in self._visitors:
            visitor.close()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pachd")


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[Server]:
    # What the kernel of a test machine refuses is for the tests of the worker to find.
    private_pfs = bool(ProcessWorker({}).check())
    server = Server(Settings(data_dir, "127.0.0.1:0", gpus=GPUS, private_pfs=private_pfs))
    yield server
    server.stop()


@pytest.fixture
def scratch(data_dir: Path) -> Path:
    """Where the server keeps the directories of running datums."""
    return data_dir / "scratch"


def connect(address: str) -> Lab:
    host, _, port = address.rpartition(":")
    return Lab(Client(host, int(port)))


@pytest.fixture(scope="module")
def lab(server: Server) -> Lab:
    return connect(server.address)


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    return poll


@pytest.fixture
def settled(lab: Lab) -> Callable[[str, str], Any]:
    """Waits for a state of a pipeline, which the scheduler sets a moment after the call that causes it."""

    def wait(pipeline: str, state: str) -> Any:
        poll(lambda: lab.pipeline_state(pipeline) == state)
        return lab.pipeline_info(pipeline)

    return wait


@pytest.fixture
def lab_at() -> Callable[[str], Lab]:
    """A lab of a server that the test started itself."""
    return connect


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()
