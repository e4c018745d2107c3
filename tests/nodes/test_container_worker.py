# SPDX-License-Identifier: GPL-3.0-or-later
"""`--worker container` with the real podman: what code sees of its image, and what its containers leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client

from pachd_embedded.server import Server, Settings
from tests.contract.lab import Lab, poll
from tests.nodes import engines
from tests.nodes.engines import IMAGE, Podman

ROOT = Path(__file__).resolve().parents[2]
# An image that sets all that an image can set.
SETS_ALL = "localhost/sets-all:1"
CHANGES = (
    'ENTRYPOINT ["/bin/false"]',
    'CMD ["never"]',
    "WORKDIR /work",
    "ENV OF_THE_IMAGE=1",
    "ENV FROM=image",
    "USER lab",
)


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    with engines.podman() as engine:
        engine.make_image(IMAGE, files={"etc/lab-release": "7\n"})
        engine.make_image(SETS_ALL, *CHANGES, files={"work/here": "", "home/user/here": ""})
        yield engine


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pachd")


@contextmanager
def serving(podman: Podman, directory: Path, gpus: int | None = 2) -> Iterator[Server]:
    settings = Settings(
        directory,
        "127.0.0.1:0",
        gpus=gpus,
        worker="container",
        container_engine=str(podman.program),
        container_network="none",
    )
    server = Server(settings)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def server(podman: Podman, data_dir: Path) -> Iterator[Server]:
    with serving(podman, data_dir) as server:
        yield server


def lab_at(address: str) -> Lab:
    host, _, port = address.rpartition(":")
    return Lab(Client(host, int(port)))


@pytest.fixture
def lab(server: Server, podman: Podman) -> Iterator[Lab]:
    """Whatever a test does, no container and no volume is left once its jobs have ended."""
    yield lab_at(server.address)
    poll(lambda: podman.containers() == [] == podman.volumes())


Run = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def run(lab: Lab) -> Run:
    """Runs a script over one file `a`; the counts of its job and what it wrote."""

    def one(*script: str, image: str = IMAGE, **fields: Any) -> tuple[str, list[str]]:
        transform = {"image": image} | fields.pop("transform", {})
        source = {"pfs": {"name": "in", "repo": lab.repo(a="content"), "glob": "/*"}}
        pipeline = lab.pipeline(source, *script, transform=transform, datum_tries=1, **fields)
        return lab.counts(pipeline), lab.logs(pipeline)

    return one


def errors(lab: Lab) -> list[str]:
    """What the newest pipeline's newest job says of its datums."""
    pipeline = next(iter(lab.pps.list_pipeline(details=False))).pipeline.name
    return [line.rpartition("s: ")[2] for line in lab.logs(pipeline, user=False)]


# --- what code sees ---


def test_code_runs_in_its_image(run: Run) -> None:
    assert run("cat /etc/lab-release; [ ! -e /usr/sbin ]") == ("SUCCESS p1 t1", ["7"])


def test_input_and_output_are_at_pfs(lab: Lab) -> None:
    source = {"pfs": {"name": "in", "repo": lab.repo(a="1", b="2"), "glob": "/"}}
    script = ("cd /pfs; ls; mkdir out/d; cat in/a in/b > out/d/both",)
    pipeline = lab.pipeline(source, *script, transform={"image": IMAGE})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.logs(pipeline) == ["in", "out"]
    assert lab.files(pipeline) == {"/d/both": "12"}


def test_inputs_are_read_only(run: Run) -> None:
    counts, lines = run("touch /pfs/in/a; touch /pfs/in/b; touch /b")
    assert (counts, [line.rpartition(": ")[2] for line in lines]) == (
        "SUCCESS p1 t1",
        ["Read-only file system"] * 2,
    )


def test_entrypoint_and_cmd_of_the_image_are_ignored(run: Run) -> None:
    assert run("echo $0 $#", image=SETS_ALL) == ("SUCCESS p1 t1", ["bash 0"])


def test_words_of_the_cmd_are_kept_apart(run: Run) -> None:
    cmd = ["bash", "-c", 'for word; do echo "$word"; done', "x", "--privileged", "a b", ""]
    assert run(transform={"cmd": cmd}) == ("SUCCESS p1 t1", ["--privileged", "a b", ""])


def test_the_images_directory_user_and_variables(run: Run) -> None:
    script = 'echo "$PWD $OF_THE_IMAGE $FROM $HOME"; id -u'
    assert run(script, image=SETS_ALL) == ("SUCCESS p1 t1", ["/work 1 image /home/user", "1000"])


def test_what_the_transform_sets_wins(run: Run) -> None:
    transform = {"working_dir": "/etc", "env": {"FROM": "transform"}, "user": "nobody"}
    counts, lines = run('echo "$PWD $FROM $HOME"; id -u', image=SETS_ALL, transform=transform)
    assert (counts, lines) == ("SUCCESS p1 t1", ["/etc transform /root", "65534"])


