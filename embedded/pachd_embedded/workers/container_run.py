# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that was created: started, followed, ended, and what its end means."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from pachd_embedded.workers.engine import Engine, EngineError, said
from pachd_embedded.workers.lines import LineSplitter
from pachd_embedded.workers.worker import DatumTask

_POLL_SECONDS = 0.05  # how soon a set `cancelled` is noticed
_STOP_SECONDS = 30.0  # how long the engine may take to end a container
_READ_BYTES = 64 * 1024


class ContainerRun:
    """One run of the container `name`. `seconds` is how long the code took, the engine's start included."""

    def __init__(
        self,
        engine: Engine,
        task: DatumTask,
        name: str,
        log: Callable[[str], None],
        cancelled: threading.Event,
    ) -> None:
        self._engine = engine
        self._task = task
        self._name = name
        self._log = log
        self._cancelled = cancelled
        self._last_line = ""
        self.seconds = 0.0

    def to_its_end(self) -> str:
        """Starts it and returns when it has ended: "" when all went well, else the error of the datum.

        Raises EngineError when the engine neither starts nor ends it.
        """
        started = time.monotonic()
        script = "".join(f"{line}\n" for line in self._task.stdin).encode("utf-8", "surrogateescape")
        with _memory_file(script) as stdin, self._start(stdin) as client:
            try:
                stopped = self._follow(client, started)
                code = client.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                raise EngineError("it does not end the container") from None
            finally:
                client.kill()
        self.seconds = time.monotonic() - started
        if stopped:
            return f"signal: killed because {stopped}"
        return "" if code == 0 else self._error()

    def _start(self, stdin: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._engine.command("start", "--attach", "--interactive", self._name),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._task.scratch,
            start_new_session=True,
        )

    def _follow(self, client: subprocess.Popen[bytes], started: float) -> str:
        """Logs what is written until the end of it. The answer is why the container was killed, or ""."""
        assert client.stdout is not None
        lines = LineSplitter(self._note)
        poll = select.poll()
        poll.register(client.stdout, select.POLLIN)
        stopped, end_by = "", float("inf")
        while time.monotonic() < end_by:
            if poll.poll(_POLL_SECONDS * 1000):
                data = os.read(client.stdout.fileno(), _READ_BYTES)
                if not data:
                    break
                lines.feed(data)
            late = self._task.timeout is not None and time.monotonic() - started >= self._task.timeout
            if not stopped and (late or self._cancelled.is_set()):
                stopped = "context canceled" if self._cancelled.is_set() else "context deadline exceeded"
                end_by = time.monotonic() + _STOP_SECONDS
                self._kill()
        lines.close()
        return stopped

    def _note(self, line: str) -> None:
        self._last_line = line
        self._log(line)

    def _kill(self) -> None:
        """Ends it at once. It may have ended meanwhile, or not have begun: then its start fails."""
        try:
            self._engine.call("kill", "--signal=KILL", self._name)
        except EngineError:
            self._engine.call("rm", "--force", "--volumes", self._name)

    def _error(self) -> str:
        state = self._state()
        if state["Status"] == "created":
            return _not_started(self._task, said(state.get("Error") or self._last_line))
        code = int(state["ExitCode"])
        # podman's monitor leaves the mark where it was started, where podman itself may not look for it.
        if state.get("OOMKilled") or (self._task.scratch / "oom").exists():
            self._log("the kernel killed the code: it needs more memory than resource_limits.memory")
            return "signal: killed"
        return "" if code == 0 or code in self._task.accept_return_code else f"exit status {code}"

    def _state(self) -> dict[str, Any]:
        told = self._engine.call("container", "inspect", "--format", "{{json .State}}", self._name)
        state: dict[str, Any] = json.loads(told)
        return state


def _not_started(task: DatumTask, why: str) -> str:
    """In the words of Go's os/exec where `why`, the engine's own, is about the program or its directory."""
    program = task.cmd[0]
    if "workdir" in why:
        return f"chdir {task.working_dir}: no such file or directory"
    if "executable" not in why and "exec: " not in why:
        return f"container engine: {why}"
    if "permi" in why:
        return f"fork/exec {program}: permission denied"
    if "/" in program:
        return f"fork/exec {program}: no such file or directory"
    return f'exec: "{program}": executable file not found in $PATH'


def _memory_file(content: bytes) -> IO[bytes]:
    file = os.fdopen(os.memfd_create("stdin"), "w+b")
    file.write(content)
    file.seek(0)
    return file
