# SPDX-License-Identifier: GPL-3.0-or-later
"""A port forward's process and its file, without a cluster: nobody connects to anything behind it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._endpoint_forward import Forward, Target
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError

TARGET = Target("pachyderm", {"app": "pachd"}, 1650)
NOBODY: dict[str, Any] = {"host": "http://127.0.0.1:1"}


@pytest.fixture
def forward(tmp_path: Path) -> Iterator[Forward]:
    forward = Forward(tmp_path / "forward.json")
    yield forward
    forward.stop()


def test_one_that_was_never_started_has_no_file(forward: Forward) -> None:
    assert forward.port() is None
    assert forward.stop() is False
    assert not forward.path.exists()


def test_it_listens_until_it_is_stopped(forward: Forward) -> None:
    port = forward.start(NOBODY, TARGET, 0, 60)
    assert Forward(forward.path).port() == port
    assert forward.start(NOBODY, TARGET, 0, 60) == port
    assert forward.stop() is True
    assert forward.stop() is False
    assert not forward.path.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_leaves_no_file(forward: Forward) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PachydermError, match=f"port: {port} of 127.0.0.1: .*; 0 takes a free one"):
            forward.start(NOBODY, TARGET, port, 60)
    assert not forward.path.exists()


def test_one_whose_life_is_over_leaves_no_file(forward: Forward) -> None:
    forward.start(NOBODY, TARGET, 0, 0)
    end = time.monotonic() + 10
    while forward.path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert forward.port() is None


def test_the_file_of_one_that_was_killed_is_taken_away(forward: Forward) -> None:
    forward.start(NOBODY, TARGET, 0, 60)
    pid = int(forward.path.read_text().split('"pid": ')[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert forward.path.exists()
    assert forward.port() is None
    assert not forward.path.exists()


def test_an_old_file_does_not_end_the_next_one(forward: Forward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its life is counted from the file's time, and the child may look at it before its parent goes on."""
    fork = os.fork

    def child_first() -> int:
        pid = fork()
        end = time.monotonic() + 0.3
        while pid and time.monotonic() < end and os.waitpid(pid, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
        return pid

    monkeypatch.setattr(os, "fork", child_first)
    forward.path.touch()
    os.utime(forward.path, (0, 0))
    port = forward.start(NOBODY, TARGET, 0, 60)
    assert forward.port() == port
