# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster for scale: a real control plane as plain processes, and nodes that kwok only simulates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from testlab import cache, host
from testlab.cache import TestlabError
from testlab.cluster.cluster import api_clients, kubeconfig_path, publish, running
from testlab.image import step

COMMANDS = {
    "--etcd-binary": "etcd",
    "--kube-apiserver-binary": "kube-apiserver",
    "--kube-controller-manager-binary": "kube-controller-manager",
    "--kube-scheduler-binary": "kube-scheduler",
    "--kwok-controller-binary": "kwok",
}
GPUS = 8
RESOURCES = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(GPUS)}
# etcd need not wait for the disk: its data are worth nothing after a crash of the machine.
SETTINGS = """\
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
componentsPatches:
  - name: etcd
    extraArgs:
      - {key: unsafe-no-fsync, value: "true"}
"""
# All requests, once, but for those that nodes send all the time to say that they are there.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    resources: [{group: coordination.k8s.io}]
  - level: Metadata
"""
READY_SECONDS = 120
# Requests wait for their answer, hardly for a core.
AT_ONCE = 4


def up(directory: Path, name: str, count: int, commands: dict[str, Path]) -> None:
    """Start a cluster of `count` simulated nodes with 8 GPUs each, or find it running."""
    with cache.lock(directory / f"locks/cluster-{name}"):
        if running(name, commands["kubectl"]):
            return
        _delete(directory, name, commands["kwokctl"])
        try:
            _create(directory, name, count, commands)
        except BaseException:
            _delete(directory, name, commands["kwokctl"])
            raise
        users = (commands["helm"], commands["kubectl"])
        publish(name, {"cluster": api_clients(name, *users)}, *users)


def down(directory: Path, patterns: Iterable[str], kwokctl: Path) -> None:
    """Take away the clusters whose names match. None is no error."""
    for name in names(directory):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            with cache.lock(directory / f"locks/cluster-{name}"):
                _delete(directory, name, kwokctl)
                print(f"testlab: down: {name}", flush=True)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "kwok").glob("*"))


def audit_log(directory: Path, name: str) -> Path:
    """What its API server was asked: an event of Kubernetes' audit a line."""
    return directory / "kwok" / name / "clusters" / name / "logs/audit.log"


def _create(directory: Path, name: str, count: int, commands: dict[str, Path]) -> None:
    work, config = directory / "kwok" / name, kubeconfig_path(name)
    work.mkdir(parents=True)
    config.parent.mkdir(parents=True, exist_ok=True)
    starting = config.with_name("kubeconfig.starting")
    programs = [word for option, command in COMMANDS.items() for word in (option, str(commands[command]))]
    with step(f"{name}: control plane"):
        # Without its limits of requests a second, or nodes are lost at the first thousand.
        settings = work / "settings.yaml"
        settings.write_text(SETTINGS)
        policy = work / "audit-policy.yaml"
        policy.write_text(AUDIT_POLICY)
        options = (
            f"--config={settings}",
            "--runtime=binary",
            f"--kubeconfig={starting}",
            f"--kube-audit-policy={policy}",
            "--disable-qps-limits",
            "--wait=120s",
        )
        _kwokctl(directory, name, commands["kwokctl"], "create", "cluster", *options, *programs)
    with step(f"{name}: {count} simulated nodes"):
        kubectl = (str(commands["kubectl"]), f"--kubeconfig={starting}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = [range(first, count, AT_ONCE) for first in range(AT_ONCE)]
            list(pool.map(lambda part: _run([*kubectl, "create", "-f", "-"], text=_nodes(part)), parts))
        _wait(kubectl, count)
    # Last: it says that there is a cluster.
    starting.rename(config)


def _wait(kubectl: tuple[str, ...], count: int) -> None:
    """Until all nodes are Ready. One list each time: `kubectl wait` asks for each node by itself."""
    status = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    deadline = time.monotonic() + READY_SECONDS
    while (
        ready := _run([*kubectl, "get", "nodes", f"--output=jsonpath={status}"]).split().count("True")
    ) < count:
        if time.monotonic() > deadline:
            raise TestlabError(f"{ready} of {count} simulated nodes are ready after {READY_SECONDS} s")
        time.sleep(0.5)


def _delete(directory: Path, name: str, kwokctl: Path) -> None:
    work = directory / "kwok" / name
    if work.exists():
        _kwokctl(directory, name, kwokctl, "delete", "cluster")
        shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(kubeconfig_path(name).parent, ignore_errors=True)


def _kwokctl(directory: Path, name: str, kwokctl: Path, *arguments: str) -> None:
    work = directory / "kwok" / name
    # HOME: kwokctl keeps nothing among the user's own files.
    environment = {**os.environ, "KWOK_WORKDIR": str(work), "HOME": str(work)}
    _run([str(kwokctl), f"--name={name}", *arguments], environment=environment)


def _run(command: list[str], text: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise TestlabError(f"{Path(command[0]).name} failed: {host.last_line(done.stderr)}")
    return done.stdout


def _nodes(numbers: Iterable[int]) -> str:
    return "".join(f"---\n{json.dumps(node(number))}\n" for number in numbers)


def node(number: int) -> dict[str, Any]:
    """A simulated node, with the label that GPU feature discovery would have set."""
    name = f"gpu-{number:04d}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "nvidia.com/gpu.present": "true",
        "type": "kwok",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": RESOURCES, "capacity": RESOURCES},
    }
