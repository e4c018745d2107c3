# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the embedded pachd, as the role keeps it: whose the directory is, who starts, what heals."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_runs import ROOT, checkout_playbook
from tests.embedded.workers.pretended import DOCKER, Pretended

PROCESS = ROOT / "roles/pachyderm_embedded/files/pachd_process.py"
EMBEDDED = ROOT / "embedded"
SETTINGS = {"arguments": ["--address=127.0.0.1:0", "--gpus=0"]}


class Process:
    """pachd_process.py for one directory, as the role calls it."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def run(self, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROCESS), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)

    def result(self, verb: str, *arguments: object) -> dict[str, Any]:
        """What a call that must succeed printed."""
        done = self.run(verb, self.state, *arguments)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refusal(self, verb: str, *arguments: object) -> str:
        """The one line of a call that must fail."""
        done = self.run(verb, self.state, *arguments)
        assert done.returncode == 1, done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr.strip()

    def start(self, settings: dict[str, Any] = SETTINGS) -> dict[str, Any]:
        return self.result("start", EMBEDDED, 60, json.dumps(settings))

    def status(self, wanted: str = "started") -> dict[str, Any]:
        return self.result("status", EMBEDDED, wanted)


def is_alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty once it has ended
    except OSError:
        return False


def play(state: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """playbooks/pachyderm.yml on the embedded inventory, without a lab of the checkout's own."""
    given = {
        "pachyderm_embedded_data_dir": str(state),
        "pachyderm_embedded_address": "127.0.0.1:0",
        **variables,
    }
    return checkout_playbook("playbooks/pachyderm.yml", "--extra-vars", json.dumps(given), *arguments)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "a lab")
    yield process
    process.result("stop", 30)


def test_a_directory_with_files_of_others_is_neither_used_nor_deleted(process: Process) -> None:
    process.state.mkdir()
    (process.state / "thesis.tex").write_text("years\n")
    line = f"{process.state} was not made by pachyderm_embedded (it holds thesis.tex)"
    assert line in process.refusal("status", EMBEDDED, "started")
    assert line in process.refusal("start", EMBEDDED, 60, json.dumps(SETTINGS))
    assert line in process.refusal("delete", 60)
    assert [path.name for path in process.state.iterdir()] == ["thesis.tex"]


def test_an_empty_directory_is_used_and_deleted_with_all_of_its_own(process: Process) -> None:
    process.state.mkdir()
    pid = process.start()["pid"]
    assert process.result("delete", 60) == {"changed": True}
    assert not is_alive(pid)
    assert not process.state.exists()
    assert process.result("delete", 60) == {"changed": False}


def test_deletion_stops_at_a_file_that_came_later(process: Process) -> None:
    pid = process.start()["pid"]
    (process.state / ".notes").write_text("mine\n")
    for arguments in (("status", EMBEDDED, "absent"), ("delete", 60)):
        assert f"{process.state} holds .notes, which pachyderm_embedded did not make" in process.refusal(
            *arguments
        )
    assert is_alive(pid)
    assert process.start()["changed"] is False


def test_nothing_is_deleted_under_a_server_that_cannot_be_seen(process: Process) -> None:
    process.start()
    process.result("stop", 60)
    with (process.state / "pachd/lock").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # as a server of another container does
        assert f"{process.state}/pachd is in use" in process.refusal("delete", 60)
    assert (process.state / "pachd/pachd.sqlite").exists()


def test_of_starts_at_the_same_time_one_starts_and_the_others_adopt(process: Process) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: process.start(), range(4)))
    assert len({answer["pid"] for answer in answers}) == 1
    assert sorted(answer["changed"] for answer in answers) == [False, False, False, True]
    assert (process.state / "pachd.pid").read_text() == f"{answers[0]['pid']}\n"
    assert process.status()["pid"] == answers[0]["pid"]


def test_a_failed_start_leaves_no_pid(process: Process) -> None:
    line = process.refusal("start", EMBEDDED, 60, json.dumps({"arguments": ["--gpus=many"]}))
    assert "the embedded pachd ended at once" in line
    assert not (process.state / "pachd.pid").exists()


