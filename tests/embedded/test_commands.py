# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands beside serve: status, stop, gc, fsck; on a running server and on what one has left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.cli import main
from pachd_embedded.control import client as door_client
from pachd_embedded.server import Server, Settings
from tests.contract.lab import Data

# Seconds in which a server that is told to end has to.
SOON = 30

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in this process: its exit code, what it printed, what it complained of."""

    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The data directory of a server that has ended: a repo with 201,000 bytes in two files."""
    directory = tmp_path / "data"
    server = Server(Settings(directory, "127.0.0.1:0", private_pfs=True))
    data = Data(Client.from_pachd_address(f"grpc://{server.address}"), "data")
    data.api.create_repo(repo=data.repo)
    data.put({"/small": b"." * 1000, "/large": b"+" * 200_000})
    server.stop(0)
    return directory


@pytest.fixture
def held(left: Path) -> Iterator[Server]:
    """The same, served by this process, whose owner's door is open."""
    server = Server(Settings(left, "127.0.0.1:0", gpus=3, private_pfs=True))
    server.open_to_owner()
    yield server
    server.stop(0)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


# status


def test_the_status_of_a_stopped_server(run: Run, left: Path) -> None:
    code, out, err = run("status", "--data-dir", left, "--json")
    status = json.loads(out)
    assert (code, err) == (0, "")
    assert (status["state"], status["pid"], status["gpus"]) == ("stopped", None, None)
    assert (status["repos"], status["commits"], status["disk"]["content_bytes"]) == (1, 1, 201_000)
    assert status["data_dir"] == str(left)


def test_the_status_of_a_running_server(run: Run, held: Server, left: Path) -> None:
    status = json.loads(run("status", "--data-dir", left, "--json")[1])
    assert (status["state"], status["pid"]) == ("running", os.getpid())
    assert (status["address"], status["worker"]) == (held.address, "process")
    assert status["gpus"] == {"in_use": 0, "total": 3}
    assert (status["repos"], status["commits"], status["disk"]["content_bytes"]) == (1, 1, 201_000)


def test_running_or_not_the_same_is_told(run: Run, left: Path) -> None:
    stopped = json.loads(run("status", "--data-dir", left, "--json")[1])
    server = Server(Settings(left, "127.0.0.1:0", private_pfs=True))
    server.open_to_owner()
    running = json.loads(run("status", "--data-dir", left, "--json")[1])
    server.stop(0)
    assert list(stopped) == list(running)


def test_the_table_is_for_people(run: Run, left: Path) -> None:
    out = run("status", "--data-dir", left)[1]
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["state"] == "stopped"
    assert lines["repos"] == "1 in 1 projects"
    assert lines["commits"] == "1, 0 of them open"
    assert re.fullmatch(r"201\.0 kB content, \d+\.\d kB metadata", lines["disk"])


def test_status_changes_nothing_on_disk(run: Run, left: Path) -> None:
    before = contents(left)
    run("status", "--data-dir", left)
    assert contents(left) == before


def test_status_after_a_crash_has_what_was_written_last(
    run: Run, serve: Callable[..., Any], connect: Any, tmp_path: Path
) -> None:
    server = serve()
    connect(server.address).pfs.create_repo(repo=pfs.Repo(name="data", type="user"))
    server.kill()
    status = json.loads(run("status", "--data-dir", tmp_path / "data", "--json")[1])
    assert (status["state"], status["repos"]) == ("stopped", 1)


@pytest.mark.parametrize("command", ["status", "gc", "fsck"])
def test_a_directory_without_data_is_refused_and_left_as_it_is(
    run: Run, tmp_path: Path, command: str
) -> None:
    code, out, err = run(command, "--data-dir", tmp_path / "nothing")
    assert (code, out) == (1, "")
    assert err == f"pachd-embedded: {tmp_path}/nothing holds no data of an embedded pachd\n"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("command", ["status", "gc", "fsck"])
def test_a_file_that_is_no_database_is_told_in_one_line(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "pachd.sqlite").write_text("this is no database, nor does it look like one" * 100)
    code, out, err = run(command, "--data-dir", tmp_path)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"pachd-embedded: .+\n", err)


@pytest.mark.parametrize("command", ["status", "stop", "gc", "fsck", "export"])
def test_no_command_goes_without_its_options(run: Run, command: str) -> None:
    with pytest.raises(SystemExit) as end:
        run(command)
    assert end.value.code == 2


@pytest.mark.parametrize(("command", "option"), [("serve", "--gc-period"), ("stop", "--timeout")])
@pytest.mark.parametrize("value", ["-5", "nan", "inf", "soon"])
def test_seconds_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], left: Path, command: str, option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--data-dir", str(left), f"{option}={value}"])
    assert end.value.code == 2
    expected = f"{command}: error: argument {option}: {value!r} is no number of seconds\n"
    assert capsys.readouterr().err.endswith(expected)


# The owner's door


def test_a_socket_that_a_killed_server_left_is_no_server(
    run: Run, serve: Callable[..., Any], tmp_path: Path
) -> None:
    serve().kill()
    assert (tmp_path / "data/control.sock").exists()
    assert json.loads(run("status", "--data-dir", tmp_path / "data", "--json")[1])["state"] == "stopped"
    assert serve().ready
    assert json.loads(run("status", "--data-dir", tmp_path / "data", "--json")[1])["state"] == "running"


