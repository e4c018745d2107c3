# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback progress."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Say what a run waits for
version_added: 1.0.0
description:
  - While a task takes long, prints every few seconds what is waited for, and on which hosts. Of this
    collection's modules that run on the machine of Ansible it says how far they are, too (datums of a job,
    bytes of an upload, pods that are not ready and why).
  - What has not changed is said again after six times O(interval).
  - Prints nothing where a task ends within O(interval), where standard output is no terminal, and in CI
    (where the environment variable E(CI) is set).
  - The modules write what they say into a file, which the environment variable E(GPULAB_PROGRESS) names. It
    is in Ansible's temporary directory of the run, which goes when the run ends.
author:
  - gpulab contributors (@gpulab)
requirements:
  - C(gpulab.pachyderm.progress) in C(callbacks_enabled) of ansible.cfg
options:
  show:
    description: Whether to print anything; V(auto) is at a terminal and outside of CI.
    type: str
    choices: [auto, always, never]
    default: auto
    env:
      - name: GPULAB_PROGRESS_SHOW
    ini:
      - section: callback_gpulab_progress
        key: show
  interval:
    description: Seconds between two lines at least, and before the first one of a task. More than 0.
    type: float
    default: 5
    env:
      - name: GPULAB_PROGRESS_INTERVAL
    ini:
      - section: callback_gpulab_progress
        key: interval
"""

import json
import os
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

VARIABLE = "GPULAB_PROGRESS"
# Times the interval after which is said again what has not changed.
_AGAIN = 6
# Seconds for which a module's line counts: it may be within one call, such as the wait for a job.
_FRESH = 15.0
_WIDTH = 160
_NAMES = 3


@dataclass(frozen=True, slots=True)
class Running:
    """A task that a host is at, since a time in seconds since 1970."""

    task: str
    name: str
    since: float


class Watch:
    """What runs now, and what modules say of it, for any thread; times are seconds since 1970."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._last = ("", 0.0)
        self.begin(0)

    def begin(self, hosts: int) -> None:
        """Another play, of that many hosts."""
        with self._lock:
            self._hosts = hosts
            self._running: dict[str, Running] = {}
            self._ended: dict[str, set[str]] = {}
            self._said: dict[int, tuple[float, str]] = {}

    def start(self, host: str, task: str, name: str, now: float) -> None:
        with self._lock:
            self._running[host] = Running(task, name, now)

    def end(self, host: str, task: str) -> None:
        with self._lock:
            self._running.pop(host, None)
            self._ended.setdefault(task, set()).add(host)

    def hear(self, line: str) -> None:
        """A line of a module; one that is none is passed over."""
        try:
            said = json.loads(line)
            with self._lock:
                self._said[int(said["pid"])] = (float(said["time"]), _words(said))
        except (ValueError, KeyError, TypeError):
            return

    def line(self, now: float) -> str | None:
        """What is to be printed; None where there is nothing to say, or it was said a moment ago."""
        with self._lock:
            if not self._running:
                return None
            oldest = min(self._running.values(), key=lambda running: running.since)
            if now - oldest.since < self._interval:
                return None
            text = f"{oldest.name}: {self._details(oldest, now)}"
            if text == self._last[0] and now - self._last[1] < self._interval * _AGAIN:
                return None
            self._last = (text, now)
        # A name or a reason may be anything: what would move the cursor is left out.
        shown = "".join(letter if letter.isprintable() else " " for letter in text)
        whole = f"waiting {_duration(now - oldest.since)}: {shown}"
        return textwrap.shorten(whole, _WIDTH, placeholder=" ...")

    def _details(self, oldest: Running, now: float) -> str:
        # What was said before the task began is of the one before.
        since = max(oldest.since, now - _FRESH)
        details = [text for moment, text in self._said.values() if moment >= since]
        if self._hosts > 1 or not details:
            details.append(self._places(oldest))
        return "; ".join(details[:_NAMES])

    def _places(self, oldest: Running) -> str:
        hosts = [host for host, running in self._running.items() if running.task == oldest.task]
        more = f" and {len(hosts) - _NAMES} more" if len(hosts) > _NAMES else ""
        places = f"on {', '.join(hosts[:_NAMES])}{more}"
        if self._hosts <= 1:
            return places
        return f"{places}; done on {len(self._ended.get(oldest.task, ()))} of the play's {self._hosts} hosts"


class Lines:
    """What is appended to a file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> Iterator[str]:
        """Those that were not there before."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                # The rest of a line that is being written comes with the next look.
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                yield line.decode(errors="replace")


def _words(said: Mapping[str, Any]) -> str:
    """A module's line for people."""
    words = []
    if said.get("total"):
        done, total = int(said["done"]), int(said["total"])
        if said["unit"] == "bytes":
            words.append(f"{done / 1e6:.1f} of {total / 1e6:.1f} MB")
        else:
            words.append(f"{done} of {total} {said['unit']}")
    if said.get("note"):
        words.append(str(said["note"]))
    return f"{said['what']}: {', '.join(words)}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def is_wanted(show: str, environment: Mapping[str, str], is_terminal: bool) -> bool:
    """Whether anything is to be printed."""
    in_ci = environment.get("CI", "").lower() not in ("", "0", "false")
    return show == "always" or (show == "auto" and is_terminal and not in_ci)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "gpulab.pachyderm.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file = Path(constants.DEFAULT_LOCAL_TMP) / "progress.jsonl"
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if self._thread:  # the second playbook of the same command
            return
        self._interval = float(self.get_option("interval"))
        if not is_wanted(self.get_option("show"), os.environ, sys.stdout.isatty()):
            self.disabled = True
            return
        if self._interval <= 0:
            self.disabled = True
            self._display.warning(f"progress: interval must be more than 0 seconds, not {self._interval:g}")
            return
        self._watch = Watch(self._interval)
        # Somebody who has set it reads it himself; the modules' lines are his then.
        os.environ.setdefault(VARIABLE, str(self._file))
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)
        self._thread.start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        variables = play.get_variable_manager().get_vars(play=play)
        self._watch.begin(len(variables.get("ansible_play_batch", ())))

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        # Who is asked for an answer knows what is waited for, and may be writing it.
        if task.action.rpartition(".")[2] != "pause":
            self._watch.start(host.get_name(), task._uuid, task.get_name().rpartition(" : ")[2], time.time())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._watch.end(result.host.get_name(), result.task._uuid)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self.v2_runner_on_ok(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.v2_runner_on_ok(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _follow(self) -> None:
        lines = Lines(self._file)
        try:
            while not self._over.wait(self._interval):
                for said in lines.new():
                    self._watch.hear(said)
                line = self._watch.line(time.time())
                if line:
                    self._display.display(line, color=constants.COLOR_VERBOSE, screen_only=True)
                    sys.stdout.flush()
        except Exception as error:  # noqa: BLE001 - a run does not fail for what tells of it
            self._display.warning(f"progress: no more is said of it: {error}")
