# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a sandbox (sandbox.py), follows what it says and writes, and sees to its end."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_POLL_SECONDS = 0.05  # how soon a set `cancelled` is noticed
_STOP_SECONDS = 10.0  # how long the kernel may take to end the processes of a datum
_READ_BYTES = 64 * 1024
_PACKAGES = str(Path(__file__).resolve().parents[2])
# By way of an import, because Python keeps compiled modules, but compiles a script at each start.
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pachd_embedded.workers.sandbox import main; main(*map(int, sys.argv[2:]))"
)


class LaunchError(Exception):
    """This machine cannot start one more process; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """The end of a sandbox. At most one of `refused`, `not_started`, `exit_code`, `signal` is set."""

    refused: str = ""  # what the kernel refused when the sandbox was made
    not_started: str = ""  # why the user code could not be started
    exit_code: int | None = None
    signal: int | None = None
    stopped: str = ""  # why the server ended it: "context canceled" or "context deadline exceeded"
    seconds: float = 0.0  # of user code


def run(
    description: Mapping[str, Any],
    stdin: bytes,
    output: Callable[[bytes], None],
    cancelled: threading.Event,
    timeout: float | None,
) -> Outcome:
    """Runs a sandbox to its end; none of its processes is left then, also when `output` raises.

    `output` gets what the user code writes; `timeout` is in seconds from the start of the user code.
    Raises LaunchError.
    """
    with _sandbox(description, stdin) as (process, status, life):
        assert process.stdout is not None  # a pipe was asked for
        follower = _Follower(process.stdout.fileno(), status.fileno(), output)
        stopped = ""
        kill_at = float("inf")
        while not follower.ended and time.monotonic() < kill_at:
            follower.step(_POLL_SECONDS)
            if not stopped:
                late = timeout is not None and follower.seconds() >= timeout
                stopped = (
                    "context canceled" if cancelled.is_set() else "context deadline exceeded" if late else ""
                )
                if stopped:
                    life.close()
                    kill_at = time.monotonic() + _STOP_SECONDS
        follower.drain()
        return follower.outcome(stopped)


@contextlib.contextmanager
def _sandbox(
    description: Mapping[str, Any], stdin: bytes
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """A started sandbox: its process, the reading end of `status`, and `life`, which ends it when closed."""
    with contextlib.ExitStack() as stack:
        described = stack.enter_context(_memory_file("description", marshal.dumps(dict(description))))
        script = stack.enter_context(_memory_file("stdin", stdin))
        life_end, life = (stack.enter_context(end) for end in _pipe())
        status, status_end = (stack.enter_context(end) for end in _pipe())
        fds = [end.fileno() for end in (described, life_end, status_end)]
        process = _start(script, fds, description["entrances"])
        for end in (described, script, life_end, status_end):
            end.close()
        stack.enter_context(process)  # closes stdout, then waits
        try:
            yield process, status, life
        finally:
            life.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _start(stdin: IO[bytes], fds: list[int], more: list[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, *map(str, fds)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[*fds, *more],
            env={},  # nothing of the server's own, which may hold secrets
            start_new_session=True,
        )
    except OSError as error:
        raise LaunchError(f"cannot start a process for user code: {error}") from error


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0)


def _memory_file(name: str, content: bytes) -> IO[bytes]:
    file = os.fdopen(os.memfd_create(name), "w+b")
    file.write(content)
    file.seek(0)
    return file


class _Follower:
    """Reads both pipes of a sandbox."""

    def __init__(self, output_fd: int, status_fd: int, output: Callable[[bytes], None]) -> None:
        self.ended = False
        self._output_fd = output_fd
        self._status_fd = status_fd
        self._output = output
        self._said = b""
        self._started_at: float | None = None
        self._heard_at = 0.0
        self._poll = select.poll()
        for fd in (output_fd, status_fd):
            self._poll.register(fd, select.POLLIN)

    def step(self, seconds: float) -> None:
        """Handles what there is to read, waiting at most `seconds` for something."""
        for fd, _event in self._poll.poll(seconds * 1000):
            data = os.read(fd, _READ_BYTES)
            if fd == self._status_fd:
                self._note(data)
            elif data:
                self._output(data)
            else:
                self._poll.unregister(fd)  # the user code closed it and goes on

    def drain(self) -> None:
        """Handles what was written last, when every writer has ended."""
        os.set_blocking(self._output_fd, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._output_fd, _READ_BYTES):
                self._output(data)

    def seconds(self) -> float:
        """Seconds since the user code started; 0 before."""
        return 0.0 if self._started_at is None else time.monotonic() - self._started_at

    def outcome(self, stopped: str) -> Outcome:
        said = dict(line.partition(" ")[::2] for line in os.fsdecode(self._said).splitlines())
        if "setup" in said:
            return Outcome(refused=said["setup"])
        if "exec" in said:
            return Outcome(not_started=said["exec"])
        if "exit" in said or "signal" in said:
            # The last word of the sandbox tells the end of the code; its own end comes a little later.
            seconds = self._heard_at - (self._started_at or self._heard_at)
            if "exit" in said:
                return Outcome(exit_code=int(said["exit"]), seconds=seconds)
            return Outcome(signal=int(said["signal"]), stopped=stopped, seconds=seconds)
        return Outcome(stopped=stopped, seconds=self.seconds())

    def _note(self, data: bytes) -> None:
        if not data:
            self.ended = True
            return
        self._said += data
        self._heard_at = time.monotonic()
        if self._started_at is None and self._said.startswith(b"started\n"):
            self._started_at = self._heard_at
