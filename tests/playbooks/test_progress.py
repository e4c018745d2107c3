# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback progress in real runs of Ansible, at a terminal and elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_runs import ROOT, home_environment

SECONDS = 240
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Waits for the test, which writes into the pipe when it has seen enough.
GATE: dict[str, Any] = {
    "name": "Wait for the gate",
    "ansible.builtin.command": "head -c 1 gate",
    "changed_when": False,
}


class Run:
    """A playbook that runs, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self._process = process
        self._output = output
        self._read_so_far = b""

    @property
    def text(self) -> str:
        return COLOURS.sub("", self._read_so_far.decode(errors="replace"))

    def until(self, pattern: str) -> None:
        """Reads on until the output has it."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, self.text
            assert self._read(end - time.monotonic()), self.text

    def finish(self) -> int:
        """Reads to the end; the exit status."""
        while self._read(SECONDS):
            pass
        return self._process.wait(SECONDS)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._output], [], [], max(seconds, 0.0))
        try:
            data = os.read(self._output, 65536) if ready else b""
        except OSError:  # the other end of a terminal is closed
            data = b""
        self._read_so_far += data
        return bool(data)


def settings(home: Path, **environment: str) -> dict[str, str]:
    ours = {
        "ANSIBLE_CALLBACKS_ENABLED": "gpulab.pachyderm.progress",
        "ANSIBLE_LOCAL_TEMP": str(home / "local"),
        "GPULAB_PROGRESS_INTERVAL": "0.05",
    }
    return home_environment(home, **ours | environment)


def command(home: Path, tasks: list[dict[str, Any]], hosts: Sequence[str]) -> list[str]:
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"},
        "tasks": tasks,
    }
    file = home / "play.yml"
    file.write_text(json.dumps([play]))
    return [sys.executable, "-m", "ansible", "playbook", "-i", ",".join([*hosts, ""]), "-f", "9", str(file)]


@contextmanager
def running(
    home: Path, tasks: list[dict[str, Any]], *hosts: str, terminal: bool = True, **environment: str
) -> Iterator[Run]:
    output, other = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        command(home, tasks, hosts or ("localhost",)),
        env=settings(home, **environment),
        cwd=home,
        stdout=other,
        stderr=other,
    )
    os.close(other)
    try:
        yield Run(process, output)
    finally:
        process.kill()
        process.wait()
        os.close(output)


@pytest.fixture(autouse=True)
def gate(tmp_path: Path) -> Iterator[int]:
    """The pipe: each byte that is written lets one of its readers go on."""
    os.mkfifo(tmp_path / "gate")
    pipe = os.open(tmp_path / "gate", os.O_RDWR)
    yield pipe
    os.close(pipe)


def printed(text: str) -> list[str]:
    return [line for line in text.splitlines() if "waiting" in line]


def left(home: Path) -> list[Path]:
    """The callback's files. Ansible has its own beside them while it runs."""
    return list((home / "local").rglob("*progress*"))


def test_a_terminal_sees_what_is_waited_for(tmp_path: Path, gate: int) -> None:
    with running(tmp_path, [GATE]) as run:
        run.until(r"waiting \d+ s: Wait for the gate: on localhost")
        os.write(gate, b".")
        assert run.finish() == 0
    assert all(
        re.match(r"waiting \d+ s: Wait for the gate: on localhost$", line) for line in printed(run.text)
    )
    assert "WARNING" not in run.text
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("environment", "terminal"),
    [({}, False), ({"CI": "true"}, True), ({"GPULAB_PROGRESS_SHOW": "never"}, True)],
)
def test_nobody_else_sees_anything(tmp_path: Path, environment: dict[str, str], terminal: bool) -> None:
    """Not even the modules are told to say something."""
    show = {"ansible.builtin.debug": {"msg": "<{{ lookup('env', 'GPULAB_PROGRESS') }}>"}}
    with running(tmp_path, [show], terminal=terminal, **environment) as run:
        assert run.finish() == 0
    assert '"msg": "<>"' in run.text
    assert printed(run.text) == []


