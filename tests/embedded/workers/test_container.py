# SPDX-License-Identifier: GPL-3.0-or-later
"""The container worker with an engine that only pretends: what docker is told, and what its answers mean.

With a real podman: tests/nodes/test_container_worker.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.server import Server
from pachd_embedded.settings import Settings, StartError
from pachd_embedded.workers import container_args, engine
from pachd_embedded.workers.container import ContainerWorker
from pachd_embedded.workers.engine import Engine
from pachd_embedded.workers.limits import NO_LIMITS, Limits
from pachd_embedded.workers.worker import BadTaskError, DatumTask
from tests.contract.lab import poll
from tests.embedded.workers.pretended import PODMAN, Pretended


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., DatumTask]:
    def make(*cmd: str, **fields: Any) -> DatumTask:
        (tmp_path / "scratch/pfs/out").mkdir(parents=True, exist_ok=True)
        (tmp_path / "scratch/pfs/in").mkdir(exist_ok=True)
        plain: dict[str, Any] = {"stdin": (), "env": {}, "image": "there", "working_dir": "", "user": ""}
        plain |= {"timeout": None, "accept_return_code": (), "gpus": ()}
        return DatumTask(scratch=tmp_path / "scratch", cmd=cmd, **(plain | fields))

    return make


@pytest.fixture
def worker(pretended: Pretended, tmp_path: Path) -> ContainerWorker:
    worker = ContainerWorker(str(pretended.program), "mark", "", tmp_path)
    assert worker.check() == ""
    poll(lambda: worker.image("there").ready)
    return worker


def run(worker: ContainerWorker, task: DatumTask) -> tuple[str, list[str]]:
    lines: list[str] = []
    return worker.run(task, lines.append, threading.Event()).error, lines


# --- which engine ---


def test_the_engine_that_is_there_is_taken(pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{pretended.program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(engine, "_NAMES", ("no-such-engine", pretended.program.name))
    assert engine.find("").command("ps") == [str(pretended.program), "ps"]


def test_a_machine_without_an_engine_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError) as refused:
        Server(Settings(tmp_path / "data", "127.0.0.1:0", worker="container"))
    assert str(refused.value) == (
        "--worker container: no container engine that works here: "
        "podman: no such program; docker: no such program"
    )


def test_a_daemon_that_does_not_run_is_told_in_its_own_words(docker: Pretended, tmp_path: Path) -> None:
    docker.says(
        "[ $1 != info ] || { echo 'Cannot connect to the Docker daemon. Is it running?' >&2; exit 1; }"
    )
    worker = ContainerWorker(str(docker.program), "mark", "", tmp_path)
    assert worker.check().endswith("docker: Cannot connect to the Docker daemon. Is it running?")


def test_a_data_directory_that_cannot_be_mounted_is_refused(docker: Pretended) -> None:
    worker = ContainerWorker(str(docker.program), "mark", "", Path("/data:1"))
    assert "':'" in worker.check()


def test_limits_that_the_engine_cannot_enforce_are_said_and_left_out(
    tmp_path: Path, task: Callable[..., DatumTask]
) -> None:
    rootless = Pretended(tmp_path, "podman", PODMAN[0], '["memory","pids"]')
    worker = ContainerWorker(str(rootless.program), "mark", "", tmp_path)
    assert worker.check() == ""
    limits = Limits(memory=1 << 26, cpu=0.5)
    assert worker.notes("", limits) == [
        "resource_limits.cpu is not enforced: the container engine cannot limit it for this user"
    ]
    assert worker.notes("nobody", NO_LIMITS) == []
    words = container_args.create(task("x", limits=limits), Engine(str(rootless.program)), {}, Path("/env"))
    assert [word for word in words if word.startswith(("--mem", "--cpu"))] == [
        "--memory=67108864",
        "--memory-swap=67108864",
    ]


# --- what it is told ---


def test_real_gpus_are_given_by_the_engines_own_option(
    pretended: Pretended, task: Callable[..., DatumTask]
) -> None:
    lent = ("GPU-1f0e", "GPU-2a7c")
    words = container_args.create(task("x", gpus=lent), Engine(str(pretended.program)), {}, Path("/env"))
    found = [word for word in words if word.startswith(("--device", "--gpus"))]
    assert found == (
        ['--gpus="device=GPU-1f0e,GPU-2a7c"']
        if pretended.program.name == "docker"
        else ["--device=nvidia.com/gpu=GPU-1f0e", "--device=nvidia.com/gpu=GPU-2a7c"]
    )


def test_simulated_gpus_are_no_devices(pretended: Pretended, task: Callable[..., DatumTask]) -> None:
    simulated = task("x", gpus=("simulated-0",))
    words = container_args.create(simulated, Engine(str(pretended.program)), {}, Path("/env"))
    assert not [word for word in words if word.startswith(("--device", "--gpus"))]


def test_nothing_that_a_spec_says_becomes_an_option(
    pretended: Pretended, task: Callable[..., DatumTask]
) -> None:
    hostile = task("--privileged", "--volume=/:/host", image="--net=host", user="--x", working_dir="--y")
    words = container_args.create(hostile, Engine(str(pretended.program)), {}, Path("/env"))
    options, rest = words[: words.index("--")], words[words.index("--") + 1 :]
    assert rest == ["--net=host", "--volume=/:/host"]
    assert {"--entrypoint=--privileged", "--user=--x", "--workdir=--y"} <= set(options)
    assert "--privileged" not in options


def test_a_path_with_a_colon_cannot_be_mounted(docker: Pretended, task: Callable[..., DatumTask]) -> None:
    hostile = task("x", mounts=(("/a:/etc:rw", Path("/tmp")),))
    with pytest.raises(BadTaskError, match="':'"):
        container_args.create(hostile, Engine(str(docker.program)), {}, Path("/env"))


def test_what_a_datum_is_given_to_see(docker: Pretended, task: Callable[..., DatumTask]) -> None:
    given = task("x", mounts=(("/secret", Path("/some/where")),))
    words = container_args.create(given, Engine(str(docker.program)), {}, Path("/env"))
    assert [word for word in words if word.startswith("--volume")] == [
        f"--volume={given.scratch}/pfs/in:/pfs/in:ro",
        "--volume=/some/where:/secret:ro",
        "--volume=/pfs/out",
    ]


def test_the_network_is_as_configured(docker: Pretended, tmp_path: Path, task: Any) -> None:
    worker = ContainerWorker(str(docker.program), "mark", "lab-net", tmp_path)
    assert worker.check() == ""
    poll(lambda: worker.image("there").ready)
    run(worker, task("x"))
    (created,) = docker.calls("create")
    assert "--network=lab-net" in created.split()


# --- ends ---


def test_code_that_ends_well(worker: ContainerWorker, pretended: Pretended, task: Any) -> None:
    assert run(worker, task("x", stdin=("a", "b"))) == ("", ["a", "b"])
    assert len(pretended.calls("rm")) == 1


def test_for_want_of_memory(worker: ContainerWorker, pretended: Pretended, task: Any) -> None:
    pretended.says("""code=137 state='{"Status":"exited","ExitCode":137,"OOMKilled":true}'""")
    assert run(worker, task("x")) == (
        "signal: killed",
        ["the kernel killed the code: it needs more memory than resource_limits.memory"],
    )


@pytest.mark.parametrize(
    ("why", "error"),
    [
        (
            'exec: "x": executable file not found in $PATH: unknown',
            'exec: "x": executable file not found in $PATH',
        ),
        ('exec: "x": permission denied', "fork/exec x: permission denied"),
        ("no space left on device", "container engine: no space left on device"),
    ],
)
def test_code_that_docker_cannot_start(
    worker: ContainerWorker, pretended: Pretended, task: Any, why: str, error: str
) -> None:
    state = json.dumps({"Status": "created", "ExitCode": 127, "Error": why})
    pretended.says(f"code=127 state='{state}'")
    assert run(worker, task("x"))[0] == error


def test_an_engine_that_refuses_is_the_error(
    worker: ContainerWorker, pretended: Pretended, task: Any
) -> None:
    pretended.says("[ $1 != create ] || { echo 'Error: no subuid ranges' >&2; exit 125; }")
    assert run(worker, task("x")) == ("container engine: no subuid ranges", [])


def test_an_image_that_has_gone_is_missed_by_the_next_job(
    worker: ContainerWorker, pretended: Pretended, task: Any
) -> None:
    pretended.says("case $1 in create | image) echo 'Error: no such image' >&2; exit 125 ;; esac")
    assert run(worker, task("x"))[0] == "container engine: no such image"
    poll(lambda: "ErrImagePull" in worker.image("there").reason)


def test_a_variable_that_no_process_can_have(worker: ContainerWorker, task: Any) -> None:
    assert run(worker, task("x", env={"a": "x\0y"}))[0] == "fork/exec x: invalid argument"


def test_no_command(worker: ContainerWorker, task: Any) -> None:
    assert run(worker, task())[0] == "invalid pipeline transform, no command specified"
