# SPDX-License-Identifier: GPL-3.0-or-later
"""What user code tries in vain: to read what is the server's, another datum's or a user's, and to touch them.

Here the tests' own process is the server.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers.process import ProcessWorker
from tests.contract.lab import PATIENCE, poll

SECRET = "what-nobody-may-read"
# Seconds that tell the datum of this run from those that other runs hold at the same time.
HELD = f"600.{os.getpid()}"
_LANDLOCK_CREATE_RULESET, _VERSION = 444, 1


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def scopes_sockets() -> bool:
    """Whether this kernel can keep abstract sockets apart (Linux 6.12)."""
    libc = ctypes.CDLL(None)
    return int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)) >= 6


@pytest.fixture
def data_dir(datums: Any, tmp_path: Path) -> Path:
    """A data directory with something in it, that the worker was told to keep private."""
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "secret").write_text(SECRET)
    datums.worker = ProcessWorker({}, private=(directory,))
    return directory


@pytest.fixture
def held(datums: Any) -> Iterator[Any]:
    """Another datum, which waits with a secret among its inputs, its variables and the files it wrote."""
    begun, cancelled = threading.Event(), threading.Event()
    done: list[Any] = []

    def hold() -> None:
        script = f"echo {SECRET} > /tmp/secret; echo {SECRET} > /dev/shm/secret; echo; sleep {HELD}"
        inputs, env = {"in/secret": SECRET}, {"SECRET": SECRET}
        log = lambda _line: begun.set()  # noqa: E731
        done.append(datums.script(script, inputs=inputs, env=env, log=log, cancelled=cancelled))

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(PATIENCE)
    poll(pids_of_sleep)
    yield
    cancelled.set()
    thread.join()
    # Nobody else ended it.
    assert done[0].error == "signal: killed because context canceled"


def pids_of_sleep() -> list[int]:
    """The processes of the datum that is held, by their numbers on this machine."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "cmdline").read_text() == f"sleep\0{HELD}\0":
                found.append(int(directory.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


# --- files ---


@pytest.mark.parametrize("path", ["{}", "{}/secret", "/pfs/../{}/secret", "/proc/self/root/{}/secret"])
def test_the_data_directory(datums: Any, data_dir: Path, path: str) -> None:
    assert datums.run("cat", path.format(data_dir)).error == "exit status 1"


def test_a_data_directory_in_the_home_of_python(datums: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a datum sees of the machine includes the server's Python; not what else lies in its directory."""
    with tempfile.TemporaryDirectory(dir=sys.prefix) as inside:
        (Path(inside) / "secret").write_text(SECRET)
        datums.worker = ProcessWorker({}, private=(Path(inside),))
        assert datums.run("ls", sys.prefix).error == ""
        assert datums.run("cat", f"{inside}/secret").error == "exit status 1"


@pytest.mark.parametrize("place", ["/root", "/home", "/tmp", "/var", "/run", "/srv", "/mnt", "/boot"])
def test_what_is_no_part_of_the_system(datums: Any, place: str) -> None:
    known = [Path(sys.prefix), Path(sys.base_prefix)]
    seen = datums.script(f"ls -A {place} 2>/dev/null; true").lines
    ways = {path.relative_to(place).parts[0] for path in known if path.is_relative_to(place)}
    ways |= {"tmp", "run"} if place == "/var" else set()
    ways |= {"systemd", "resolvconf", "NetworkManager"} if place == "/run" else set()
    assert set(seen) <= ways


def test_files_of_another_datum(datums: Any, held: Any, tmp_path: Path) -> None:
    for place in (tmp_path, "/tmp", "/dev/shm", "/pfs"):
        assert datums.run("grep", "-rs", SECRET, str(place)).lines == []


@pytest.mark.parametrize("target", ["{}/secret", "../../../../../../../{}/secret"])
def test_a_link_made_in_the_output_leads_nowhere(datums: Any, data_dir: Path, target: str) -> None:
    link = target.format(data_dir)
    assert datums.script(f"ln -s {link} /pfs/out/x; cat /pfs/out/x").error == "exit status 1"


def test_an_input_that_becomes_a_link_leads_nowhere(datums: Any, data_dir: Path) -> None:
    script = f"rm /pfs/in/a; ln -s {data_dir}/secret /pfs/in/a; cat /pfs/in/a"
    assert datums.script(script, inputs={"in/a": "x"}).error == "exit status 1"


def test_a_hard_link_to_the_system_cannot_be_made(datums: Any) -> None:
    assert datums.script("ln /etc/hostname /pfs/out/x").error == "exit status 1"


def test_a_device_of_the_disk_cannot_be_made(datums: Any) -> None:
    device = Path("/proc/self/mountinfo").read_text().splitlines()[0].split()[2].replace(":", " ")
    assert datums.script(f"mknod /pfs/out/disk b {device}; head -c 1 /pfs/out/disk").error == "exit status 1"


@pytest.mark.parametrize("change", ["rw,bind", "rw"])
def test_the_system_does_not_become_writable(datums: Any, change: str) -> None:
    assert datums.script(f"mount -o remount,{change} /usr 2>/dev/null; touch /usr/x").error == "exit status 1"


def test_a_mount_cannot_be_taken_away(datums: Any, data_dir: Path) -> None:
    code = "import ctypes, os, sys; sys.exit(ctypes.CDLL(None, use_errno=True).umount2(b'/usr', 2) == 0)"
    assert datums.run(*python(code)).error == ""


def test_a_new_namespace_gives_no_more_rights(datums: Any, data_dir: Path) -> None:
    """A user namespace below its own would make user code root of one again."""
    script = f"unshare --user --map-root-user --mount sh -c 'umount -l /usr; cat {data_dir}/secret'"
    assert datums.script(script, "true").lines.count(SECRET) == 0


# --- processes ---


@pytest.mark.parametrize("file", ["root/etc/hostname", "cwd", "environ", "maps", "fd", "mem", "exe"])
def test_the_servers_own_process(datums: Any, file: str) -> None:
    """Its number means nothing in a datum, where there is another process of number 1."""
    assert datums.script(f"ls /proc/{os.getpid()}/{file}").error == "exit status 2"


def test_the_first_process_shows_the_datums_own_root(datums: Any, data_dir: Path) -> None:
    assert datums.run("cat", f"/proc/1/root{data_dir}/secret").error == "exit status 1"


@pytest.mark.parametrize("file", ["root/tmp/secret", "root/pfs/in/secret", "environ"])
def test_processes_of_another_datum(datums: Any, held: Any, file: str) -> None:
    (pid,) = pids_of_sleep()
    assert (Path(f"/proc/{pid}") / file).exists()
    lines = datums.script(f"cat /proc/{pid}/{file} /proc/[0-9]*/{file} | tr '\\0' '\\n'").lines
    assert not any(SECRET in line for line in lines)


@pytest.mark.parametrize("signal", ["KILL", "STOP", "0"])
def test_signals_to_another_datum_or_the_server(datums: Any, held: Any, signal: str) -> None:
    (pid,) = pids_of_sleep()
    assert datums.script(f"kill -{signal} {pid}").error == "exit status 1"
    assert datums.script(f"kill -{signal} {os.getpid()}").error == "exit status 1"


def test_a_signal_to_all_reaches_the_datum_alone(datums: Any, held: Any) -> None:
    datums.script("trap '' TERM; kill -TERM -1; true")
    assert len(pids_of_sleep()) == 1


def test_another_datum_cannot_be_traced(datums: Any, held: Any) -> None:
    (pid,) = pids_of_sleep()
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) == 0)"
    assert datums.run(*python(code, str(pid))).error == ""


# --- sockets and keys ---


def test_sockets_in_files(datums: Any) -> None:
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}/s")
        server.listen()
        connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        assert datums.run(*python(connect, f"{place}/s")).lines[-1].startswith("FileNotFoundError")


@pytest.mark.skipif(not scopes_sockets(), reason="sockets by name are kept apart from Linux 6.12 on")
def test_sockets_by_name(datums: Any) -> None:
    """A desktop's, which takes whoever has the user's number for the user."""
    name = f"\0pachd-embedded-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])"
        assert datums.run(*python(connect, name[1:])).lines[-1].startswith("PermissionError")
        # Its own it can use, as multiprocessing does.
        own = (
            "import socket as s; a = s.socket(1); a.bind('\\0own'); a.listen(); s.socket(1).connect('\\0own')"
        )
        assert datums.run(*python(own)).error == ""


def test_keys_of_the_user(datums: Any) -> None:
    """A login's keyring is inherited by all that it starts."""
    code = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    if os.uname().machine != "x86_64":
        code = code.replace("250", "219")
    libc = ctypes.CDLL(None)
    number = 250 if os.uname().machine == "x86_64" else 219
    mine = libc.syscall(number, 0, -3, 1)  # the session's keyring, made where there is none
    assert datums.run(*python(code)).lines != [str(mine)]
