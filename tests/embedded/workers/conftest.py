# SPDX-License-Identifier: GPL-3.0-or-later
"""Datums of the process worker, run here or in a Python of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers.process import DatumTask, ProcessWorker
from tests.embedded.workers.pretended import DOCKER, PODMAN, Pretended
from tests.embedded.workers.programs import write_program

EMBEDDED = Path(__file__).resolve().parents[3] / "embedded"

# Runs `sh` with the given script in one datum; prints what check() said, the error, the log and the
# mounts that there were before and that there are after.
_ELSEWHERE = """
import json, sys, threading
from pathlib import Path
from pachd_embedded.workers.process import DatumTask, ProcessWorker
scratch, script = Path(sys.argv[1]), sys.argv[2]
(scratch / "pfs" / "out").mkdir(parents=True)
worker = ProcessWorker({}, private=(scratch.parent,))
lines = []
mounts = [Path("/proc/self/mountinfo").read_text()]
check = worker.check()
task = DatumTask(scratch, ("sh",), (script,), {}, "", "", "", (), None, ())
result = worker.run(task, lines.append, threading.Event())
mounts.append(Path("/proc/self/mountinfo").read_text())
print(json.dumps({"mounts": mounts, "check": check, "error": result.error, "lines": lines}))
"""


@dataclass
class Datum:
    """A datum before its run and what came of it."""

    scratch: Path
    error: str = ""
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)

    def output(self, name: str) -> str:
        return (self.scratch / "pfs" / "out" / name).read_text(encoding="utf-8")


class Datums:
    """Makes and runs datums, each in a scratch directory of its own."""

    def __init__(self, top: Path) -> None:
        self.worker = ProcessWorker({})
        self._top = top
        self._numbers = itertools.count()

    def run(
        self,
        *cmd: str,
        inputs: Mapping[str, str] | None = None,
        log: Callable[[str], None] | None = None,
        cancelled: threading.Event | None = None,
        **fields: Any,
    ) -> Datum:
        datum = Datum(self._top / f"datum-{next(self._numbers)}")
        (datum.scratch / "pfs" / "out").mkdir(parents=True)
        for name, content in (inputs or {}).items():
            path = datum.scratch / "pfs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        defaults: dict[str, Any] = {
            "stdin": (),
            "env": {},
            "image": "",
            "working_dir": "",
            "user": "",
            "accept_return_code": (),
            "timeout": None,
            "gpus": (),
        }
        task = DatumTask(scratch=datum.scratch, cmd=cmd, **(defaults | fields))
        result = self.worker.run(task, log or datum.lines.append, cancelled or threading.Event())
        datum.error, datum.seconds = result.error, result.seconds
        return datum

    def script(self, *lines: str, **fields: Any) -> Datum:
        return self.run("sh", stdin=lines, **fields)


@pytest.fixture
def datums(tmp_path: Path) -> Datums:
    return Datums(tmp_path)


@pytest.fixture
def image(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Makes a directory of executable files, `-> TARGET` for symbolic links, to stand for an image."""

    def make(files: Mapping[str, str]) -> Path:
        for name, content in files.items():
            path = tmp_path / "image" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("-> "):
                path.symlink_to(content[3:])
            else:
                write_program(path, content)
        return tmp_path / "image"

    return make


def run_elsewhere(
    prefix: Sequence[str], scratch: Path, script: str, python: str = sys.executable
) -> dict[str, Any]:
    """Runs one datum in a Python of its own, started by way of the command `prefix`."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(EMBEDDED), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*prefix, python, "-c", _ELSEWHERE, str(scratch), script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    before, after = answer.pop("mounts")
    assert before == after
    return answer


@pytest.fixture
def elsewhere() -> Callable[..., dict[str, Any]]:
    return run_elsewhere


def processes_of(word: str) -> list[int]:
    """The processes of this machine that have `word` among the words of their command."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if word.encode() in words:
                found.append(int(directory.name))
    return found


@pytest.fixture
def running() -> Callable[[str], list[int]]:
    return processes_of


@pytest.fixture(params=["docker", "podman"])
def pretended(request: pytest.FixtureRequest, tmp_path: Path) -> Pretended:
    return Pretended(tmp_path, request.param, *(DOCKER if request.param == "docker" else PODMAN))


@pytest.fixture
def docker(tmp_path: Path) -> Pretended:
    return Pretended(tmp_path, "docker", *DOCKER)