def test_a_server_that_ends_takes_its_socket_with_it(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve()
    server.popen.terminate()
    assert server.popen.wait(SOON) == 0
    assert not (tmp_path / "data/control.sock").exists()


def test_only_the_owner_may_open_the_socket(held: Server, left: Path) -> None:
    assert (left / "control.sock").stat().st_mode & 0o777 == 0o600


def test_the_owners_door_does_not_reset(held: Server, left: Path) -> None:
    with pytest.raises(door_client.AskError, match=r"^/reset is none of /fsck, /gc, /status$"):
        door_client.ask(left, "POST", "/reset")


def test_a_long_name_of_the_directory_is_no_obstacle(run: Run, left: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100) / ("y" * 100)
    long.parent.mkdir()
    shutil.move(left, long)
    server = Server(Settings(long, "127.0.0.1:0", private_pfs=True))
    server.open_to_owner()
    assert json.loads(run("status", "--data-dir", long, "--json")[1])["state"] == "running"
    server.stop(0)


# stop


def test_stop_ends_the_server_and_waits_for_its_end(
    run: Run, serve: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve()
    code, out, _ = run("stop", "--data-dir", tmp_path / "data")
    assert (code, out) == (0, f"stopped process {server.popen.pid}\n")
    assert server.popen.wait(0.5) == 0


def test_stop_has_nothing_to_do_where_none_runs(run: Run, left: Path) -> None:
    assert run("stop", "--data-dir", left)[:2] == (0, f"no embedded pachd serves {left}\n")


def test_stop_ends_no_other_server(run: Run, serve: Callable[..., Any], left: Path, tmp_path: Path) -> None:
    other = serve(directory=tmp_path / "other")
    assert run("stop", "--data-dir", left)[0] == 0
    assert other.popen.poll() is None


def test_stop_does_not_trust_a_file(run: Run, left: Path) -> None:
    """What is no socket that somebody listens on names no process."""
    (left / "control.sock").write_text(str(os.getpid()))
    assert run("stop", "--data-dir", left)[:2] == (0, f"no embedded pachd serves {left}\n")


def test_stop_says_when_a_server_does_not_end(run: Run, serve: Callable[..., Any], tmp_path: Path) -> None:
    server = serve()
    # It is not scheduled any more, but the kernel still takes connections for it.
    server.popen.send_signal(signal.SIGSTOP)
    code, _, err = run("stop", "--data-dir", tmp_path / "data", "--timeout", "0.2")
    text = f"process {server.popen.pid} did not end within 0.2 s of SIGTERM"
    assert (code, err) == (1, f"pachd-embedded: {text}\n")
    server.popen.send_signal(signal.SIGCONT)
    assert server.popen.wait(SOON) == 0


# gc, fsck


@pytest.mark.parametrize("running", [False, True])
def test_gc_frees_what_nothing_refers_to(
    run: Run, left: Path, request: pytest.FixtureRequest, running: bool
) -> None:
    server = Server(Settings(left, "127.0.0.1:0", private_pfs=True))
    data = Data(Client.from_pachd_address(f"grpc://{server.address}"), "data")
    data.api.delete_repo(repo=data.repo)
    server.stop(0)
    if running:
        request.getfixturevalue("held")
    code, out, err = run("gc", "--data-dir", left)
    assert (code, err) == (0, "")
    freed = re.fullmatch(r"freed (\d+) bytes, 2 chunks\n", out)
    assert freed
    assert int(freed[1]) >= 200_000
    status = json.loads(run("status", "--data-dir", left, "--json")[1])
    assert status["disk"]["content_bytes"] == 0


@pytest.mark.parametrize("running", [False, True])
def test_fsck_finds_nothing_where_all_is_well(
    run: Run, left: Path, request: pytest.FixtureRequest, running: bool
) -> None:
    if running:
        request.getfixturevalue("held")
    assert run("fsck", "--data-dir", left) == (0, "clean\n", "")


@pytest.mark.parametrize("running", [False, True])
def test_fsck_tells_damage_and_ends_with_2(
    run: Run, left: Path, request: pytest.FixtureRequest, running: bool
) -> None:
    (chunk,) = (path for path in (left / "chunks").rglob("*") if path.is_file())
    chunk.unlink()
    if running:
        request.getfixturevalue("held")
    code, out, err = run("fsck", "--data-dir", left)
    assert (code, err) == (2, "")
    assert chunk.name in out or "/large" in out


@pytest.mark.parametrize("command", ["gc", "fsck"])
def test_a_server_without_a_door_keeps_the_data_to_itself(run: Run, left: Path, command: str) -> None:
    server = Server(Settings(left, "127.0.0.1:0", private_pfs=True))
    code, _, err = run(command, "--data-dir", left)
    server.stop(0)
    assert (code, err) == (1, f"pachd-embedded: {left} is in use by another embedded pachd\n")


def test_a_door_that_does_not_answer_is_told_in_one_line(
    run: Run, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_client, "PATIENCE", 0.1)
    with socket.socket(socket.AF_UNIX) as deaf:
        monkeypatch.chdir(left)
        deaf.bind("control.sock")
        deaf.listen()
        code, _, err = run("status", "--data-dir", left)
    assert code == 1
    assert err == f"pachd-embedded: the embedded pachd of {left} ended or does not answer: timed out\n"
