# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of the embedded pachd, as the role pachyderm_embedded sees it: what runs, start it, stop it.

    pachd_process.py status STATE_DIR PACKAGE_DIR
    pachd_process.py start STATE_DIR PACKAGE_DIR SECONDS SETTINGS
    pachd_process.py stop STATE_DIR SECONDS

Prints one JSON object; a failure is one line on stderr and exit code 1. It runs on the host of the role with
the interpreter that runs pachd, and needs the standard library only.

STATE_DIR holds pachd.pid, pachd.ready (the line that pachd prints once it serves), pachd.log and
settings.json: SETTINGS as they were at the last start, {"arguments": [...], ...}. The arguments go to
`pachd_embedded serve`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

NEEDED = {"pachyderm_sdk": "pachyderm-sdk", "grpc": "grpcio", "numpy": "numpy"}
READY = re.compile(r"^pachd-embedded ready address=(\S+) version=(\S+) pid=(\d+)$", re.MULTILINE)
POLL_SECONDS = 0.05


def fail(message: str) -> None:
    """End with one line for the user."""
    sys.exit(message)


def read(path: Path) -> str:
    """The text of a file; empty when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def running_pid(state: Path) -> int | None:
    """The process that was started for this state directory, None when it has ended.

    A number that another program has got since then does not count: the command line names the directory.
    """
    text = read(state / "pachd.pid").strip()
    if not text.isdecimal():
        return None
    arguments = read(Path(f"/proc/{text}/cmdline")).split("\0")
    return int(text) if "pachd_embedded" in arguments and str(state / "pachd") in arguments else None


def has_ended(pid: int) -> bool:
    """Whether a process is gone, with its files and its port. One that only its parent remembers is."""
    state = read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2]
    return state[:1] in ("", "Z", "X")


def real_gpus() -> int:
    """How many GPUs nvidia-smi lists."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    answer = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return len(re.findall(r"^GPU \d+:", answer.stdout, re.MULTILINE)) if answer.returncode == 0 else 0


def package_version(package: Path) -> str:
    """The release of the pachd_embedded that lies in this directory."""
    found = re.search(r'^__version__ = "(.+)"$', read(package / "pachd_embedded/__init__.py"), re.MULTILINE)
    if found is None:
        fail(f"no package pachd_embedded in {package}; set pachyderm_embedded_package_dir")
        raise AssertionError
    return found.group(1)


def status(state: Path, package: Path) -> dict[str, object]:
    """What runs and with which settings, and whether this interpreter could run it."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if sys.version_info < (3, 11):  # noqa: UP036 - the user chooses the interpreter
        fail(f"{sys.executable} is Python {sys.version.split()[0]}; the embedded pachd needs 3.11 or newer")
    if missing:
        fail(f"{sys.executable} lacks {', '.join(missing)}; install them, or set pachyderm_embedded_python")
    ready = READY.search(read(state / "pachd.ready"))
    return {
        "version": package_version(package),
        "state_dir": str(state),
        "real_gpus": real_gpus(),
        "is_ours": not state.exists() or (state / "settings.json").exists(),
        "pid": running_pid(state),
        "address": ready.group(1) if ready else "",
        "settings": json.loads(read(state / "settings.json") or "{}"),
    }


def start(state: Path, package: Path, seconds: float, settings: dict[str, object]) -> dict[str, object]:
    """Start pachd so that it survives this program, and wait until it serves."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(state / "pachd")]
    command += [str(argument) for argument in settings["arguments"]]  # type: ignore[attr-defined]
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
    (state / "pachd.pid").write_text(f"{process.pid}\n", encoding="utf-8")
    (state / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    end = time.monotonic() + seconds
    while not (found := READY.search(read(state / "pachd.ready"))):
        if process.poll() is not None:
            fail(f"the embedded pachd ended at once: {last_line(state / 'pachd.log')}")
        if time.monotonic() > end:
            stop(state, seconds)
            fail(f"the embedded pachd was not ready within {seconds:g} s: {last_line(state / 'pachd.log')}")
        time.sleep(POLL_SECONDS)
    return {"pid": process.pid, "address": found.group(1)}


def stop(state: Path, seconds: float) -> dict[str, object]:
    """End pachd by SIGTERM and wait until it is gone."""
    pid = running_pid(state)
    if pid is None:
        return {"pid": None}
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + seconds
    while not has_ended(pid):
        if time.monotonic() > end:
            fail(f"the embedded pachd, process {pid}, did not end within {seconds:g} s of SIGTERM")
        time.sleep(POLL_SECONDS)
    return {"pid": pid}


def last_line(log: Path) -> str:
    """The last line of the log, and where the rest is."""
    lines = [line for line in read(log).splitlines() if line.strip()]
    return f"{lines[-1].strip() if lines else 'it said nothing'} (log: {log})"


def main() -> None:
    """Dispatch; see the module's text."""
    verb, state = sys.argv[1], Path(sys.argv[2]).expanduser().absolute()
    try:
        if verb == "status":
            result = status(state, Path(sys.argv[3]))
        elif verb == "start":
            result = start(state, Path(sys.argv[3]), float(sys.argv[4]), json.loads(sys.argv[5]))
        else:
            result = stop(state, float(sys.argv[3]))
    except OSError as error:
        sys.exit(f"{error.filename or state}: {error.strerror}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
