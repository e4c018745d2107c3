# SPDX-License-Identifier: GPL-3.0-or-later
"""No device is ever lent twice, whatever runs, fails, is stopped or deleted, and each comes back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pachyderm_sdk.api import pps

from pachd_embedded.pps.model import JobState
from pachd_embedded.server import Server, Settings
from pachd_embedded.workers.gpus import GpuPool
from pachd_embedded.workers.limits import Limits
from pachd_embedded.workers.worker import DatumResult, DatumTask, ImageState
from tests.contract.lab import PATIENCE, Lab, poll

GPUS = 4


class RecordingWorker:
    """Runs nothing; keeps account of the devices that it was given, and of those given twice."""

    def __init__(self) -> None:
        self.lent: set[str] = set()
        self.twice: list[str] = []
        self.most = 0  # devices lent at the same time
        self.random = random.Random(4711)
        self._lock = threading.Lock()

    def check(self) -> str:
        return ""

    def start(self, changed: Callable[[], None]) -> None:
        pass

    def stop(self) -> None:
        pass

    def image(self, name: str) -> ImageState:
        return ImageState(True)

    def notes(self, user: str, limits: Limits) -> list[str]:
        return []

    def run(self, task: DatumTask, log: Callable[[str], None], cancelled: threading.Event) -> DatumResult:
        with self._lock:
            self.twice += [device for device in task.gpus if device in self.lent]
            self.lent.update(task.gpus)
            self.most = max(self.most, len(self.lent))
            fate, seconds = self.random.random(), self.random.random() / 100
        cancelled.wait(seconds)
        with self._lock:
            self.lent.difference_update(task.gpus)
        if fate < 0.05:
            raise RuntimeError("a worker that breaks")
        return DatumResult("exit status 1" if fate < 0.1 else "", seconds)


@pytest.fixture(scope="module")
def worker() -> RecordingWorker:
    return RecordingWorker()


@pytest.fixture(scope="module")
def server(worker: RecordingWorker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pachd_embedded.core.make_worker", lambda _settings: worker)
        patch.setattr("pachd_embedded.pps.scheduler.WORKERS", GPUS)
        server = Server(Settings(tmp_path_factory.mktemp("pachd"), "127.0.0.1:0", gpus=GPUS))
        yield server
        server.stop()


def all_come_back(server: Server) -> None:
    poll(lambda: server.core.gpus.in_use == 0)


# --- the pool alone ---


@settings(deadline=None, database=None)
@given(devices=st.integers(0, 8), steps=st.lists(st.integers(-9, 9), max_size=60))
def test_the_pool_against_a_model(devices: int, steps: list[int]) -> None:
    """A number from 0 on asks for so many devices; a negative one gives back an earlier loan."""
    pool, loans = GpuPool(devices), list[tuple[str, ...]]()
    for step in steps:
        if step < 0:
            if loans:
                pool.give_back(loans.pop(step % len(loans)))
            continue
        free = devices - sum(map(len, loans))
        taken = pool.take(step)
        assert (taken is None) == (step > free)
        if taken is not None:
            assert len(taken) == step
            loans.append(taken)
        lent = [device for loan in loans for device in loan]
        assert len(set(lent)) == len(lent) == pool.in_use <= pool.total


def test_the_pool_from_many_threads() -> None:
    pool, lent, guard = GpuPool(3), set[str](), threading.Lock()

    def borrow(number: int) -> None:
        for _ in range(200):
            if (taken := pool.take(1 + number % 3)) is not None:
                with guard:
                    assert not lent & set(taken)
                    lent.update(taken)
                with guard:
                    lent.difference_update(taken)
                pool.give_back(taken)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(borrow, range(8)))
    assert pool.in_use == 0


# --- pipelines ---

PIPELINE = st.fixed_dictionaries({"gpus": st.integers(0, GPUS + 1), "workers": st.integers(1, 4)})
ACTION = st.tuples(
    st.sampled_from(["commit", "stop_job", "stop_pipeline", "start_pipeline", "update", "delete_pipeline"]),
    st.integers(0, 9),
)


def create(lab: Lab, repo: str, wish: dict[str, int], name: str = "", update: bool = False) -> str:
    gpu = {"type": "nvidia.com/gpu", "number": wish["gpus"]}
    fields: dict[str, Any] = {
        "resource_limits": {"gpu": gpu},
        "parallelism_spec": {"constant": wish["workers"]},
    }
    return lab.pipeline(repo, "true", name=name, update=update, datum_tries=2, **fields)


def act(lab: Lab, repo: str, pipelines: dict[str, dict[str, int]], action: str, number: int) -> None:
    """An action on one of the pipelines, as far as it is still there and has such a job."""
    name = list(pipelines)[number % len(pipelines)]
    if action == "commit":
        lab.put(repo, {f"{number}-{n}": str(n) for n in range(4)})
    elif action == "stop_job":
        for job in lab.jobs(name)[:1]:
            lab.pps.stop_job(job=job.job)
    elif action == "update":
        create(lab, repo, {"gpus": number % GPUS, "workers": 1 + number % 3}, name, update=True)
    else:
        getattr(lab.pps, action)(pipeline=lab.key(name))
        if action == "delete_pipeline":
            create(lab, repo, pipelines[name], name)


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(wishes=st.lists(PIPELINE, min_size=1, max_size=4), actions=st.lists(ACTION, max_size=8))
def test_random_pipelines_never_share_a_device(
    server: Server, lab: Lab, worker: RecordingWorker, wishes: list[dict[str, int]], actions: list[Any]
) -> None:
    repo = lab.repo(**{f"f{n}": str(n) for n in range(6)})
    pipelines = {create(lab, repo, wish): wish for wish in wishes}
    for action, number in actions:
        act(lab, repo, pipelines, action, number)
    for name in pipelines:
        lab.pps.stop_pipeline(pipeline=lab.key(name))
        for job in lab.jobs(name):
            assert lab.counts(name, job.job.id).partition(" ")[0] in ("SUCCESS", "FAILURE", "KILLED")
    all_come_back(server)
    assert (worker.twice, worker.lent) == ([], set())
    assert worker.most <= GPUS


def test_many_clients_at_once(server: Server, lab_at: Any, worker: RecordingWorker) -> None:
    """Commits, stops, updates and workers that break, from six clients; all want 12 devices together."""
    own = lab_at(server.address)
    repo = own.repo(a="1", b="2", c="3")
    wishes = [
        {"gpus": gpus, "workers": workers} for gpus, workers in ((1, 3), (2, 2), (4, 1), (1, 1), (0, 4))
    ]
    pipelines = {create(own, repo, wish): wish for wish in wishes}

    def client(seed: int) -> None:
        lab, chosen = lab_at(server.address), random.Random(seed)
        actions = ["commit", "commit", "stop_job", "stop_pipeline", "start_pipeline", "update"]
        for _ in range(12):
            try:
                act(lab, repo, pipelines, chosen.choice(actions), chosen.randrange(10))
            except grpc.RpcError as error:
                # Two clients that write one branch at once: as pachd answers the second.
                assert error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.NOT_FOUND), error  # noqa: PT017

    with ThreadPoolExecutor(6) as clients:
        list(clients.map(client, range(6)))
    for name in pipelines:
        own.pps.delete_pipeline(pipeline=own.key(name))
    all_come_back(server)
    assert (worker.twice, worker.lent) == ([], set())
    assert 0 < worker.most <= GPUS


def test_a_job_that_cannot_be_started_keeps_no_device(
    server: Server, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, failed = server.core.pps.jobs, threading.Event()
    set_state = jobs.set_state

    def fails_once(job: Any, state: JobState) -> bool:
        if state is JobState.STARTING and not failed.is_set():
            failed.set()
            raise OSError("no space left on device")
        return set_state(job, state)

    monkeypatch.setattr(jobs, "set_state", fails_once)
    pipeline = create(lab, lab.repo(a="1"), {"gpus": GPUS, "workers": 1})
    assert failed.wait(PATIENCE)
    assert lab.job(pipeline).state in (pps.JobState.JOB_SUCCESS, pps.JobState.JOB_FAILURE)
    all_come_back(server)


def test_a_job_whose_thread_cannot_be_made_is_started_later(
    server: Server, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    class Thread(threading.Thread):
        def start(self) -> None:
            if self.name.startswith("job-") and not failed.is_set():
                failed.set()
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr("pachd_embedded.pps.scheduler.threading.Thread", Thread)
    pipeline = create(lab, lab.repo(a="1"), {"gpus": GPUS, "workers": 1})
    assert failed.wait(PATIENCE)
    assert lab.job(pipeline).state in (pps.JobState.JOB_SUCCESS, pps.JobState.JOB_FAILURE)
    all_come_back(server)