def test_a_switch_shows_it_where_no_terminal_is(tmp_path: Path, gate: int) -> None:
    """At once, although Ansible itself lets some output come together before it is sent."""
    environment = {"GPULAB_PROGRESS_SHOW": "always", "GPULAB_PROGRESS_INTERVAL": "1", "CI": "true"}
    with running(tmp_path, [GATE], terminal=False, **environment) as run:
        run.until(r"waiting \d+ s: Wait for the gate: on localhost\n")
        os.write(gate, b".")
        assert run.finish() == 0


def test_many_workers_write_at_once(tmp_path: Path, gate: int) -> None:
    """Lines of all of them arrive whole, and each line of the terminal is Ansible's or the callback's."""
    hosts = [f"node{number}" for number in range(8)]
    module = "ansible_collections.gpulab.pachyderm.plugins.module_utils._progress"
    code = (
        f"import {module} as p; p.EVERY_SECONDS = 0.0; progress = p.Progress('upload', 400, 'files')\n"
        "for _ in range(400): progress.add(1)\n"
        "open('gate', 'rb', 0).read(1)"
    )
    write = {
        "name": "Write",
        "ansible.builtin.command": {"argv": [sys.executable, "-c", code]},
        "environment": {"PYTHONPATH": str(ROOT / "collections")},
        "changed_when": False,
    }
    talk = {
        "name": "Talk",
        "ansible.builtin.debug": {"msg": "a word"},
        "loop": [f"item{number}" for number in range(40)],
    }
    with running(tmp_path, [write, talk], *hosts, GPULAB_PROGRESS_INTERVAL="0.001") as run:
        run.until(r"upload: 400 of 400 files; upload: 400 of 400 files; upload: 400 of 400 files")
        os.write(gate, b"." * len(hosts))
        assert run.finish() == 0
    lines = printed(run.text)
    assert any(": Talk: " in line for line in lines)
    assert all(re.match(r"waiting \d+ s: (Write|Talk): \S.*$", line) for line in lines)
    assert run.text.count('"msg": "a word"') == 40 * len(hosts)
    assert left(tmp_path) == []
    assert run.text.count("\n" + '    "msg": "a word"') == 40 * len(hosts)


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ("-1", "progress: interval must be more than 0 seconds, not -1"),
        ("soon", "Failed to load callback plugin"),
    ],
)
def test_a_bad_setting_fails_no_run(tmp_path: Path, interval: str, word: str) -> None:
    hello = {"ansible.builtin.debug": {"msg": "hello"}}
    with running(tmp_path, [hello], GPULAB_PROGRESS_INTERVAL=interval) as run:
        assert run.finish() == 0
    assert word in re.sub(r"\s+", " ", run.text)
    assert "interval" in run.text


def test_a_callback_that_fails_fails_no_run(tmp_path: Path, gate: int) -> None:
    spoil = {"name": "Spoil it", "ansible.builtin.command": "mkdir {{ lookup('env', 'GPULAB_PROGRESS') }}"}
    with running(tmp_path, [spoil, GATE]) as run:
        run.until(r"progress: no more is said of it: .*directory")
        os.write(gate, b".")
        assert run.finish() == 0
    assert "Traceback" not in run.text


def test_who_is_asked_for_an_answer_is_left_alone(tmp_path: Path, gate: int) -> None:
    """A pause waits for who reads this; the task after it shows that there was time to say something."""
    ask = {"name": "Ask", "ansible.builtin.pause": {"seconds": 1}}
    with running(tmp_path, [ask, GATE]) as run:
        run.until(r"waiting \d+ s: Wait for the gate")
        os.write(gate, b".")
        assert run.finish() == 0
    assert ": Ask: " not in run.text
