# SPDX-License-Identifier: GPL-3.0-or-later
"""Has sandboxes (sandbox.py) begun, follows what they say and write, and sees to their end."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_POLL_SECONDS = 0.05  # how soon a set `cancelled` is noticed
_STOP_SECONDS = 10.0  # how long the kernel may take to end the processes of a datum
_READ_BYTES = 64 * 1024
_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pachd_embedded.workers.nursery import main; main(int(sys.argv[2]))"
)
_TRIES = 2  # of a datum whose code was not begun, because the nursery was killed


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


class Nursery:
    """The server's end of nursery.py: the process is made when it is first needed, and again if it ended.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def ask(self, fds: Sequence[int]) -> None:
        """For a sandbox with these files (nursery.FILES). Raises LaunchError."""
        with self._lock:
            try:
                try:
                    self._send(fds)
                except ConnectionError:  # somebody killed it
                    self._end()
                    self._send(fds)
            except OSError as error:
                raise LaunchError(f"cannot start a process for user code: {error}") from error

    def close(self) -> None:
        """Sandboxes that run go on."""
        with self._lock:
            self._end()

    def _send(self, fds: Sequence[int]) -> None:
        if self._connection is None:
            self._connection, self._process = _start()
        socket.send_fds(self._connection, [b"+"], fds)

    def _end(self) -> None:
        if self._connection is not None and self._process is not None:
            self._connection.close()
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None

    def __del__(self) -> None:
        self._end()


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={},  # nothing of the server's own, which may hold secrets
            start_new_session=True,
        )
    return connection, process


def run(
    nursery: Nursery,
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
    for _try in range(_TRIES):
        if outcome := _run(nursery, description, stdin, output, cancelled, timeout):
            return outcome
    raise LaunchError("cannot start a process for user code: it ends at once")


def _run(
    nursery: Nursery,
    description: Mapping[str, Any],
    stdin: bytes,
    output: Callable[[bytes], None],
    cancelled: threading.Event,
    timeout: float | None,
) -> Outcome | None:
    """None when the sandbox ended before the code was begun, and nobody says why."""
    with _sandbox(nursery, description, stdin, output) as (follower, life):
        stopped = ""
        kill_at = float("inf")
        while not follower.ended and time.monotonic() < kill_at:
            follower.step(_POLL_SECONDS)
            if not stopped and (stopped := _reason(follower.seconds(), cancelled, timeout)):
                life.close()
                kill_at = time.monotonic() + _STOP_SECONDS
        follower.drain()
        return follower.outcome(stopped)


def _reason(seconds: float, cancelled: threading.Event, timeout: float | None) -> str:
    """Why code that has run for so long has to end; "" while it may go on."""
    if cancelled.is_set():
        return "context canceled"
    return "context deadline exceeded" if timeout is not None and seconds >= timeout else ""


@contextlib.contextmanager
def _sandbox(
    nursery: Nursery, description: Mapping[str, Any], stdin: bytes, output: Callable[[bytes], None]
) -> Iterator[tuple[_Follower, IO[bytes]]]:
    """A sandbox that was asked for, and its `life`: it ends when that is closed."""
    with contextlib.ExitStack() as stack:
        described = stack.enter_context(_memory_file("description", marshal.dumps(dict(description))))
        script = stack.enter_context(_memory_file("stdin", stdin))
        life_end, life = (stack.enter_context(end) for end in _pipe())
        status, status_end = (stack.enter_context(end) for end in _pipe())
        written, written_end = (stack.enter_context(end) for end in _pipe())
        theirs = (described, life_end, status_end, script, written_end)
        nursery.ask([*(end.fileno() for end in theirs), *description["entrances"]])
        for end in theirs:
            end.close()
        follower = _Follower(written.fileno(), status.fileno(), output)
        stack.callback(follower.close)
        stack.callback(life.close)
        yield follower, life


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
        self._keeper: int | None = None
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

    def close(self) -> None:
        """Returns when the sandbox, whose `life` is over, has ended. One that does not is killed."""
        status = select.poll()
        status.register(self._status_fd, select.POLLIN)
        while self._keeper is None and not self.ended and status.poll(_STOP_SECONDS * 1000):
            self._note(os.read(self._status_fd, _READ_BYTES))
        if self._keeper is not None:
            keeper = select.poll()
            keeper.register(self._keeper, select.POLLIN)
            if not keeper.poll(_STOP_SECONDS * 1000):
                signal.pidfd_send_signal(self._keeper, signal.SIGKILL)
            os.close(self._keeper)

    def seconds(self) -> float:
        """Seconds since the user code started; 0 before."""
        return 0.0 if self._started_at is None else time.monotonic() - self._started_at

    def outcome(self, stopped: str) -> Outcome | None:
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
        return Outcome(stopped=stopped, seconds=self.seconds()) if stopped or "started" in said else None

    def _note(self, data: bytes) -> None:
        if not data:
            self.ended = True
            return
        self._said += data
        self._heard_at = time.monotonic()
        if self._keeper is None and self._said.startswith(b"keeper "):
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                self._keeper = os.pidfd_open(int(self._said.split()[1]))
        if self._started_at is None and b"\nstarted\n" in self._said:
            self._started_at = self._heard_at
