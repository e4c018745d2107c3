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
- Limits of memory and cpu are those of a control group (cgroups.py). Where this user may make none, the
  limit of memory is one on the private writable memory of each process (RLIMIT_DATA: not on its address
  space, which CUDA and others reserve far more of than they use), and there is none of cpu.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pachd_embedded.workers import cgroups, gpus, launch, layout, private_paths, refusal
from pachd_embedded.workers.limits import NO_LIMITS, Limits
from pachd_embedded.workers.lines import LineSplitter
from pachd_embedded.workers.worker import BadTaskError, DatumResult, DatumTask, ImageState

_ROOT_USERS = ("", "root", "0")
_NO_GROUPS = "this user may make no control group for it"


class ProcessWorker:
    """Runs datums, any number at the same time.

    `images` gives, by the name of an image, the directory to lay over the root of its datums; an image
    without one runs on the machine's system alone. `private` are directories that no datum may see.
    With `private_paths` there is no isolation: PFS paths are rewritten (private_paths.py). `mark` tells
    this server's control groups from those of others; without it there are none.
    """

    def __init__(
        self,
        images: Mapping[str, Path],
        private_paths: bool = False,
        private: Sequence[Path] = (),
        mark: str = "",
    ) -> None:
        self._images = dict(images)
        self._private_paths = private_paths
        self._places = [] if private_paths else layout.places(private)
        self._mark = mark
        self._groups: cgroups.Groups | None = None
        self._numbers = itertools.count(1)
        self._nursery = launch.Nursery()

    def check(self) -> str:
        """Empty when datums can run here, else one line that says what is refused and what to do."""
        with tempfile.TemporaryDirectory(prefix="pachd-check-") as scratch:
            Path(scratch, "pfs").mkdir()
            task = DatumTask(Path(scratch), ("true",), (), {}, "", "", "", (), None, ())
            description, stdin = self._describe(task)
            nursery = launch.Nursery()
            outcome = launch.run(nursery, description, stdin, lambda _data: None, threading.Event(), None)
            nursery.close()  # `start` finds no other process in this one's control group
        return refusal.explain(outcome.refused) if outcome.refused else ""

    def start(self, changed: Callable[[], None]) -> None:
        self._groups = cgroups.find(self._mark) if self._mark else None
        if self._groups is not None:
            self._groups.clear()

    def stop(self) -> None:
        self._nursery.close()

    def image(self, name: str) -> ImageState:
        return ImageState(True)

    def notes(self, user: str, limits: Limits) -> list[str]:
        found = []
        if user not in _ROOT_USERS:
            found.append(f"transform.user {user} is ignored: the process worker has one user, its own root")
        grouped = self._groups.parents if self._groups else {}
        if limits.memory is not None and "memory" not in grouped:
            found.append(f"resource_limits.memory holds for each process, not for the datum: {_NO_GROUPS}")
        if limits.cpu is not None and "cpu" not in grouped:
            found.append(f"resource_limits.cpu is not enforced: {_NO_GROUPS}")
        return found

    def run(self, task: DatumTask, log: Callable[[str], None], cancelled: threading.Event) -> DatumResult:
        lines = LineSplitter(log)
        try:
            description, stdin = self._describe(task)
            with self._limited(task.limits, description) as group:
                outcome = launch.run(self._nursery, description, stdin, lines.feed, cancelled, task.timeout)
                short = group is not None and group.was_short_of_memory()
        except (BadTaskError, launch.LaunchError) as error:
            return DatumResult(str(error), 0.0)
        lines.close()
        if short:
            log("the kernel killed a process of the code: it needs more memory than resource_limits.memory")
        return DatumResult(_error(outcome, task.accept_return_code), outcome.seconds)

    @contextlib.contextmanager
    def _limited(self, limits: Limits, description: dict[str, Any]) -> Iterator[cgroups.Group | None]:
        """Adds to the description how the code is limited: by the group, or else as a process can be."""
        if limits == NO_LIMITS:
            yield None
            return
        if self._groups is None or "memory" not in self._groups.parents:
            description["data_bytes"] = limits.memory
        if self._groups is None:
            yield None
            return
        try:
            stack = contextlib.ExitStack()
            group = stack.enter_context(self._groups.group(next(self._numbers), limits))
            description["entrances"] = stack.enter_context(group.entrances())
        except OSError as error:
            raise BadTaskError(f"cannot limit the user code: {error.filename}: {error.strerror}") from error
        with stack:
            yield group

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
        rewrite = self._rewriter(scratch / "pfs", task.mounts, image)
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
            "mounts": [(path, os.path.realpath(source)) for path, source in task.mounts],
            "entrances": [],
            "data_bytes": None,
            "devices": gpus.device_nodes(task.gpus),
            "cmd": [rewrite(word) for word in task.cmd],
            "env": env,
            "working_dir": rewrite(task.working_dir) or (str(scratch) if self._private_paths else "/"),
        }
        script = "".join(rewrite(line) + "\n" for line in task.stdin)
        return description, script.encode("utf-8", "surrogateescape")

    def _rewriter(
        self, pfs: Path, mounts: Sequence[tuple[str, Path]], image: Path | None
    ) -> Callable[[str], str]:
        if not self._private_paths:
            return lambda text: text
        try:
            return private_paths.rewriter(pfs, Path(os.path.realpath(image)) if image else None, mounts)
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
