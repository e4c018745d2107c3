# SPDX-License-Identifier: GPL-3.0-or-later
"""The `container` worker: runs the user code of datums in containers of the transform's own image.

One container for each datum, made, started and removed by podman's or docker's command line. Its inputs are
seen read-only at /pfs/<input>; /pfs/out is a volume of the container's own and is copied out when the code
has ended, so that it does not matter which user of the machine the container's users are.

Where it differs from a worker pod of a real Pachyderm:

- What a datum writes outside of /pfs/out is gone with its container; in a pod the next datum sees it.
- Without an init (podman without catatonit) the code is process 1, which the kernel spares most signals.
- A code that a signal ended has "exit status 128+N", as an engine tells it, unless it was killed for
  cause: by a timeout, by a stop of its job, or for want of memory.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from pachd_embedded.workers import container_args, engine, output_tar
from pachd_embedded.workers.container_run import ContainerRun
from pachd_embedded.workers.engine import EngineError
from pachd_embedded.workers.images import Images
from pachd_embedded.workers.limits import Limits
from pachd_embedded.workers.worker import BadTaskError, DatumResult, DatumTask, ImageState

logger = logging.getLogger(__name__)

LABEL = "pachd-embedded"  # on every container; its value tells the data directory


class ContainerWorker:
    """`mark` tells this server's containers from those of others; `network` "" is the engine's default."""

    def __init__(self, engine_name: str, mark: str, network: str, data_dir: Path) -> None:
        self._engine_name = engine_name
        self._mark = mark
        self._network = network
        self._data_dir = data_dir
        self._numbers = itertools.count(1)

    def check(self) -> str:
        try:
            self._engine = engine.find(self._engine_name)
        except EngineError as error:
            return f"--worker container: no container engine that works here: {error}"
        self._images = Images(self._engine)
        if not engine.mountable(self._data_dir):
            return f"--data-dir {self._data_dir}: containers cannot be given a directory with ':' in its name"
        return ""

    def start(self, changed: Callable[[], None]) -> None:
        self._images.changed = changed
        try:
            left = self._engine.call("ps", "--all", "--quiet", "--filter", f"label={LABEL}={self._mark}")
        except EngineError as error:
            logger.warning("cannot look for containers that an earlier server left: %s", error)
        else:
            if left:
                self._remove(*left.split())

    def stop(self) -> None:
        self._images.stop()

    def image(self, name: str) -> ImageState:
        return self._images.state(name)

    def notes(self, user: str, limits: Limits) -> list[str]:
        wanted = {"memory": limits.memory, "cpu": limits.cpu}
        return [
            f"resource_limits.{name} is not enforced: the container engine cannot limit it for this user"
            for name in ("memory", "cpu")
            if wanted[name] is not None and name not in self._engine.controllers
        ]

    def run(self, task: DatumTask, log: Callable[[str], None], cancelled: threading.Event) -> DatumResult:
        if not task.cmd:
            return DatumResult("invalid pipeline transform, no command specified", 0.0)
        name = f"{LABEL}-{self._mark}-{next(self._numbers)}-{secrets.token_hex(4)}"
        run = ContainerRun(self._engine, task, name, log, cancelled)
        try:
            with container_args.env_file(task) as env_file:
                config = self._images.config(task.image)
                own = [f"--name={name}", f"--label={LABEL}={self._mark}"]
                own += [f"--network={self._network}"] if self._network else []
                self._engine.call(
                    "create", *own, *container_args.create(task, self._engine, config, env_file)
                )
            error = run.to_its_end()
            if not error:
                output_tar.fetch(self._engine, f"{name}:/pfs/out", task.scratch / "pfs" / "out")
        except BadTaskError as refusal:
            error = str(refusal)
        except EngineError as failure:
            error = f"container engine: {failure}"
            self._images.forget(task.image)
        finally:
            self._remove(name)
        return DatumResult(error, run.seconds)

    def _remove(self, *containers: str) -> None:
        """With their volumes; running ones are killed. One that is not there is no error."""
        command = [
            "rm",
            "--force",
            "--volumes",
            *(["--time=0"] if self._engine.is_podman else []),
            *containers,
        ]
        with contextlib.suppress(EngineError):
            self._engine.call(*command)
