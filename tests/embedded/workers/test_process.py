# SPDX-License-Identifier: GPL-3.0-or-later
"""Running user code: its result, its log, and its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import lines
from pachd_embedded.workers.limits import NO_LIMITS
from pachd_embedded.workers.process import ProcessWorker

EMBEDDED = Path(lines.__file__).parents[2]
SOON = 8.0  # seconds: far more than it takes, less than anything takes that is not stopped at once


@pytest.fixture(params=["isolated", "private paths"])
def either(request: pytest.FixtureRequest, datums: Any) -> Any:
    """Datums of a worker with and without isolation: results, logs and ends are the same."""
    datums.worker = ProcessWorker({}, private_paths=request.param == "private paths")
    return datums


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """A number of seconds for `sleep` that tells this test's processes from all others."""
    return f"98765.{abs(hash(tmp_path)) % 10**9}"


def _until(condition: Callable[[], object]) -> None:
    """Waits for something that another process does in its own time."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- results ---


@pytest.mark.parametrize(
    ("cmd", "error"),
    [
        (("true",), ""),
        (("false",), "exit status 1"),
        (("sh", "-c", "exit 3"), "exit status 3"),
        (("sh", "-c", "kill -KILL $$"), "signal: killed"),
        (("sh", "-c", "kill -TERM $$"), "signal: terminated"),
        (("sh", "-c", "kill -SEGV $$"), "signal: segmentation fault"),
        (("sh", "-c", "kill -PIPE $$"), ""),
        (("/nonexistent",), "fork/exec /nonexistent: no such file or directory"),
        (("/etc",), "fork/exec /etc: permission denied"),
        (("nonexistent",), 'exec: "nonexistent": executable file not found in $PATH'),
        (("/etc/passwd",), "fork/exec /etc/passwd: permission denied"),
        ((), "invalid pipeline transform, no command specified"),
    ],
)
def test_error_is_worded_as_by_the_real_worker(either: Any, cmd: tuple[str, ...], error: str) -> None:
    assert either.run(*cmd).error == error


@pytest.mark.parametrize(
    ("content", "reason"),
    [("#!/nowhere\n", "no such file or directory"), ("no program", "exec format error")],
)
def test_file_that_is_no_program(datums: Any, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "image" / "code").mkdir(parents=True)
    (tmp_path / "image" / "code" / "x").write_text(content)
    (tmp_path / "image" / "code" / "x").chmod(0o755)
    datums.worker = ProcessWorker({"lab": tmp_path / "image"})
    assert datums.run("/code/x", image="lab").error == f"fork/exec /code/x: {reason}"


def test_accepted_return_codes(either: Any) -> None:
    assert either.run("sh", "-c", "exit 3", accept_return_code=(2, 3)).error == ""
    assert either.run("sh", "-c", "exit 4", accept_return_code=(2, 3)).error == "exit status 4"


def test_stdin_is_one_script_and_its_last_command_counts(either: Any) -> None:
    datum = either.script("false", "x=1", "echo $x")
    assert (datum.error, datum.lines) == ("", ["1"])
    assert either.script("true", "false").error == "exit status 1"
    assert either.run("wc", "-c", stdin=("a", "b")).lines == ["4"]
    assert either.run("wc", "-c").lines == ["0"]


def test_working_directory(either: Any, datums: Any) -> None:
    assert either.run("pwd", working_dir="/usr/share").lines == ["/usr/share"]
    assert either.run("pwd", working_dir="/nowhere").error == "chdir /nowhere: no such file or directory"
    datums.worker = ProcessWorker({})
    assert datums.run("pwd").lines == ["/"]


def test_another_user_is_ignored_and_said(either: Any) -> None:
    assert either.run("id", "-u", user="nobody").error == ""
    assert either.worker.notes("nobody", NO_LIMITS) == [
        "transform.user nobody is ignored: the process worker has one user, its own root"
    ]
    assert either.worker.notes("root", NO_LIMITS) == []


def test_a_variable_that_no_process_can_have(either: Any) -> None:
    assert either.run("true", env={"a": "x\0y"}).error.endswith("/true: invalid argument")


def test_seconds_are_those_of_the_code(either: Any) -> None:
    datum = either.run("sleep", "0.2")
    assert 0.2 <= datum.seconds < SOON
    assert either.run("/nonexistent").seconds == 0.0


# --- logs ---


def test_lines_of_both_streams_in_order(either: Any) -> None:
    datum = either.script("echo 1; echo 2 >&2; echo 3; printf '4\\r\\n\\n5'")
    assert datum.lines == ["1", "2", "3", "4", "", "5"]


def test_a_pipe_that_nobody_reads_ends_its_writer_silently(either: Any) -> None:
    assert either.script("yes | head -n 1").lines == ["y"]


def test_a_line_is_logged_when_it_is_written(either: Any) -> None:
    cancelled = threading.Event()
    seen: list[str] = []

    def log(line: str) -> None:
        seen.append(line)
        cancelled.set()  # else the code would run on

    datum = either.script("echo one; sleep 1000; echo two", log=log, cancelled=cancelled)
    assert seen == ["one"]
    assert datum.error == "signal: killed because context canceled"


def test_bytes_that_are_no_text(either: Any) -> None:
    assert either.run("printf", "a\\377b\\n\\000c\\n\\303").lines == ["a\ufffdb", "\0c", "\ufffd"]


def test_very_long_lines_are_split_and_nothing_is_lost(either: Any) -> None:
    code = "print('é' * 300_000 + 'end'); print('next')"
    *parts, after = either.run(sys.executable, "-c", code).lines
    assert max(map(len, parts)) == lines.MAX_LINE
    assert ("".join(parts), after) == ("é" * 300_000 + "end", "next")


def test_code_that_closes_its_output_runs_on(either: Any) -> None:
    assert either.script("exec >&- 2>&-", "sleep 0.1", "exit 3").error == "exit status 3"


def test_a_log_that_fails_ends_the_code(
    either: Any, running: Callable[[str], list[int]], marker: str
) -> None:
    def log(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="one"):
        either.script(f"echo one; sleep {marker}", log=log)
    assert running(marker) == []


# --- ends ---


def test_timeout(either: Any, running: Callable[[str], list[int]], marker: str) -> None:
    datum = either.script(f"sleep {marker} & sleep {marker}", timeout=0.3)
    assert datum.error == "signal: killed because context deadline exceeded"
    assert 0.3 <= datum.seconds < SOON
    assert running(marker) == []


def test_code_that_is_in_time_keeps_its_result(either: Any) -> None:
    assert either.run("false", timeout=SOON).error == "exit status 1"


def test_cancelled_while_writing_without_end(either: Any) -> None:
    cancelled = threading.Event()
    datum = either.run("yes", log=lambda _line: cancelled.set(), cancelled=cancelled)
    assert datum.error == "signal: killed because context canceled"
    assert datum.seconds < SOON


@pytest.mark.parametrize(
    "start", ["sleep {} &", "setsid sleep {} &", "(setsid sleep {} > /dev/null 2>&1 &) &"]
)
def test_background_processes_end_with_the_code(
    either: Any, running: Callable[[str], list[int]], marker: str, start: str
) -> None:
    datum = either.script(start.format(marker), "echo done")
    assert (datum.error, datum.lines) == ("", ["done"])
    assert datum.seconds < SOON
    assert running(marker) == []


@pytest.mark.parametrize("private_paths", [False, True])
def test_everything_ends_with_the_server(
    tmp_path: Path, running: Callable[[str], list[int]], marker: str, private_paths: bool
) -> None:
    program = f"""
