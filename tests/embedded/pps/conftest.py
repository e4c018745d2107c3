# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for tests of pipelines: a server with two simulated GPUs, the official SDK, code that can be held."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pachyderm_sdk import Client

from pachd_embedded.server import Server, Settings
from pachd_embedded.workers.process import ProcessWorker
from tests.contract.fixtures import eventually as eventually
from tests.contract.fixtures import settled as settled
from tests.contract.lab import PATIENCE, Lab

GPUS = 2


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
def lab_at() -> Callable[[str], Lab]:
    """A lab of a server that the test started itself."""
    return connect


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()