def test_code_of_another_user_writes_its_output(lab: Lab) -> None:
    source = {"pfs": {"name": "in", "repo": lab.repo(a="1"), "glob": "/"}}
    script = ("umask 077; mkdir /pfs/out/d; cat /pfs/in/a > /pfs/out/d/a",)
    pipeline = lab.pipeline(source, *script, transform={"image": IMAGE, "user": "lab"})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.files(pipeline) == {"/d/a": "1"}


@pytest.mark.parametrize(
    "value", ["a b", " \"x\" 'y' ", "#no comment", "$HOME `id` \\n", "two\nlines", "a=b", "", "ü*"]
)
def test_variables_arrive_as_they_are(run: Run, value: str) -> None:
    counts, lines = run('echo "<$GIVEN>"', transform={"env": {"GIVEN": value}})
    assert (counts, "\n".join(lines)) == ("SUCCESS p1 t1", f"<{value}>")


def test_variables_are_on_no_command_line(lab: Lab, podman: Podman) -> None:
    """Every user of the machine can read those."""
    source = {"pfs": {"name": "in", "repo": lab.repo(a="1"), "glob": "/"}}
    transform = {"image": IMAGE, "env": {"GIVEN": "not-to-be-seen"}}
    pipeline = lab.pipeline(source, "sleep 600", transform=transform)
    poll(podman.containers)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert any(b"pachd-embedded-" in line for line in lines)
    assert not any(b"not-to-be-seen" in line for line in lines)
    lab.pps.stop_job(job=lab.jobs(pipeline)[0].job)


def test_gpus_are_named_to_the_code(run: Run) -> None:
    limits = {"gpu": {"type": "nvidia.com/gpu", "number": 2}}
    counts, lines = run("echo $NVIDIA_VISIBLE_DEVICES $CUDA_VISIBLE_DEVICES", resource_limits=limits)
    assert (counts, lines) == ("SUCCESS p1 t1", ["simulated-0,simulated-1 simulated-0,simulated-1"])


def test_a_container_is_given_the_gpus_that_were_lent(
    podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\n" + "".join(f"echo {gpu}\n" for gpu in engines.GPUS))
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}:{os.environ['PATH']}")
    with serving(podman, tmp_path / "data", gpus=None) as server:
        lab = lab_at(server.address)
        for number in (1, 2):
            limits = {"gpu": {"type": "nvidia.com/gpu", "number": number}}
            script = "env | while read -r x; do case $x in CDI_*|NVIDIA_V*) echo $x;; esac; done"
            pipeline = lab.pipeline(
                lab.repo(a="1"), script, transform={"image": IMAGE}, resource_limits=limits
            )
            assert lab.counts(pipeline) == "SUCCESS p1 t1"
            lent = engines.GPUS[:number]
            assert sorted(lab.logs(pipeline)) == sorted(
                [*(f"CDI_{gpu[4:]}=given" for gpu in lent), f"NVIDIA_VISIBLE_DEVICES={','.join(lent)}"]
            )


def test_nothing_of_the_machine_is_seen(run: Run, data_dir: Path) -> None:
    assert run(f"ls {data_dir} {Path.home()} {ROOT} 2>/dev/null; true") == ("SUCCESS p1 t1", [])


# --- limits ---


def test_more_memory_than_its_limit_ends_the_code(run: Run, lab: Lab) -> None:
    grow = "x=x; for n in {1..27}; do x=$x$x; done; echo done"
    assert run(grow, resource_limits={"memory": "1Gi"}) == ("SUCCESS p1 t1", ["done"])
    counts, lines = run(grow, resource_limits={"memory": "32Mi"})
    assert (counts, errors(lab)) == ("FAILURE f1 t1", ["signal: killed"])
    assert lines == ["the kernel killed the code: it needs more memory than resource_limits.memory"]


def test_a_share_of_cpu_is_its_limit(run: Run) -> None:
    read = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null; true"
    counts, lines = run(read, resource_limits={"cpu": 0.25})
    assert (counts, lines[0].split()[0]) == ("SUCCESS p1 t1", "25000")


# --- failures ---


@pytest.mark.parametrize(
    ("cmd", "error"),
    [
        (["bash", "-c", "exit 3"], "exit status 3"),
        (["/nonexistent"], "fork/exec /nonexistent: no such file or directory"),
        (["nonexistent"], 'exec: "nonexistent": executable file not found in $PATH'),
        (["/etc/passwd/x"], "fork/exec /etc/passwd/x: no such file or directory"),
        (["/etc"], "fork/exec /etc: permission denied"),
        (["bash", "-c", "mkfifo /pfs/out/x"], "/pfs/out/x is neither a file nor a directory"),
    ],
)
def test_errors_are_worded_as_by_the_real_worker(run: Run, lab: Lab, cmd: list[str], error: str) -> None:
    counts, _ = run(transform={"cmd": cmd})
    assert (counts, errors(lab)) == ("FAILURE f1 t1", [error])


