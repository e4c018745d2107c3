# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that datums are forked from: what it holds, what it gives, and its own end."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import launch, nursery, sandbox
from pachd_embedded.workers.process import ProcessWorker
from tests.contract.lab import PATIENCE, poll

EMBEDDED = Path(nursery.__file__).parents[2]


def nurseries() -> set[int]:
    """The nurseries of this process."""
    found = set()
    for child in Path("/proc/self/task", str(os.getpid()), "children").read_text().split():
        if b"nursery" in Path("/proc", child, "cmdline").read_bytes():
            found.add(int(child))
    return found


def state(pid: int) -> str:
    """As of /proc: "S" sleeps, "T" is stopped, "Z" has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def unread(connection: socket.socket) -> int:
    """Bytes that the other end has not taken yet."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


@pytest.fixture(params=["isolated", "private paths"])
def either(request: pytest.FixtureRequest, datums: Any) -> Iterator[Any]:
    """Datums with and without isolation."""
    datums.worker = ProcessWorker({}, private_paths=request.param == "private paths")
    yield datums
    datums.worker.stop()


@pytest.fixture
def pid(either: Any) -> int:
    """Of the nursery that those datums are forked from."""
    others = nurseries()
    assert either.run("true").error == ""
    (found,) = nurseries() - others
    return found


def test_it_is_made_once(either: Any, pid: int) -> None:
    before = nurseries()
    assert either.run("true").error == ""
    assert nurseries() == before


def test_it_ends_with_its_worker(either: Any, pid: int) -> None:
    either.worker.stop()
    assert pid not in nurseries()


def test_a_check_leaves_none() -> None:
    """Else a server would not be alone in its control group when it looks for groups of datums."""
    before = nurseries()
    ProcessWorker({}).check()
    assert nurseries() == before


def test_it_has_nothing_of_the_server(pid: int) -> None:
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    files = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert files.pop(2) == os.readlink("/proc/self/fd/2")
    assert (files.pop(0), files.pop(1)) == ("/dev/null", "/dev/null")
    assert [name.partition(":")[0] for name in files.values()] == ["socket"]


def test_it_keeps_nothing_of_datums(either: Any, pid: int) -> None:
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for cmd in ("true", "false", "/nonexistent"):
        either.run(cmd)
    assert len(os.listdir(f"/proc/{pid}/fd")) == before
    poll(lambda: Path(f"/proc/{pid}/task/{pid}/children").read_text() == "")


def test_code_has_its_own_three_files_alone(either: Any, pid: int) -> None:
    assert either.run("sh", "-c", "ls /proc/$$/fd").lines == ["0", "1", "2"]


def test_a_datum_ends_while_a_later_one_runs(either: Any, pid: int) -> None:
    """Files of the one that the other held would keep the server waiting."""
    first, later = threading.Event(), threading.Event()
    threads = []
    for cancelled in (first, later):
        begun = threading.Event()
        arguments = {"cancelled": cancelled, "log": lambda _line, begun=begun: begun.set()}
        threads.append(threading.Thread(target=either.script, args=("echo", "sleep 600"), kwargs=arguments))
        threads[-1].start()
        assert begun.wait(PATIENCE)
    first.set()
    threads[0].join(PATIENCE)
    assert [thread.is_alive() for thread in threads] == [False, True]
    later.set()
    threads[1].join(PATIENCE)


def test_another_is_made_when_it_was_killed(either: Any, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    poll(lambda: state(pid) == "Z")
    assert either.run("true").error == ""
    assert pid not in nurseries()


def test_a_datum_that_runs_when_it_is_killed_goes_on(either: Any, pid: int) -> None:
    def kill(_line: str) -> None:
        os.kill(pid, signal.SIGKILL)
        poll(lambda: state(pid) == "Z")

    assert either.script("echo", "exit 3", log=kill).error == "exit status 3"


def test_a_datum_that_it_did_not_begin_is_run_once_by_the_next(either: Any, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: state(pid) == "T")
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(either.script("echo ran")))
    thread.start()
    poll(lambda: unread(either.worker._nursery._connection))
    os.kill(pid, signal.SIGKILL)
    thread.join(PATIENCE)
    assert [(datum.error, datum.lines) for datum in done] == [("", ["ran"])]


def test_it_ends_with_a_server_that_is_killed(tmp_path: Path, either: Any) -> None:
    (tmp_path / "scratch/pfs/out").mkdir(parents=True)
    program = f"""
import threading
from pathlib import Path
from pachd_embedded.workers.process import DatumTask, ProcessWorker
worker = ProcessWorker({{}}, private_paths={either.worker._private_paths})
task = DatumTask(Path({str(tmp_path / "scratch")!r}), ("true",), (), {{}}, "", "", "", (), None, ())
worker.run(task, print, threading.Event())
children = Path("/proc/self/task", str(__import__("os").getpid()), "children").read_text()
print(children, flush=True)
threading.Event().wait()
"""
    environment = os.environ | {"PYTHONPATH": str(EMBEDDED)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            (pid,) = map(int, server.stdout.readline().split())
        finally:
            server.kill()
    poll(lambda: not Path(f"/proc/{pid}").exists() or state(pid) == "Z")


def test_a_kernel_that_has_no_process_more_to_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(signal, "signal", lambda *_args: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    said, status = os.pipe()
    with ours:
        socket.send_fds(ours, [b"+"], [status] * len(nursery.FILES))
    nursery.main(theirs.detach())
    os.close(status)
    with os.fdopen(said) as file:
        assert file.read() == "setup [Errno 11] Resource temporarily unavailable\n"


def test_the_server_tells_what_a_nursery_without_another_process_said() -> None:
    class Full(launch.Nursery):
        def ask(self, fds: Sequence[int]) -> None:
            sandbox.say(fds[nursery.FILES.index("status")], "setup [Errno 11] no process more")

    outcome = launch.run(Full(), {"entrances": []}, b"", lambda _data: None, threading.Event(), None)
    assert outcome.refused == "[Errno 11] no process more"
