# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job asks of a worker, of whichever kind it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pachd_embedded.workers.limits import NO_LIMITS, Limits


@dataclass(frozen=True)
class DatumTask:
    """The user code of one datum."""

    scratch: Path  # private directory: pfs/<input>/... and an empty pfs/out are there already
    cmd: tuple[str, ...]
    stdin: tuple[str, ...]  # lines, joined with "\n" and a final one: one script
    env: Mapping[str, str]  # all variables but PATH, HOME, LANG and those of the GPUs
    image: str  # transform.image
    working_dir: str  # "" = that of the image, or /
    user: str  # transform.user
    accept_return_code: tuple[int, ...]
    timeout: float | None  # seconds
    gpus: tuple[str, ...]  # ids from the pool
    limits: Limits = NO_LIMITS
    mounts: tuple[tuple[str, Path], ...] = ()  # (absolute path in the datum, directory seen read-only there)


@dataclass(frozen=True)
class DatumResult:
    """What became of it: `error` is "" when all went well, else worded as the real worker does."""

    error: str
    seconds: float  # from the start of the user code to its end


@dataclass(frozen=True)
class ImageState:
    """Whether datums of an image can run, and if not, why: "" while it is still being looked for."""

    ready: bool
    reason: str = ""


class BadTaskError(Exception):
    """A task that cannot be run here; the text says what is wrong with it."""


class Worker(Protocol):
    """Runs datums, any number at the same time."""

    def check(self) -> str:
        """Empty when datums can run here, else one line that says what is refused and what to do."""

    def start(self, changed: Callable[[], None]) -> None:
        """Called once the data directory is this server's alone: ends what a killed server left running.

        `changed` is to be called when the state of an image changes.
        """

    def stop(self) -> None:
        """Called when no datum runs any more."""

    def image(self, name: str) -> ImageState:
        """Answers at once; begins to look for an image that it does not know."""

    def notes(self, user: str, limits: Limits) -> list[str]:
        """What of a transform is not done here, or in another way: lines for the log of each job."""

    def run(self, task: DatumTask, log: Callable[[str], None], cancelled: threading.Event) -> DatumResult:
        """Runs the user code and returns when none of its processes is left.

        `log` gets each line of stdout and stderr as it appears. When `cancelled` is set, or the timeout
        passes, all processes are killed. Whatever goes wrong is the error of the result.
        """
