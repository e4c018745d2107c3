# SPDX-License-Identifier: GPL-3.0-or-later
"""An embedded pachd on a free port, in this process or in one of its own, and the official SDK's client."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pachyderm_sdk import Client

from pachd_embedded.server import Server, Settings
from tests.contract.fixtures import NewRepo
from tests.contract.fixtures import background as background
from tests.contract.fixtures import refused as refused
from tests.contract.lab import Data

EMBEDDED = Path(__file__).resolve().parents[2] / "embedded"
# Seconds that a server of its own may take to start or to end, on a busy machine.
PATIENCE = 30

_numbers = itertools.count()


@pytest.fixture(scope="module")
def connect() -> Callable[[str], Client]:
    """The official SDK's client of the pachd at an address."""

    def to(address: str) -> Client:
        host, _, port = address.rpartition(":")
        return Client(host, int(port))

    return to


@pytest.fixture(scope="module")
def journal_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal") / "journal"


@pytest.fixture(scope="module")
def pachd(tmp_path_factory: pytest.TempPathFactory, journal_file: Path) -> Iterator[Server]:
    """Runs in this process. What a test makes on it stays for the module, so names must be fresh."""
    directory = tmp_path_factory.mktemp("pachd")
    settings = Settings(directory, "127.0.0.1:0", journal=journal_file, private_pfs=True)
    server = Server(settings)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(pachd: Server, connect: Callable[[str], Client]) -> Client:
    return connect(pachd.address)


@pytest.fixture
def new_repo(client: Client) -> NewRepo:
    def make() -> Data:
        data = Data(client, f"repo-{next(_numbers)}")
        client.pfs.create_repo(repo=data.repo)
        return data

    return make


@pytest.fixture
def data(new_repo: NewRepo) -> Data:
    return new_repo()


@dataclass
class Process:
    """An embedded pachd in a process of its own. `ready` is its first line, "" if it did not start."""

    popen: subprocess.Popen[str]
    ready: str
    log: Path

    @property
    def address(self) -> str:
        return self.ready.partition("address=")[2].partition(" ")[0]

    def kill(self) -> None:
        """As a crash: kill -9."""
        self.popen.kill()
        self.popen.wait(PATIENCE)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts servers, on tmp_path/"data" unless told otherwise; kills what is left of them."""
    started: list[Process] = []
    environment = dict(os.environ, PYTHONPATH=str(EMBEDDED), PYTHONDONTWRITEBYTECODE="1")

    def start(*options: str, address: str = "127.0.0.1:0", directory: Path = tmp_path / "data") -> Process:
        command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(directory)]
        log = tmp_path / f"log-{len(started)}"
        with log.open("w") as errors:
            popen = subprocess.Popen(
                [*command, "--address", address, "--private-pfs", *options],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert popen.stdout is not None
        # Ends with the ready line, or with the process when it refuses to start.
        started.append(Process(popen, popen.stdout.readline(), log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        if process.popen.stdout:
            process.popen.stdout.close()
