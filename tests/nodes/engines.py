# SPDX-License-Identifier: GPL-3.0-or-later
"""A podman with a storage of its own, as one program, and an image of what this machine has: no registry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testlab import cache, host

# What user code in these tests calls; busybox would do, but is not on every machine.
PROGRAMS = ("bash", "cat", "env", "head", "id", "ln", "ls", "mkdir", "mkfifo", "sleep", "stat", "touch")
IMAGE = "localhost/lab:1"
USERS = """\
root:x:0:0::/root:/bin/bash
lab:x:1000:1000::/home/user:/bin/bash
nobody:x:65534:65534::/nonexistent:/bin/bash
"""
GROUPS = "root:x:0:\nlab:x:1000:\nnogroup:x:65534:\n"
CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
[network]
network_backend = "netavark"
"""
# Two GPUs as `nvidia-ctk cdi generate` would describe them, but for their files and libraries.
GPUS = ("GPU-1f0e", "GPU-2a7c")
CDI = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": gpu, "containerEdits": {"env": [f"CDI_{gpu[4:]}=given"]}} for gpu in GPUS],
}
# crun refuses a machine that has both versions of control groups. Of such a one it sees the first alone here.
SCRIPT = """\
#!/bin/sh
export CONTAINERS_CONF={top}/containers.conf PATH="{path}"
exec unshare --mount --propagation private sh -c '
    mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified
    mount -t overlay -o lowerdir={top}/etc:/etc overlay /etc
    exec podman --root {top}/root --runroot {run}/containers --tmpdir {run}/libpod \\
        --network-config-dir {top}/net "$@"' sh "$@"
"""


@dataclass(frozen=True)
class Podman:
    """`program` is called as podman is."""

    program: Path

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def containers(self) -> list[str]:
        return self("ps", "--all", "--format", "{{.Names}}").split()

    def volumes(self) -> list[str]:
        return self("volume", "ls", "--quiet").split()

    def make_image(self, name: str, *changes: str, files: dict[str, str] | None = None) -> None:
        """An image from scratch; `changes` are lines of a Containerfile."""
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "root"
            _fill(root, {"etc/passwd": USERS, "etc/group": GROUPS, **(files or {})})
            archive = Path(directory) / "image.tar"
            with tarfile.open(archive, "w") as tar:
                tar.add(root, ".")
            options = [word for change in changes for word in ("--change", change)]
            self("import", "--quiet", *options, str(archive), name)


@contextmanager
def podman() -> Iterator[Podman]:
    """Gone afterwards, with all that it kept."""
    parent = cache.directory()
    parent.mkdir(parents=True, exist_ok=True)
    top = Path(tempfile.mkdtemp(prefix="engine-", dir=parent))
    # podman refuses a runroot of more than 50 characters, and a cache may lie deep.
    run = Path(tempfile.mkdtemp(prefix="gpulab-engine-", dir="/run"))
    (top / "containers.conf").write_text(CONF)
    (top / "etc/cdi").mkdir(parents=True)
    (top / "net").mkdir()
    (top / "etc/cdi/nvidia.json").write_text(json.dumps(CDI))
    program = top / "podman"
    program.write_text(SCRIPT.format(top=top, run=run, path=host.path()))
    program.chmod(0o755)
    engine = Podman(program)
    try:
        yield engine
    finally:
        engine("rm", "--all", "--force", "--volumes", "--time", "0", check=False)
        shutil.rmtree(top)
        shutil.rmtree(run)


def _fill(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
        (root / name).chmod(0o755)
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program is not None
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for source in (program, *re.findall(r"(/\S+)", linked)):
            target = root / ("bin/" + name if source == program else source.lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
