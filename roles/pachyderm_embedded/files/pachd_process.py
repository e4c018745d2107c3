# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the embedded pachd, as the role pachyderm_embedded sees it, and the directory it keeps.

    pachd_process.py status STATE_DIR PACKAGE_DIR started|stopped|absent
    pachd_process.py start STATE_DIR PACKAGE_DIR SECONDS SETTINGS
    pachd_process.py stop STATE_DIR SECONDS
    pachd_process.py delete STATE_DIR SECONDS

Prints one JSON object; a failure is one line on stderr and exit code 1. It runs on the host of the role with
the interpreter that runs pachd, and needs the standard library only. `status` changes nothing, and fails
where the directory forbids the wanted state; `start` leaves a server with equal SETTINGS alone.

STATE_DIR holds OWN_NAMES. pachd.ready is the line that pachd prints once it serves, pachd.pid is for people,
and settings.json holds SETTINGS as they were at the last start, {"arguments": [...], ...}. The arguments go
to `pachd_embedded serve`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

NEEDED = {"pachyderm_sdk": "pachyderm-sdk", "grpc": "grpcio", "numpy": "numpy"}
READY = re.compile(r"^pachd-embedded ready address=(\S+) version=(\S+) pid=(\d+)$", re.MULTILINE)
POLL_SECONDS = 0.05
GPU_SECONDS = 60.0  # the first call after a boot loads the driver
# Tells that the directory is the role's, and serializes what changes it. It is made first and deleted last.
MARK = "pachyderm_embedded.lock"
OWN_NAMES = {
    MARK,
    "pachd",
    "pachd.log",
    "pachd.pid",
    "pachd.ready",
    "settings.json",
    "journal.jsonl",
    "root-token",
}
# Arguments that name a file which pachd reads when it starts.
CREDENTIALS = ("--tls-cert=", "--tls-key=", "--auth-root-token-file=")


def fail(message: str) -> NoReturn:
    """End with one line for the user."""
    sys.exit(message)


def read(path: Path) -> str:
    """The text of a file; empty when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def state_directory(text: str) -> Path:
    """STATE_DIR without links. A relative one would depend on where Ansible happens to run this."""
    name = f"pachyderm_embedded_data_dir: {text}"
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        fail(f"{name} names a user whom this machine does not know")
    if not path.is_absolute():
        fail(f"{name} is not absolute; write it with / or ~ at its start, or behind {{{{ inventory_dir }}}}/")
    return path.resolve()


def foreign_name(state: Path) -> str | None:
    """The first thing in the directory that is not the role's, None where all is."""
    names = sorted(path.name for path in state.iterdir()) if state.exists() else []
    # pachd's own database tells as much as the mark does.
    ours = MARK in names or (state / "pachd/pachd.sqlite").exists()
    return next((name for name in names if not ours or name not in OWN_NAMES), None)


def check_directory(state: Path, wanted: str) -> None:
    """Fail where a server would write between the files of others, or a deletion would reach them."""
    name = foreign_name(state)
    if name is None or wanted == "stopped":
        return
    if not (state / MARK).exists():
        fail(
            f"{state} was not made by pachyderm_embedded (it holds {name}), so nothing is started or deleted"
            " there; set pachyderm_embedded_data_dir to a new directory"
        )
    if wanted == "absent":
        fail(f"{state} holds {name}, which pachyderm_embedded did not make; move it away, nothing is deleted")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Have the directory alone. Waits for another program's start or deletion, which have an end."""
    while True:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (state / MARK).open("a") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            # Whom we waited for may have deleted the directory, and this file with it.
            if os.fstat(mark.fileno()).st_nlink:
                yield
                return


def serves_directory(process: Path, state: Path) -> bool:
    """Whether a directory of /proc is a pachd for this state directory that this user may end."""
    arguments = read(process / "cmdline").split("\0")
    if arguments[1:4] == ["-m", "pachd_embedded", "serve"] and str(state / "pachd") in arguments:
        with contextlib.suppress(OSError):
            os.kill(int(process.name), 0)
            return True
    return False


def running_pid(state: Path) -> int | None:
    """The pachd of this state directory, None where none runs. A number in a file may be wrong, or old."""
    found = {int(path.name) for path in Path("/proc").glob("[0-9]*") if serves_directory(path, state)}
    # A child that was forked and does not yet run its own command looks the same.
    return next((pid for pid in found if parent(pid) not in found), None)


def parent(pid: int) -> int:
    """The process that started this one, 0 when it has ended."""
    fields = read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2].split()
    return int(fields[1]) if fields else 0


def ready_address(state: Path, pid: int | None) -> str | None:
    """Where this process serves, None as long as it does not."""
    ready = READY.search(read(state / "pachd.ready"))
    return ready.group(1) if ready and ready.group(3) == str(pid) else None


def last_settings(state: Path) -> dict[str, object]:
    """The settings of the last start; empty, so different from any, where the file is damaged."""
    with contextlib.suppress(ValueError):
        settings = json.loads(read(state / "settings.json"))
        return settings if isinstance(settings, dict) else {}
    return {}


def is_stale(state: Path) -> bool:
    """Whether a certificate, key or token was replaced since the last start: pachd has the old one."""
    try:
        started = (state / "settings.json").stat().st_mtime
    except OSError:
        return True
    arguments = last_settings(state).get("arguments", [])
    names = [str(argument) for argument in arguments if str(argument).startswith(CREDENTIALS)]  # type: ignore[attr-defined]
    files = [Path(name.partition("=")[2]) for name in names]
    return any(not file.exists() or file.stat().st_ctime > started for file in files)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, with its files and its port. One that only its parent remembers is."""
    state = read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2]
    return state[:1] in ("", "Z", "X")


def real_gpus() -> int:
    """How many GPUs nvidia-smi lists."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    # As pachd_embedded asks, so that the two agree.
    query = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=GPU_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return 0
    return len(answer.stdout.split())