import threading
from pathlib import Path
from pachd_embedded.workers.process import DatumTask, ProcessWorker
worker = ProcessWorker({{}}, private_paths={private_paths})
script = ("setsid sleep {marker} &", "sleep {marker}", "true")
task = DatumTask(Path({str(tmp_path)!r}), ("sh",), script, {{}}, "", "", "", (), None, ())
worker.run(task, print, threading.Event())
"""
    (tmp_path / "pfs" / "out").mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": str(EMBEDDED)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as server:
        try:
            _until(lambda: len(running(marker)) == 2)
        finally:
            server.kill()
    _until(lambda: running(marker) == [])


def test_many_at_the_same_time(either: Any) -> None:
    def one(number: int) -> Any:
        script = f"test $(ls /pfs/in) = file{number} && cat /pfs/in/* > /pfs/out/x && echo {number}"
        return either.script(script, inputs={f"in/file{number}": str(number)})

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(one, range(40)))
    assert [(datum.error, datum.lines, datum.output("x")) for datum in done] == [
        ("", [str(number)], str(number)) for number in range(40)
    ]


def test_nothing_is_left_in_the_server(either: Any) -> None:
    either.run("true")
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for cmd in (("true",), ("/nonexistent",), ("sh", "-c", "sleep 1000 & exit 3")):
        either.run(*cmd)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    # Nothing that has ended waits to be looked after; the nursery is there still.
    assert os.waitpid(-1, os.WNOHANG) == (0, 0)
