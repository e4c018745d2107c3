# SPDX-License-Identifier: GPL-3.0-or-later
"""What user code sees of the machine, and what it cannot do to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import layout
from pachd_embedded.workers.process import ProcessWorker

needs_tools = pytest.mark.skipif(
    not (shutil.which("unshare") and shutil.which("setpriv")), reason="needs util-linux"
)


def test_input_and_output_are_at_pfs(datums: Any) -> None:
    datum = datums.script("cat /pfs/in/a > /pfs/out/b", "ls /pfs", inputs={"in/a": "hello"})
    assert datum.error == ""
    assert datum.output("b") == "hello"
    assert datum.lines == ["in", "out"]
    assert (datum.scratch / "pfs/out/b").stat().st_uid == os.geteuid()


def test_user_code_is_root_without_the_rights_of_root(datums: Any) -> None:
    assert datums.script("id -u; id -g").lines == ["0", "0"]
    tries = datums.script(
        "mount -o remount,rw,bind /usr", "umount /usr", "chroot / true", "mount -t tmpfs none /tmp", "true"
    )
    assert len(tries.lines) >= 4, tries.lines
    assert datums.script("chroot / true").error == "exit status 125"


@pytest.mark.parametrize("path", ["/usr", "/etc", "/sys", "/proc/sys/kernel/core_pattern", sys.prefix])
def test_the_system_is_read_only(datums: Any, path: str) -> None:
    assert datums.run("test", "-e", path).error == ""
    assert datums.run("test", "-w", path).error == "exit status 1"


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/root", "/run", "/dev/shm", "/new", "/pfs/in"])
def test_writable_places_are_private_to_a_datum(datums: Any, place: str) -> None:
    first = datums.script(f"mkdir -p {place}; echo x > {place}/left-here; cat {place}/left-here")
    assert first.lines == ["x"]
    assert datums.script(f"test -e {place}/left-here").error == "exit status 1"
    assert not os.path.exists(f"{place}/left-here")


def test_nobodys_files_are_seen(datums: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert (datums.run("cat", str(tmp_path / "secret"))).error == "exit status 1"
    assert datums.script("cat /etc/shadow /etc/gshadow 2>/dev/null; true").lines == []
    home = Path.home()
    if not home.is_dir():
        pytest.skip("a user without a home")
    python = [Path(path) for path in (sys.prefix, sys.base_prefix)]
    for entry in home.iterdir():
        if not any(path.is_relative_to(entry) for path in python):
            assert datums.run("test", "-e", str(entry)).error == "exit status 1", entry


def test_a_private_directory_within_the_system_is_hidden(datums: Any) -> None:
    assert datums.script("ls /usr/share").lines != []
    datums.worker = ProcessWorker({}, private=(Path("/usr/share"),))
    assert datums.script("ls /usr/share").lines == []


def test_a_python_below_a_private_directory_stays_visible(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/lab/venv")
    shown = layout.places([Path("/opt/lab")])
    assert shown.index(("/opt", "/opt")) < shown.index(("/opt/lab", "")) < len(shown)
    assert ("/opt/lab/venv", "/opt/lab/venv") in shown[shown.index(("/opt/lab", "")) :]


def test_only_the_datums_own_processes_are_seen(datums: Any) -> None:
    assert datums.script("cd /proc; echo [0-9]*").lines == ["1 2"]  # the init and sh


def test_the_environment_is_the_tasks_own(datums: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    datum = datums.run("env", env={"PACH_JOB_ID": "1234", "in": "/pfs/in/a b"})
    assert sorted(line for line in datum.lines if not line.startswith("PATH=")) == [
        "CUDA_VISIBLE_DEVICES=",
        "HOME=/root",
        "LANG=C.UTF-8",
        "NVIDIA_VISIBLE_DEVICES=void",
        "PACH_JOB_ID=1234",
        "in=/pfs/in/a b",
    ]


def test_gpus_are_named_to_the_code(datums: Any) -> None:
    datum = datums.script(
        "echo $NVIDIA_VISIBLE_DEVICES $CUDA_VISIBLE_DEVICES", gpus=("simulated-1", "simulated-3")
    )
    assert datum.lines == ["simulated-1,simulated-3 simulated-1,simulated-3"]


def test_python_is_the_servers_own_with_its_packages(datums: Any) -> None:
    datum = datums.run("python", "-c", "import sys, pytest; print(sys.prefix)")
    assert (datum.error, datum.lines) == ("", [sys.prefix])


def test_devices_work(datums: Any) -> None:
    datum = datums.script(
        "head -c 3 /dev/zero | wc -c; echo x > /dev/null; head -c 3 /dev/urandom | wc -c",
        "echo out > /dev/stdout; echo err > /dev/stderr",
        "python -c 'import multiprocessing; multiprocessing.Lock(); print(1)'",
    )
    assert (datum.error, datum.lines) == ("", ["3", "3", "out", "err", "1"])


def test_nothing_stays_mounted(datums: Any) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    datum = datums.script("true")
    assert Path("/proc/self/mountinfo").read_text() == before
    assert list((datum.scratch / "root").iterdir()) == []


# --- other users and other kernels ---


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may enter, with the package and room for a datum in it."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        shutil.copytree(Path(layout.__file__).parents[1], top / "embedded" / "pachd_embedded")
        (top / "room").mkdir()
        (top / "room").chmod(0o777)
        yield top


# Mounts shared with namespaces made from it, as systemd sets a machine up.
_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "shared")
_DATUM = "id -u; cat /etc/hostname > /pfs/out/x && echo out; echo x > /usr/x || echo read-only; ls {room}"


@needs_tools
def test_an_ordinary_user_gets_the_same(elsewhere: Any, open_directory: Path) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    user = [*(nobody if os.geteuid() == 0 else []), "env"]
    python = next(
        (
            python
            for python in (sys.executable, "/usr/bin/python3")
            if subprocess.run(
                [*user, python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
                capture_output=True,
                check=False,
            ).returncode
            == 0
        ),
        None,
    )
    if python is None:
        pytest.skip("no Python 3.11 that other users may run")
    room = open_directory / "room"
    prefix = [*user, f"PYTHONPATH={open_directory / 'embedded'}"]
    answer = elsewhere(prefix, room / "datum", _DATUM.format(room=room), python)
    assert answer["check"] == ""
    assert answer["error"] == "exit status 2"
    assert [line for line in answer["lines"] if ":" not in line] == ["0", "out", "read-only"]


def _without_user_namespaces(command: str) -> list[str]:
    """Runs a command as root of a user namespace that allows no other one below it."""
    script = f'echo 0 > /proc/sys/user/max_user_namespaces && {command} "$@"'
    return [*_NAMESPACES, "sh", "-c", script, "sh"]


@needs_tools
def test_root_without_user_namespaces_is_isolated_all_the_same(elsewhere: Any, tmp_path: Path) -> None:
    answer = elsewhere(_without_user_namespaces("exec"), tmp_path / "datum", _DATUM.format(room=tmp_path))
    assert (answer["check"], answer["error"]) == ("", "exit status 2")
    assert [line for line in answer["lines"] if ":" not in line] == ["0", "out", "read-only"]


@needs_tools
def test_root_in_a_chroot_is_isolated_all_the_same(elsewhere: Any, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    # Directory by directory, so that the new root itself is no mount.
    script = f"""
        cd / && mkdir {tmp_path}/new || exit
        for name in *; do
            if [ -L $name ]; then cp -P $name {tmp_path}/new
            elif [ -d $name ]; then
                mkdir {tmp_path}/new/$name && mount --rbind $name {tmp_path}/new/$name || exit
            fi
        done
        exec chroot {tmp_path}/new "$@"
    """
    prefix = [*_NAMESPACES, "sh", "-c", script, "sh"]
    answer = elsewhere(prefix, tmp_path / "room/datum", _DATUM.format(room=tmp_path))
    assert (answer["check"], answer["error"]) == ("", "exit status 2")
    assert [line for line in answer["lines"] if ":" not in line] == ["0", "out", "read-only"]


@needs_tools
def test_where_no_fresh_proc_is_allowed_the_old_one_shows_no_secrets(elsewhere: Any, tmp_path: Path) -> None:
    script = 'mount -t tmpfs none /proc/irq && exec env SECRET_OF_THE_SERVER=x "$@"'
    prefix = [*_NAMESPACES, "--pid", "--fork", "--mount-proc"]
    datum = "cd /proc; echo [0-9]*; cd self/fd; cat /proc/[0-9]*/environ 2>/dev/null | grep -c SECRET_OF"
    answer = elsewhere([*prefix, "sh", "-c", script, "sh"], tmp_path / "datum", datum)
    listed, secrets = answer["lines"]
    assert len(listed.split()) == 5  # the server, nursery, keeper, init and sh: this is the old one
    assert secrets == "0"


@needs_tools
def test_a_kernel_that_refuses_is_told_in_one_line(elsewhere: Any, tmp_path: Path) -> None:
    prefix = _without_user_namespaces("exec setpriv --bounding-set=-all --inh-caps=-all")
    answer = elsewhere(prefix, tmp_path / "datum", "true")
    assert answer["check"] == (
        "this machine does not let pipelines run isolated: unshare of user, mount and pid namespaces: "
        "No space left on device (sysctl user.max_user_namespaces is 0: allow some, such as 10000), "
        "or run with --private-pfs (user code as ordinary processes, PFS paths in a private directory)"
    )
    assert answer["error"].startswith(
        "cannot isolate the user code: unshare of user, mount and pid namespaces"
    )


@needs_tools
@pytest.mark.parametrize("mount_setattr", [442, 9999], ids=["new kernel", "kernel without mount_setattr"])
def test_restricting_reaches_mounts_below(tmp_path: Path, mount_setattr: Any) -> None:
    program = """
import sys
from pachd_embedded.workers import syscalls
syscalls._SYS_MOUNT_SETATTR = int(sys.argv[2])
top = sys.argv[1]
for path in (top, top + "/a b"):
    syscalls.mount("tmpfs", path, "tmpfs", syscalls.MS_NODEV)
    open(path + "/before", "w").close()
    import os; os.makedirs(top + "/a b", exist_ok=True)
syscalls.restrict(top, syscalls.MS_RDONLY | syscalls.MS_NOSUID)
for path in (top, top + "/a b"):
    try:
        open(path + "/after", "w").close()
        print("written")
    except OSError as error:
        print(error.strerror)
"""
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            sys.executable,
            "-c",
            program,
            tmp_path,
            str(mount_setattr),
        ],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(layout.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["Read-only file system"] * 2, done.stderr