def package_version(package: Path) -> str:
    """The release of the pachd_embedded that lies in this directory."""
    found = re.search(r'^__version__ = "(.+)"$', read(package / "pachd_embedded/__init__.py"), re.MULTILINE)
    if found is None:
        fail(f"no package pachd_embedded in {package}; set pachyderm_embedded_package_dir")
    return found.group(1)


def status(state: Path, package: Path, wanted: str) -> dict[str, object]:
    """What runs and with which settings, whether this interpreter could run it, and the directory hold it."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if sys.version_info < (3, 11):  # noqa: UP036 - the user chooses the interpreter
        fail(f"{sys.executable} is Python {sys.version.split()[0]}; the embedded pachd needs 3.11 or newer")
    if missing:
        fail(f"{sys.executable} lacks {', '.join(missing)}; set pachyderm_embedded_venv to install them")
    check_directory(state, wanted)
    pid = running_pid(state)
    return {
        "version": package_version(package),
        "state_dir": str(state),
        "real_gpus": real_gpus(),
        "is_empty": not state.exists() or not any(state.iterdir()),
        "pid": pid,
        "serves": ready_address(state, pid) is not None,
        "settings": last_settings(state),
        "stale": pid is not None and is_stale(state),
    }


def start(state: Path, package: Path, seconds: float, settings: dict[str, object]) -> dict[str, object]:
    """Have pachd serve with these settings: one that does is left alone, one with others is restarted."""
    check_directory(state, "started")
    with locked(state):
        pid = running_pid(state)
        changed = pid is None or last_settings(state) != settings or is_stale(state)
        if changed:
            stop(state, seconds)
            pid = launch(state, package, settings)
        assert pid is not None
        address = wait_ready(state, pid, seconds)
        (state / "pachd.pid").write_text(f"{pid}\n", encoding="utf-8")
    return {"changed": changed, "pid": pid, "address": address}


def launch(state: Path, package: Path, settings: dict[str, object]) -> int:
    """Start pachd so that it survives this program."""
    command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(state / "pachd")]
    command += [str(argument) for argument in settings["arguments"]]  # type: ignore[attr-defined]
    (state / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    with (state / "pachd.ready").open("wb") as ready, (state / "pachd.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=ready,
            stderr=log,
            cwd=state,
            env={**os.environ, "PYTHONPATH": str(package), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    return process.pid


def wait_ready(state: Path, pid: int, seconds: float) -> str:
    """The address, once this process serves; one that does not in time is ended."""
    end = time.monotonic() + seconds
    while (address := ready_address(state, pid)) is None:
        if has_ended(pid):
            fail(f"the embedded pachd ended at once: {last_line(state / 'pachd.log')}")
        if time.monotonic() > end:
            stop(state, seconds)
            fail(f"the embedded pachd was not ready within {seconds:g} s: {last_line(state / 'pachd.log')}")
        time.sleep(POLL_SECONDS)
    return address


def stop(state: Path, seconds: float) -> dict[str, object]:
    """End pachd by SIGTERM and wait until it is gone. Called with the lock where there is one."""
    pid = running_pid(state)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + seconds
        while not has_ended(pid):
            if time.monotonic() > end:
                fail(f"the embedded pachd, process {pid}, did not end within {seconds:g} s of SIGTERM")
            time.sleep(POLL_SECONDS)
    (state / "pachd.pid").unlink(missing_ok=True)
    return {"changed": pid is not None, "pid": pid}


def delete(state: Path, seconds: float) -> dict[str, object]:
    """End pachd and delete what it kept."""
    check_directory(state, "absent")
    if not state.exists() or not any(state.iterdir()):
        return {"changed": False}
    with locked(state):
        stop(state, seconds)
        refuse_live_database(state / "pachd")
        for name in sorted(OWN_NAMES - {MARK}):
            path = state / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (state / MARK).unlink()
        # An empty directory stays where it is a mount, or its parent another user's.
        with contextlib.suppress(OSError):
            state.rmdir()
    return {"changed": True}


def refuse_live_database(data: Path) -> None:
    """Fail where a pachd that this program could not find, as of another container, has the data open."""
    with contextlib.suppress(FileNotFoundError), (data / "lock").open() as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"{data} is in use by a pachd that cannot be seen from here; stop it where it runs")


def last_line(log: Path) -> str:
    """The last line of the log, and where the rest is."""
    lines = [line for line in read(log).splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'it said nothing'} (log: {log})"


def main() -> None:
    """Dispatch; see the module's text."""
    verb, state = sys.argv[1], state_directory(sys.argv[2])
    try:
        if verb == "status":
            result = status(state, Path(sys.argv[3]), sys.argv[4])
        elif verb == "start":
            result = start(state, Path(sys.argv[3]), float(sys.argv[4]), json.loads(sys.argv[5]))
        elif verb == "delete":
            result = delete(state, float(sys.argv[3]))
        else:
            with locked(state) if (state / MARK).exists() else contextlib.nullcontext():
                result = stop(state, float(sys.argv[3]))
    except OSError as error:
        sys.exit(f"{error.filename or state}: {error.strerror}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
