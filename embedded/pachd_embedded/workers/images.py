# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of pipelines: whether the engine has them, and pulling those that it has not."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pachd_embedded.workers.engine import Engine, EngineError, said
from pachd_embedded.workers.worker import ImageState

# Seconds between two pulls of an image that cannot be had, doubled each time, as the kubelet does it.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
# Seconds after which it is looked for again in the engine, where somebody may have built it meanwhile.
LOOK_SECONDS = 3.0
# A reference as registries define it. An engine takes more for a name: options, archives of this machine.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@[a-z0-9]+:[0-9a-f]{32,})?",
    re.ASCII,
)


@dataclass
class _Image:
    state: ImageState = field(default_factory=lambda: ImageState(False))
    config: dict[str, Any] = field(default_factory=dict)
    looking: bool = False
    failures: int = 0
    look_at: float = 0.0  # monotonic time of the next look
    pull_at: float = 0.0  # and of the next pull


class Images:
    """Thread-safe; `state` never waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images: dict[str, _Image] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pulls: set[subprocess.Popen[str]] = set()
        self.changed: Callable[[], None] = lambda: None

    def state(self, name: str) -> ImageState:
        if not _REFERENCE.fullmatch(name):
            return ImageState(False, f'couldn\'t parse image name "{name}": invalid reference format')
        with self._lock:
            image = self._images.setdefault(name, _Image())
            due = time.monotonic() >= image.look_at and not self._stopping.is_set()
            if due and not image.state.ready and not image.looking:
                image.looking = True
                threading.Thread(
                    target=self._look, args=(name, image), name=f"image-{name}", daemon=True
                ).start()
            return image.state

    def config(self, name: str) -> dict[str, Any]:
        """The image's configuration as OCI defines it (User, Env, WorkingDir...); it must be ready."""
        return self._images[name].config

    def forget(self, name: str) -> None:
        """It turned out not to be there any more: looked for anew when the next job wants it."""
        with self._lock:
            self._images.pop(name, None)

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            for pull in self._pulls:
                pull.kill()

    def _look(self, name: str, image: _Image) -> None:
        try:
            error = self._inspect(name, image)
            if error and time.monotonic() >= image.pull_at:
                error = self._pull(name) or self._inspect(name, image)
                pause = min(FIRST_PAUSE * 2**image.failures, LONGEST_PAUSE)
                image.pull_at = time.monotonic() + pause
                image.failures += 1
                image.state = _state(name, error)
            elif not error:
                image.state = ImageState(True)
        finally:
            image.look_at = time.monotonic() + LOOK_SECONDS
            image.looking = False
        if not self._stopping.is_set():
            self.changed()

    def _inspect(self, name: str, image: _Image) -> str:
        """Empty when the engine has it, else what it says."""
        try:
            told = self._engine.call("image", "inspect", "--format", "{{json .Config}}", name)
            image.config = json.loads(told) or {}
        except EngineError as error:
            return str(error)
        return ""

    def _pull(self, name: str) -> str:
        """Empty when it was pulled, else what the engine says. Takes as long as it takes."""
        command = self._engine.command("pull", "--quiet", name)
        with self._lock:
            if self._stopping.is_set():
                return "the server stops"
            pull = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._pulls.add(pull)
        with pull:
            errors = pull.communicate()[1]
        with self._lock:
            self._pulls.discard(pull)
        return said(errors) if pull.returncode != 0 else ""


def _state(name: str, error: str) -> ImageState:
    """Worded as Kubernetes does it in the reason of a pod."""
    if not error:
        return ImageState(True)
    return ImageState(False, f'Back-off pulling image "{name}": ErrImagePull: {error}')
