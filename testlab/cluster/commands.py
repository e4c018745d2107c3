# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of a cluster, built from the Go modules that go/*/go.mod pin."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testlab import cache, host
from testlab.cache import TestlabError
from testlab.packages import go

HERE = Path(__file__).resolve().parent
KUBERNETES = "1.35.4"
HELM = "3.21.4"
KWOK = "0.8.0"
COREDNS = "1.13.1"
ETCD = "3.6.6"
LOCAL_PATH_PROVISIONER = "0.0.30"
MAJOR, MINOR, _ = KUBERNETES.split(".")
# What the projects' own build scripts give the linker. Unstamped, Kubernetes calls itself v0.0.0-master.
STAMPS = {
    "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
    "k8s.io/component-base/version.gitMajor": MAJOR,
    "k8s.io/component-base/version.gitMinor": MINOR,
    "k8s.io/component-base/version.gitTreeState": "clean",
    "k8s.io/client-go/pkg/version.gitVersion": f"v{KUBERNETES}",
    "main.VERSION": f"v{LOCAL_PATH_PROVISIONER}",
}
TOOLS_STAMPS = {
    "helm.sh/helm/v3/internal/version.version": f"v{HELM}",
    "helm.sh/helm/v3/internal/version.metadata": "",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": MAJOR,
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": MINOR,
    "sigs.k8s.io/kwok/pkg/consts.Version": f"v{KWOK}",
    "sigs.k8s.io/kwok/pkg/consts.KubeVersion": f"v{KUBERNETES}",
}
KUBE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


@dataclass(frozen=True)
class Command:
    """A command, the directory of the go.mod that pins it, and its package."""

    name: str
    directory: Path
    package: str
    stamps: tuple[tuple[str, str], ...]

    @property
    def file(self) -> str:
        """What `go build` calls it: the package's last word that is no version."""
        return next(word for word in reversed(self.package.split("/")) if not re.fullmatch(r"v\d+", word))

    @property
    def group(self) -> tuple[Path, bool]:
        """Those that one `go build` takes. It refuses github.com/Sirupsen beside github.com/sirupsen."""
        return self.directory, self.name == "local-path-provisioner"

    @property
    def flags(self) -> str:
        return " ".join(("-s -w", *(f"-X {name}={value}" for name, value in self.stamps)))

    def target(self, directory: Path) -> Path:
        """Its place in the cache: another one whenever its module, its own source or its stamps change."""
        own = [self.directory / self.package] if self.package.startswith("./") else []
        pins = (self.directory / "go.mod", self.directory / "go.sum")
        return (
            directory
            / "commands"
            / f"{self.name}-{cache.key(self.package, self.flags, *pins, *own)}/{self.name}"
        )


def _commands(module: str, stamps: dict[str, str], packages: dict[str, str]) -> dict[str, Command]:
    directory = HERE / "go" / module
    return {name: Command(name, directory, path, tuple(stamps.items())) for name, path in packages.items()}


COMMANDS = {
    **_commands(
        "kubernetes",
        STAMPS,
        {
            **{name: f"k8s.io/kubernetes/cmd/{name}" for name in (*KUBE, "kubelet", "kubeadm", "kubectl")},
            "etcd": "go.etcd.io/etcd/server/v3",
            "coredns": "./coredns",
            "pause": "./pause",
            "local-path-provisioner": "github.com/rancher/local-path-provisioner",
        },
    ),
    **_commands(
        "tools",
        TOOLS_STAMPS,
        {
            "helm": "helm.sh/helm/v3/cmd/helm",
            "kwok": "sigs.k8s.io/kwok/cmd/kwok",
            "kwokctl": "sigs.k8s.io/kwok/cmd/kwokctl",
        },
    ),
}


def build(directory: Path, names: tuple[str, ...] = tuple(COMMANDS)) -> dict[str, Path]:
    """The files of commands in the cache `directory`. What is missing is built, which takes minutes."""
    with cache.lock(directory / "locks/commands"):
        missing = [COMMANDS[name] for name in names if not COMMANDS[name].target(directory).exists()]
        for group in dict.fromkeys(command.group for command in missing):
            _build(directory, [command for command in missing if command.group == group])
    return {name: COMMANDS[name].target(directory) for name in names}


def _build(directory: Path, commands: list[Command]) -> None:
    """Build commands of one group by one `go build`: one links while another compiles, and no core idles."""
    program, module = go.command(directory), commands[0].directory
    part = directory / "unfinished-commands"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    names = ", ".join(command.name for command in commands)
    print(f"testlab: building {names} (all of them: ten minutes)", flush=True)
    # Without cgo they run on any node, and in an image that holds nothing else.
    environment = go.environment(CGO_ENABLED="0")
    packages = [command.package for command in commands]
    arguments = ["build", "-trimpath", "-ldflags", commands[0].flags, "-o", f"{part}/", *packages]
    with tempfile.TemporaryFile("w+") as errors:
        # The group ends with a build that is killed.
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", program, *arguments],
            cwd=module,
            env=environment,
            stderr=errors,
        ) as process:
            _follow(process, part, commands)
        if process.returncode != 0:
            raise TestlabError(f"go build in {module.name} failed: {_error(errors)}")
    for command in commands:
        target = command.target(directory)
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        (part / command.file).rename(target)
    shutil.rmtree(part)


def _follow(process: subprocess.Popen[bytes], part: Path, commands: list[Command]) -> None:
    """Say which commands are there, and after how long, until the build ends."""
    started = time.monotonic()
    waiting = {command.file: command.name for command in commands}
    running = True
    while running:
        try:
            process.wait(timeout=1)
            running = False
        except subprocess.TimeoutExpired:
            pass
        for path in sorted(part.iterdir()):
            if name := waiting.pop(path.name, None):
                number, seconds = len(commands) - len(waiting), time.monotonic() - started
                print(f"testlab: built {name} ({number}/{len(commands)}, {seconds:.0f} s)", flush=True)


def _error(errors: IO[str]) -> str:
    """The first line that is no progress of a download and no heading of a package."""
    errors.seek(0)
    lines = [line for line in errors.read().splitlines() if not line.startswith(("go: downloading", "#"))]
    return lines[0] if lines else host.last_line("")
