# SPDX-License-Identifier: GPL-3.0-or-later
"""podman, in a mount namespace of the testlab's own and with a storage of its own.

systemd in a node wants a plain cgroup2 at /sys/fs/cgroup. Machines whose host has a hybrid hierarchy, nested
virtual machines among them, lack it; so podman and all nodes live in a private mount namespace that has one.
The namespace is kept by a bind mount, not by a process: nothing is left running when no node is up.
A storage of its own keeps the nodes apart from the containers of the machine's user.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from testlab import cache, host
from testlab.cache import TestlabError

NETWORK = "testlab"
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
pids_limit = 0
cgroupns = "private"
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"

[network]
network_backend = "netavark"
"""


class Engine:
    """One podman for one cache directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = hashlib.sha256(str(directory).encode()).hexdigest()[:6]
        # /run, because a restart of the machine ends all nodes and must leave nothing that says otherwise.
        self.run_directory = Path(f"/run/gpulab-testlab-{self.mark}")
        self.namespace = self.run_directory / "namespace/mnt"

    def podman(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run podman. TestlabError with the last line it said if it fails and `check` is asked."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        if check and done.returncode != 0:
            raise TestlabError(f"podman {arguments[0]} failed: {host.last_line(done.stderr)}")
        return done

    def command(self, *arguments: str) -> list[str]:
        """The command line of podman, to be run from anywhere on the machine."""
        # The settings go by `env`: podman's own helpers that restart a node inherit them.
        return [
            *("nsenter", f"--mount={self.namespace}", "--"),
            *("env", f"CONTAINERS_CONF={self.directory}/containers.conf", f"PATH={host.path()}", "podman"),
            *("--root", f"{self.directory}/containers", "--network-config-dir", f"{self.directory}/networks"),
            *("--runroot", f"{self.run_directory}/containers", "--tmpdir", f"{self.run_directory}/libpod"),
            *arguments,
        ]

    def start(self) -> None:
        """Make the namespace and the network, where they are not there yet."""
        with cache.lock(self.directory / "locks/engine"):
            host.lift_limits()
            self.directory.joinpath("containers.conf").write_text(CONTAINERS_CONF)
            self.directory.joinpath("networks").mkdir(exist_ok=True)
            if not self.running:
                self._make_namespace()
            if self.podman("network", "exists", NETWORK, check=False).returncode != 0:
                # The nodes' names mean nothing to each other's DNS; Ansible reaches them by address.
                self.podman("network", "create", "--disable-dns", "--subnet", f"{self.subnet}.0/24", NETWORK)

    @property
    def used(self) -> bool:
        """Whether there may be containers, started or not."""
        return self.directory.joinpath("containers").exists()

    @property
    def running(self) -> bool:
        """Whether there is a namespace: without one there are no nodes."""
        return os.path.ismount(self.namespace)

    @property
    def subnet(self) -> str:
        """The first three numbers of the nodes' addresses; two caches on a machine hardly ever share them."""
        return f"10.{128 + int(self.mark[:2], 16) % 64}.{int(self.mark[2:4], 16)}"

    def _make_namespace(self) -> None:
        self.namespace.parent.mkdir(parents=True, exist_ok=True)
        self.namespace.touch()
        # The kernel holds a namespace by a file only on a mount that is not shared with others.
        inside = "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        for command in (
            ["mount", "--bind", str(self.namespace.parent), str(self.namespace.parent)],
            ["mount", "--make-private", str(self.namespace.parent)],
            ["unshare", f"--mount={self.namespace}", "--propagation", "private", "sh", "-c", inside],
        ):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                self._drop_namespace()
                raise TestlabError(f"cannot make a mount namespace: {host.last_line(done.stderr)}")

    def stop(self) -> None:
        """Remove every node and give back namespace and network. The images stay."""
        with cache.lock(self.directory / "locks/engine"):
            if self.running:
                self.remove(["--all"])
                self.podman("network", "rm", "--force", NETWORK)
                self._drop_namespace()
                shutil.rmtree(self.run_directory)

    def remove(self, containers: list[str]) -> None:
        """Remove containers with all they hold."""
        command = ("rm", "--force", "--volumes", "--time", "0", *containers)
        # Of a node whose processes were killed from outside, podman learns by a first try that fails.
        if self.podman(*command, check=False).returncode != 0:
            self.podman(*command)

    def _drop_namespace(self) -> None:
        for mount in (self.namespace, self.namespace.parent):
            subprocess.run(["umount", str(mount)], capture_output=True)
