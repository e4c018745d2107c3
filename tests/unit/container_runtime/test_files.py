# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are replaced whole or not at all, and a run that was killed is finished by the next."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime import hide
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_ctk import reason
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    MissingToolError,
    RuntimeConfigError,
    Tools,
)

NodeMaker = Callable[..., Any]
CONTAINERD = "version = 2\n# ours\n"


class Killed(BaseException):
    """The process ends here; nothing is tidied up that a killed process would leave."""


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_space_left(node: NodeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    containerd = node("containerd", CONTAINERD)
    before = everything(containerd.root)
    written = 0

    def full(descriptor: int) -> None:
        # The drop-in still fits, the configuration file does not.
        nonlocal written
        written += 1
        if written == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RuntimeConfigError) as caught:
        containerd.run()
    assert str(caught.value) == f"{containerd.config}: cannot be written: No space left on device"
    assert everything(containerd.root) == before
    monkeypatch.undo()
    assert containerd.run()["changed"]


class Steps:
    """Raises `error` in place of the call number `last`, counted from 0, that changes a file below `root`."""

    names = ("open", "link", "replace", "unlink", "makedirs")

    def __init__(self, patch: pytest.MonkeyPatch, root: Path, last: int, error: BaseException) -> None:
        self.left = last
        for name in self.names:
            patch.setattr(os, name, self.counted(getattr(os, name), str(root), error))

    def counted(self, real: Callable[..., Any], root: str, error: BaseException) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if str(arguments[0]).startswith(root):
                self.left -= 1
                if self.left < 0:
                    raise error
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("step", range(6))
def test_a_file_system_that_takes_no_writes(node: NodeMaker, step: int) -> None:
    docker = node("docker", "{}")
    with pytest.MonkeyPatch.context() as patch:
        Steps(patch, docker.root, step, OSError(errno.EROFS, os.strerror(errno.EROFS)))
        with pytest.raises(RuntimeConfigError, match=r"^\S+: cannot be written: Read-only file system$"):
            docker.run()
    assert docker.config.read_text() == "{}"


def test_a_link_stays_one(node: NodeMaker) -> None:
    docker = node("docker")
    real = docker.root / "shared.json"
    real.write_text("{}")
    docker.config.symlink_to("../shared.json")
    staged: list[str] = []

    def move(source: str, target: str) -> None:
        staged.append(source)
        os.replace(source, target)

    docker.move = move
    result = docker.run()
    assert staged == [str(docker.root / ".shared.json.gpulab-new")]  # on the same file system
    assert docker.config.is_symlink()
    assert "nvidia" in real.read_text()
    assert result["backup_file"].startswith(f"{real}.")
    docker.absent()
    assert docker.config.is_symlink()
    assert real.read_text() == "{}"


def test_what_cannot_be_read_is_named(node: NodeMaker) -> None:
    docker = node("docker")
    docker.config.mkdir()
    with pytest.raises(RuntimeConfigError, match=r"daemon\.json: cannot be read: Is a directory"):
        docker.run()
    docker.config.rmdir()
    docker.config.write_bytes(b'{"labels": ["\xff"]}')
    with pytest.raises(RuntimeConfigError, match=r"daemon\.json: byte 13 is not UTF-8"):
        docker.run()


def test_line_ends_stay(node: NodeMaker) -> None:
    containerd = node("containerd")
    containerd.config.write_bytes(b"version = 2\r\n# ours\r\n")
    containerd.run()
    assert containerd.config.read_bytes().endswith(b"# ours\r\n")
    containerd.absent()
    assert containerd.config.read_bytes() == b"version = 2\r\n# ours\r\n"


def test_passwords_are_for_the_same_users_as_before(node: NodeMaker) -> None:
    auth = (
        '[plugins."io.containerd.grpc.v1.cri".registry.configs."r.example.com".auth]\npassword = "geheim"\n'
    )
    containerd = node("containerd", f"version = 2\n{auth}")
    containerd.config.chmod(0o640)
    result = containerd.run()
    assert "geheim" in containerd.drop_in.read_text()
    assert "geheim" not in str(result["diff"])
    for path in (containerd.config, containerd.drop_in):
        assert path.stat().st_mode & 0o777 == 0o640
    assert hide('{"proxies": {"http-proxy": "http://me:geheim@p.example.com"}}') == (
        '{"proxies": {"http-proxy": "http://me:********@p.example.com"}}'
    )


def test_what_is_kept_is_for_root_only(node: NodeMaker) -> None:
    docker = node("docker", '{"log-driver": "local"}')
    docker.run()
    record = docker.root / "var/docker.json"
    assert record.stat().st_mode & 0o777 == 0o600
    record.write_text("{")
    with pytest.raises(RuntimeConfigError, match=r"var/docker\.json: not as it was written .*; remove it"):
        docker.run()


@pytest.mark.parametrize("runtime", ["docker", "containerd"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_run_that_was_killed_converges(node: NodeMaker, tmp_path: Path, runtime: str, state: str) -> None:
    """Kills a run before each call that changes a file; the next one ends where a whole one ends."""
    text = '{"log-driver": "local"}' if runtime == "docker" else CONTAINERD
    made = node(runtime, text)
    if state == "absent":
        made.run()
        made.marker.unlink()
    start = shutil.copytree(made.root, f"{tmp_path}-start")
    made.run(state=state)
    whole = made.files()

    for step in range(100):
        shutil.rmtree(made.root)
        shutil.copytree(start, made.root)
        with pytest.MonkeyPatch.context() as patch:
            Steps(patch, made.root, step, Killed())
            try:
                made.run(state=state)
            except Killed:
                untouched = made.files() == {made.config.name: text} and state == "present"
            else:
                break
        assert untouched or made.marker.exists() or made.files() != whole
        again = made.run(state=state)
        assert made.files() == whole
        assert again["pending"], f"nobody would restart {runtime} after a kill at step {step}"
        made.marker.unlink()
        assert not made.run(state=state)["changed"]
        if state == "present":
            made.absent()
            assert made.config.read_text() == text
    assert step > 7


def test_programs(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    assert tools.output(sys.executable, "-c", "print(7)") == "7\n"
    with pytest.raises(MissingToolError, match=r"^no-such-program is not installed$"):
        tools.output("no-such-program")
    with pytest.raises(RuntimeConfigError, match=r"^bad$"):
        tools.output(sys.executable, "-c", "import sys; sys.exit('bad')")
    with pytest.raises(RuntimeConfigError, match="failed, and said nothing"):
        tools.output("false")


def test_program_by_its_path(tmp_path: Path) -> None:
    Tools(tmp_path).require(sys.executable)
    Tools(tmp_path).require("found-by-the-engine")
    with pytest.raises(MissingToolError, match="no-such-program is not installed"):
        Tools(tmp_path).require(f"{tmp_path}/no-such-program")


def test_what_nvidia_ctk_says_of_a_bad_file() -> None:
    said = 'time="2026-11-23T07:53:00Z" level=info msg="Using"\n'
    said += (
        'time="2026-11-23T07:53:00Z" level=error msg="unable to load \\"x\\": (2, 1): unterminated array"\n'
    )
    assert reason(said) == 'unable to load "x": line 2, column 1: unterminated array'