def test_a_directory_that_is_not_there(run: Run, lab: Lab) -> None:
    counts, _ = run("true", transform={"working_dir": "/nowhere"})
    assert (counts, errors(lab)) == ("FAILURE f1 t1", ["chdir /nowhere: no such file or directory"])


def test_accepted_return_codes(run: Run) -> None:
    assert run("exit 3", transform={"accept_return_code": [3]})[0] == "SUCCESS p1 t1"


def test_a_datum_that_takes_too_long_is_killed(run: Run, lab: Lab) -> None:
    counts, _ = run("sleep 600", datum_timeout="1s")
    assert (counts, errors(lab)) == (
        "FAILURE f1 t1",
        ["signal: killed because context deadline exceeded"],
    )


def test_a_job_that_is_stopped_ends_its_container(lab: Lab, podman: Podman) -> None:
    source = {"pfs": {"repo": lab.repo(a="1"), "glob": "/"}}
    pipeline = lab.pipeline(source, "echo begun; sleep 600", transform={"image": IMAGE})
    poll(lambda: lab.logs(pipeline) == ["begun"])
    lab.pps.stop_job(job=lab.jobs(pipeline)[0].job)
    assert lab.counts(pipeline) == "KILLED t1"
    poll(lambda: podman.containers() == [])


@pytest.mark.parametrize(
    ("target", "counts"),
    [("/pfs/in/a", "SUCCESS p1 t1"), ("../in/a", "SUCCESS p1 t1"), ("/etc/passwd", "FAILURE f1 t1")],
)
def test_links_in_the_output_are_followed_into_pfs_only(run: Run, target: str, counts: str) -> None:
    assert run("cd /pfs/out; " + f"ln -s {target} x")[0] == counts


# --- images ---


def test_an_image_that_is_not_there_keeps_the_job_waiting_until_it_is(lab: Lab, podman: Podman) -> None:
    name = "localhost/later:1"
    pipeline = lab.pipeline(lab.repo(a="1"), "true", transform={"image": name})
    poll(lambda: lab.pipeline_state(pipeline) == "CRASHING")
    info = lab.pipeline_info(pipeline)
    assert info.reason.startswith(f'Back-off pulling image "{name}": ErrImagePull: ')
    assert info.details.workers_available == 0
    assert lab.state(pipeline) == "CREATED"
    podman("tag", IMAGE, name)
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    poll(lambda: lab.pipeline_state(pipeline) == "RUNNING")
    assert lab.pipeline_info(pipeline).reason == ""


def test_an_update_with_another_image_heals(lab: Lab) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(repo, "true", transform={"image": "localhost/never:1"})
    poll(lambda: lab.pipeline_state(pipeline) == "CRASHING")
    lab.pipeline(repo, "true", name=pipeline, update=True, transform={"image": IMAGE})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert [lab.counts(pipeline, job.job.id) for job in lab.jobs(pipeline, history=-1)] == [
        "SUCCESS p1 t1",
        "KILLED t0",
    ]


@pytest.mark.parametrize("name", ["--privileged", "dir:/etc", "UPPER CASE", "docker-archive:/x"])
def test_what_names_no_image_is_never_given_to_the_engine(lab: Lab, name: str) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true", transform={"image": name})
    poll(lambda: lab.pipeline_state(pipeline) == "CRASHING")
    assert "invalid reference format" in lab.pipeline_info(pipeline).reason


# --- the server's end ---


def test_what_a_killed_server_leaves_is_removed_and_done_again(podman: Podman, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", str(tmp_path / "data")]
    command += ["--address", "127.0.0.1:0", "--worker", "container", "--container-network", "none"]
    command += ["--container-engine", str(podman.program)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "embedded")}

    def start() -> tuple[subprocess.Popen[str], Lab]:
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        ready = server.stdout.readline()
        return server, lab_at(ready.partition("address=")[2].partition(" ")[0])

    podman("run", "--detach", "--name", "others", "--network", "none", IMAGE, "sleep", "600")
    server, lab = start()
    try:
        source = {"pfs": {"name": "in", "repo": lab.repo(a="1"), "glob": "/"}}
        pipeline = lab.pipeline(source, "echo begun; sleep 3", transform={"image": IMAGE})
        poll(lambda: lab.logs(pipeline) == ["begun"])
        server.kill()
        server.wait()
        (left,) = set(podman.containers()) - {"others"}
        server, lab = start()
        poll(lambda: left not in podman.containers())
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        poll(lambda: podman.containers() == ["others"])
    finally:
        server.kill()
        server.wait()
        if server.stdout:
            server.stdout.close()
        podman("rm", "--force", "--time", "0", "others")