@pytest.mark.parametrize("text", ["", "rubbish\n", "1\n", "\xff"])
def test_a_wrong_pid_hides_no_server(process: Process, text: str) -> None:
    pid = process.start()["pid"]
    (process.state / "pachd.pid").write_text(text, encoding="latin-1")
    assert process.status()["pid"] == pid
    assert process.result("stop", 60) == {"changed": True, "pid": pid}
    assert not is_alive(pid)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_unreadable_settings_are_healed_by_a_restart(process: Process, text: str) -> None:
    pid = process.start()["pid"]
    (process.state / "settings.json").write_text(text, encoding="latin-1")
    assert process.status()["settings"] == {}
    again = process.start()
    assert again["changed"] is True
    assert again["pid"] != pid
    assert not is_alive(pid)
    assert process.status()["settings"] == SETTINGS


def test_a_server_that_is_not_ready_yet_is_waited_for(process: Process) -> None:
    pid = process.start()["pid"]
    ready = process.state / "pachd.ready"
    line = ready.read_text()
    ready.write_text("")
    assert process.status()["serves"] is False
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.start)
        ready.write_text(line)
        answer = waiting.result()
    assert (answer["changed"], answer["pid"]) == (False, pid)


@pytest.mark.parametrize("name", ["lab/pachd", "./pachd", "~nobody-here/pachd"])
def test_a_data_directory_must_not_depend_on_where_ansible_runs(tmp_path: Path, name: str) -> None:
    done = Process(tmp_path).run("start", name, EMBEDDED, 60, json.dumps(SETTINGS), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pachyderm_embedded_data_dir: {name} ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_role_says_what_it_refuses_and_what_it_would_delete(process: Process) -> None:
    run = play(Path("lab/pachd"))
    assert run.returncode != 0
    assert "pachyderm_embedded_data_dir: lab/pachd is not absolute" in run.stdout

    process.start()
    run = play(process.state, "--check", pachyderm_embedded_state="absent")
    assert "would be stopped" in run.stdout
    assert f"{process.state} would be deleted" in " ".join(run.stdout.split())
    assert "changed=2" in run.stdout
    assert process.status()["serves"] is True

    (process.state / "notes").write_text("mine\n")
    run = play(process.state, pachyderm_embedded_state="absent")
    assert run.returncode != 0
    assert "holds notes, which pachyderm_embedded did not make" in " ".join(run.stdout.split())
    assert process.status()["serves"] is True


@pytest.mark.slow
def test_what_it_needs_is_installed_where_asked(tmp_path: Path) -> None:
    venv, state = tmp_path / "some venv", tmp_path / "lab"
    variables = {"pachyderm_embedded_venv": str(venv), "pachyderm_embedded_python": sys.executable}
    check = play(state, "--check", **variables)
    assert (check.returncode, venv.exists(), "changed=1" in check.stdout) == (0, False, True), check.stdout

    first = play(state, **variables)
    try:
        assert first.returncode == 0, first.stdout
        process = Process(state)
        command = Path(f"/proc/{process.status()['pid']}/cmdline").read_bytes()
        assert command.startswith(bytes(venv / "bin/python"))
        assert "changed=0" in play(state, **variables).stdout
    finally:
        Process(state).run("delete", state, 60)


def test_user_code_runs_in_containers_where_asked(process: Process, tmp_path: Path) -> None:
    engine = str(Pretended(tmp_path, "docker", *DOCKER).program)
    variables = {"pachyderm_embedded_worker": "container", "pachyderm_embedded_container_engine": engine}
    variables |= {"pachyderm_embedded_container_network": "none"}
    first = play(process.state, **variables)
    assert first.returncode == 0, first.stdout
    words = Path(f"/proc/{process.status()['pid']}/cmdline").read_text().split("\0")
    asked = {"--worker=container", f"--container-engine={engine}", "--container-network=none"}
    assert asked <= set(words)
    assert "changed=0" in play(process.state, **variables).stdout
    assert "changed=1" in play(process.state).stdout
    words = Path(f"/proc/{process.status()['pid']}/cmdline").read_text().split("\0")
    assert not [word for word in words if word.startswith(("--worker", "--container"))]


def test_an_engine_that_does_not_work_is_told(process: Process) -> None:
    variables = {"pachyderm_embedded_worker": "container", "pachyderm_embedded_container_engine": "no-engine"}
    run = play(process.state, **variables)
    assert run.returncode != 0
    assert "no container engine that works here: no-engine: no such program" in " ".join(run.stdout.split())
