# SPDX-License-Identifier: GPL-3.0-or-later
"""What `create` of a container engine is told of a datum. Values that a spec gives are never options."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pachd_embedded.workers import gpus
from pachd_embedded.workers.engine import Engine
from pachd_embedded.workers.limits import Limits
from pachd_embedded.workers.worker import BadTaskError, DatumTask

_LEAST_CPU = 0.01  # docker takes no less
_SIMULATED = "simulated-"


def create(task: DatumTask, engine: Engine, image_config: Mapping[str, Any], env_file: Path) -> list[str]:
    """The options, the image and the words of the cmd. Raises BadTaskError."""
    options = [
        "--interactive",
        "--pull=never",
        "--log-driver=none",  # what it writes is read where it is started
        "--security-opt=label=disable",  # else SELinux keeps the container from its inputs
        f"--env-file={env_file}",
        f"--entrypoint={task.cmd[0]}",
        *(_env(task)),
        *(["--init"] if engine.has_init else []),
        *_volumes(task),
        *_limits(task.limits, engine.controllers),
        *_devices(task, engine.is_podman),
    ]
    if task.working_dir:
        options.append(f"--workdir={task.working_dir}")
    if task.user:
        options.append(f"--user={task.user}")
        if not any(entry.startswith("HOME=") for entry in image_config.get("Env") or ()):
            options.append("--env=HOME=/root")  # a pod's, which does not follow transform.user
    return [*options, "--", task.image, *task.cmd[1:]]


@contextlib.contextmanager
def env_file(task: DatumTask) -> Iterator[Path]:
    """The variables in a file that only this user may read: a command line is everybody's to see."""
    path = task.scratch / "env"
    variables = {**task.env, **gpus.visible(task.gpus)}
    lines = [f"{name}={value}\n" for name, value in variables.items() if _fits_a_line(name, value)]
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(os.fsencode("".join(lines)))
    try:
        yield path
    finally:
        path.unlink()


def _env(task: DatumTask) -> list[str]:
    """Variables that such a file cannot hold."""
    for name, value in task.env.items():
        if "\0" in name + value or "=" in name or not name:
            raise BadTaskError(f"fork/exec {task.cmd[0]}: invalid argument")
    return [f"--env={name}={value}" for name, value in task.env.items() if not _fits_a_line(name, value)]


def _fits_a_line(name: str, value: str) -> bool:
    return not (set("\r\n") & set(value) or name.startswith("#") or name.split() != [name])


def _volumes(task: DatumTask) -> list[str]:
    pfs = task.scratch / "pfs"
    seen = [(f"/pfs/{entry.name}", entry) for entry in sorted(pfs.iterdir()) if entry.name != "out"]
    for path, _source in (*seen, *task.mounts):
        if ":" in path:
            raise BadTaskError(f"{path}: containers cannot be given a path with ':' in it")
    return [*(f"--volume={source}:{path}:ro" for path, source in (*seen, *task.mounts)), "--volume=/pfs/out"]


def _limits(limits: Limits, controllers: frozenset[str]) -> list[str]:
    found = []
    if limits.memory is not None and "memory" in controllers:
        # The second is memory and swap together: none to swap.
        found += [f"--memory={limits.memory}", f"--memory-swap={limits.memory}"]
    if limits.cpu is not None and "cpu" in controllers:
        found.append(f"--cpus={max(limits.cpu, _LEAST_CPU):.4g}")
    return found


def _devices(task: DatumTask, is_podman: bool) -> list[str]:
    """podman by the names that NVIDIA's CDI specification gives the devices, docker by NVIDIA's runtime."""
    real = [device for device in task.gpus if not device.startswith(_SIMULATED)]
    if is_podman:
        return [f"--device=nvidia.com/gpu={device}" for device in real]
    return [f'--gpus="device={",".join(real)}"'] if real else []
