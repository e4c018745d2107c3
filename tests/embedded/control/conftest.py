# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with the control API, and a client of that."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client

from pachd_embedded.server import Server, Settings
from tests.contract.lab import Data

# Of an answer, in seconds, on a busy machine.
PATIENCE = 60
JSON = {"Content-Type": "application/json"}


class Control:
    """Asks the control API as `ansible.builtin.uri` does. `lab(name)` is a repo there, by the SDK."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = Client.from_pachd_address(f"grpc://{server.address}")

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """The answer's status and its JSON."""
        connection = http.client.HTTPConnection(self.server.control, timeout=PATIENCE)
        try:
            connection.request(method, path, body, JSON if headers is None else headers)
            answer = connection.getresponse()
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def post(self, path: str, **fields: Any) -> Any:
        status, answer = self.ask("POST", path, json.dumps(fields).encode())
        assert status == 200, answer
        return answer

    def refused(self, path: str, **fields: Any) -> tuple[int, str]:
        """Status and text of a POST that is refused, which is one line."""
        status, answer = self.ask("POST", path, json.dumps(fields).encode())
        assert status != 200
        assert "\n" not in answer["error"]
        return status, answer["error"]

    def repo(self, name: str, **files: bytes) -> Data:
        """A repo that is made there, with files at its top."""
        data = Data(self.client, name)
        data.api.create_repo(repo=data.repo)
        if files:
            data.put({f"/{path}": content for path, content in files.items()})
        return data


def settings(directory: Path, **options: Any) -> Settings:
    return Settings(directory, "127.0.0.1:0", gpus=2, private_pfs=True, control="127.0.0.1:0", **options)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """For requests that are refused, which change nothing."""
    server = Server(settings(tmp_path_factory.mktemp("pachd")))
    yield Control(server)
    server.stop(0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Control]]:
    """Starts servers, each on data of its own."""
    started: list[Server] = []

    def make() -> Control:
        started.append(Server(settings(tmp_path / f"pachd-{len(started)}")))
        return Control(started[-1])

    yield make
    for server in started:
        server.stop(0)


@pytest.fixture
def control(start: Callable[[], Control]) -> Control:
    return start()
