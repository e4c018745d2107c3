# SPDX-License-Identifier: GPL-3.0-or-later
"""The `process` worker: runs the user code of datums as processes of this machine.

Each datum has a root directory and processes of its own (sandbox.py), without root and without other
tools. Where it differs from a worker pod of a real Pachyderm:

- The root directory is this machine's system, with the directory of the transform's image laid over it;
  what comes from the machine or from the image is read-only, the rest (/pfs and /tmp on disk; /root,
  /run, new directories in memory) is private and writable. In a pod all of it is writable.
- User code is root in a user namespace of one user: it cannot give a file to another owner (`tar` needs
  --no-same-owner), and `transform.user` is ignored, with a line in the log.
- The network is the machine's own.
- Memory limits are not enforced: a limit on address space ends programs that only reserve it, as CUDA,
  TensorFlow and numpy do, and a limit on real memory needs a control group that the user may write.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pachd_embedded.workers import gpus, launch, layout, private_paths, refusal
from pachd_embedded.workers.lines import LineSplitter

_ROOT_USERS = ("", "root", "0")


@dataclass(frozen=True)
class DatumTask:
    """The user code of one datum."""

    scratch: Path  # private directory: pfs/<input>/... and an empty pfs/out are there already
    cmd: tuple[str, ...]
    stdin: tuple[str, ...]  # lines, joined with "\n" and a final one: one script
    env: Mapping[str, str]  # all variables but PATH, HOME, LANG and those of the GPUs
    image: str  # transform.image
    working_dir: str  # "" = /
    user: str  # transform.user
    accept_return_code: tuple[int, ...]
    timeout: float | None  # seconds
    gpus: tuple[str, ...]  # ids from the pool


@dataclass(frozen=True)
class DatumResult:
    """What became of it: `error` is "" when all went well, else worded as the real worker does."""

    error: str
    seconds: float  # from the start of the user code to its end


class BadTaskError(Exception):
    """A task that cannot be run here; the text says what is wrong with it."""


class ProcessWorker:
    """Runs datums, any number at the same time.

    `images` gives, by the name of an image, the directory to lay over the root of its datums; an image
    without one runs on the machine's system alone. `private` are directories that no datum may see.
    With `private_paths` there is no isolation: PFS paths are rewritten (private_paths.py).
    """

    def __init__(
        self, images: Mapping[str, Path], private_paths: bool = False, private: Sequence[Path] = ()
    ) -> None:
        self._images = dict(images)
        self._private_paths = private_paths
        self._places = [] if private_paths else layout.places(private)

    def check(self) -> str:
        """Empty when datums can run here, else one line that says what is refused and what to do."""
        with tempfile.TemporaryDirectory(prefix="pachd-check-") as scratch:
            Path(scratch, "pfs").mkdir()
            task = DatumTask(Path(scratch), ("true",), (), {}, "", "", "", (), None, ())
            description, stdin = self._describe(task)
            outcome = launch.run(description, stdin, lambda _data: None, threading.Event(), None)
        return refusal.explain(outcome.refused) if outcome.refused else ""

    def run(self, task: DatumTask, log: Callable[[str], None], cancelled: threading.Event) -> DatumResult:
        """Runs the user code and returns when none of its processes is left.

        `log` gets each line of stdout and stderr as it appears. When `cancelled` is set, or the timeout
        passes, all processes are killed. Whatever goes wrong is the error of the result.
        """
        if task.user not in _ROOT_USERS:
            log(f"transform.user {task.user} is ignored: the process worker runs user code as its own root")
        lines = LineSplitter(log)
        try:
            description, stdin = self._describe(task)
            outcome = launch.run(description, stdin, lines.feed, cancelled, task.timeout)
        except (BadTaskError, launch.LaunchError) as error:
            return DatumResult(str(error), 0.0)
        lines.close()
        return DatumResult(_error(outcome, task.accept_return_code), outcome.seconds)

    def _describe(self, task: DatumTask) -> tuple[dict[str, Any], bytes]:
        """What sandbox.py is told, and the stdin of the user code. Makes its directories in the scratch."""
        if not task.cmd:
            raise BadTaskError("invalid pipeline transform, no command specified")
        image = self._images.get(task.image)
        if image is not None and not image.is_dir():
            raise BadTaskError(f"image {task.image}: {image} is not a directory")
        scratch = Path(os.path.realpath(task.scratch))
        for name in ("root", "tmp"):  # where the root directory is built, or else what HOME is; /tmp
            (scratch / name).mkdir(exist_ok=True)
        rewrite = self._rewriter(scratch / "pfs", image)
        env = {"PATH": layout.search_path(), "HOME": "/root", "LANG": "C.UTF-8"}
        if self._private_paths:
            env |= {"HOME": str(scratch / "root"), "TMPDIR": str(scratch / "tmp")}
        env |= {name: rewrite(value) for name, value in task.env.items()}
        env |= gpus.visible(task.gpus)
        description = {
            "private_paths": self._private_paths,
            "scratch": str(scratch),
            "image": os.path.realpath(image) if image else "",
            "places": self._places,
            "devices": gpus.device_nodes(task.gpus),
            "cmd": [rewrite(word) for word in task.cmd],
            "env": env,
            "working_dir": rewrite(task.working_dir) or (str(scratch) if self._private_paths else "/"),
        }
        script = "".join(rewrite(line) + "\n" for line in task.stdin)
        return description, script.encode("utf-8", "surrogateescape")

    def _rewriter(self, pfs: Path, image: Path | None) -> Callable[[str], str]:
        if not self._private_paths:
            return lambda text: text
        try:
            return private_paths.rewriter(pfs, Path(os.path.realpath(image)) if image else None)
        except ValueError as error:
            raise BadTaskError(str(error)) from error


def _error(outcome: launch.Outcome, accepted: Sequence[int]) -> str:
    if outcome.refused:
        return f"cannot isolate the user code: {outcome.refused}"
    if outcome.not_started:
        return outcome.not_started
    if outcome.exit_code is not None:
        fine = outcome.exit_code == 0 or outcome.exit_code in accepted
        return "" if fine else f"exit status {outcome.exit_code}"
    number = outcome.signal or signal.SIGKILL
    if number == signal.SIGPIPE:
        return ""  # code that leaves before it has read or written all is no failure
    name = (signal.strsignal(number) or f"signal {number}").lower()
    return f"signal: {name} because {outcome.stopped}" if outcome.stopped else f"signal: {name}"
