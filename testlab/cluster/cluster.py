# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of two nodes, by kubeadm: `control`, and `gpu1` with two simulated GPUs."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testlab import cache, host, lab
from testlab.cache import TestlabError
from testlab.cluster import kubeadm
from testlab.engine import Engine
from testlab.image import step
from testlab.lab import Node

HERE = Path(__file__).resolve().parent
WANTED = (lab.Wanted("control", "trixie", 0), lab.Wanted("gpu1", "trixie", 2))
READY_SECONDS = 120


@dataclass(frozen=True)
class Parts:
    """What a cluster is made of: node image, store of images, apt repository, its users' commands."""

    image: str
    store: Path
    archive: Path
    helm: Path
    kubectl: Path


def kubeconfig_path(name: str) -> Path:
    return lab.inventory_path(name).with_name("kubeconfig")


def up(engine: Engine, name: str, parts: Parts) -> None:
    """Start a cluster, or find it running. What a killed start left is taken away first."""
    with cache.lock(engine.directory / f"locks/cluster-{name}"):
        if running(name, parts.kubectl):
            return
        lab.down(engine, [name])
        kubeconfig_path(name).unlink(missing_ok=True)
        token = f"{secrets.token_hex(3)}.{secrets.token_hex(8)}"
        images = {"trixie": parts.image}
        with step(f"{name}: nodes"):
            lab.up(
                engine,
                name,
                list(WANTED),
                images,
                parts.archive,
                lambda made: _prepare(engine, made, parts.store, token),
            )
        members = lab.nodes(engine, [name])
        try:
            _kubernetes(engine, name, members, parts.kubectl)
        except BaseException:
            lab.down(engine, [name])
            raise
        publish(name, inventory(engine, name, members, parts), parts.helm, parts.kubectl)


def running(name: str, kubectl: Path) -> bool:
    """Whether a start has come to its end, and the API server still answers."""
    if not kubeconfig_path(name).exists():
        return False
    command = [
        str(kubectl),
        "--kubeconfig",
        str(kubeconfig_path(name)),
        "--request-timeout=5s",
        "get",
        "nodes",
    ]
    return subprocess.run(command, capture_output=True).returncode == 0


def _prepare(engine: Engine, made: list[Node], store: Path, token: str) -> None:
    """Give each node its images, its network and its part of kubeadm's configuration, before it starts."""
    control, *others = made
    files = kubeadm.network(made)
    files[control.name]["/etc/kubernetes/kubeadm.yaml"] = kubeadm.control_plane(control, token)
    for node in others:
        files[node.name]["/etc/kubernetes/kubeadm.yaml"] = kubeadm.worker(node, control, token)
    for node in made:
        _fill(store, _volume(engine, node, "/var/lib/containerd"))
        with tempfile.TemporaryDirectory() as scratch:
            for place, text in files[node.name].items():
                path = Path(scratch) / place.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            engine.podman("cp", f"{scratch}/.", f"{node.container}:/")


def _volume(engine: Engine, node: Node, place: str) -> Path:
    mounts = json.loads(engine.podman("inspect", node.container).stdout)[0]["Mounts"]
    return next(Path(mount["Source"]) for mount in mounts if mount["Destination"] == place)


def _fill(store: Path, target: Path) -> None:
    """Link the prepared store: containerd never writes into a file of an image, only into its databases."""
    done = subprocess.run(["cp", "-al", f"{store}/.", str(target)], capture_output=True, text=True)
    if done.returncode != 0:
        raise TestlabError(f"cannot link {store}: {host.last_line(done.stderr)}")
    for database in target.glob("*/*.db"):
        own = database.with_suffix(".own")
        shutil.copy2(database, own)
        own.rename(database)


def _kubernetes(engine: Engine, name: str, members: list[Node], kubectl: Path) -> None:
    control, *others = members
    with step(f"{name}: kubeadm init"):
        _exec(
            engine, control, "kubeadm", "init", "--config=/etc/kubernetes/kubeadm.yaml", "--skip-token-print"
        )
    with step(f"{name}: kubeadm join"):
        for node in others:
            _exec(engine, node, "kubeadm", "join", "--config=/etc/kubernetes/kubeadm.yaml")
    # A user of its own, so that its requests are told from those of kubeadm and Kubernetes in the audit log.
    user = ("--client-name=lab-admin", "--org=system:masters", "--config=/etc/kubernetes/kubeadm.yaml")
    text = _exec(engine, control, "kubeadm", "kubeconfig", "user", *user)
    with step(f"{name}: nodes ready, CoreDNS answers"), tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "kubeconfig"
        file.write_text(text)
        wait = f"--timeout={READY_SECONDS}s"
        _kubectl(kubectl, file, "wait", "--for=condition=Ready", "nodes", "--all", wait)
        _kubectl(kubectl, file, "--namespace=kube-system", "rollout", "status", "daemonset/kube-proxy", wait)
        _kubectl(kubectl, file, "--namespace=kube-system", "rollout", "status", "deployment/coredns", wait)
    # Last: it says that there is a cluster.
    kubeconfig_path(name).touch(mode=0o600)
    kubeconfig_path(name).write_text(text)


def _exec(engine: Engine, node: Node, *command: str) -> str:
    done = engine.podman("exec", node.container, *command, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
        raise TestlabError(
            f"{node.container}: {' '.join(command[:2])} failed: {host.last_line(chr(10).join(lines))}"
        )
    return done.stdout


def _kubectl(kubectl: Path, kubeconfig: Path, *arguments: str) -> None:
    command = [str(kubectl), "--kubeconfig", str(kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise TestlabError(f"kubectl {' '.join(arguments)} failed: {host.last_line(done.stderr)}")


def inventory(engine: Engine, name: str, members: list[Node], parts: Parts) -> dict[str, Any]:
    """Nodes with GPUs (gpu_nodes), the one without (control_plane), and this machine (cluster)."""
    gpus = {want.name for want in WANTED if want.gpus}
    groups = lab.inventory(engine, name, members)
    connection = groups["gpu_nodes"].pop("vars")
    hosts = groups["gpu_nodes"].pop("hosts")
    return {
        "gpu_nodes": {"hosts": {node: hosts[node] for node in hosts if node in gpus}, "vars": connection},
        "control_plane": {
            "hosts": {node: hosts[node] for node in hosts if node not in gpus},
            "vars": dict(connection),
        },
        "cluster": api_clients(name, parts.helm, parts.kubectl),
    }


def publish(name: str, groups: dict[str, Any], *commands: Path) -> None:
    """Write the inventory, and links to the commands beside it."""
    lab.save_inventory(name, groups)
    for command in commands:
        link = lab.inventory_path(name).with_name(command.name)
        link.unlink(missing_ok=True)
        link.symlink_to(command)


def script(name: str) -> dict[str, Any]:
    """What an inventory script prints: the hosts of a cluster, or such as fail at their first task."""
    if not kubeconfig_path(name).exists():
        reason = f"the cluster {name} is not running; start it: make cluster"
        nodes = [want.name for want in WANTED if want.gpus]
        return {
            "_meta": {"hostvars": {}},
            "gpu_nodes": {"hosts": nodes},
            "cluster": {"hosts": ["localhost"]},
            # Ansible goes on without an inventory that fails, and says that all went well.
            "all": {"vars": {"ansible_connection": f"{{{{ undef(hint='{reason}') }}}}"}},
        }
    groups = yaml.safe_load(lab.inventory_path(name).read_text())
    return {
        "_meta": {
            "hostvars": {host: own for group in groups.values() for host, own in group["hosts"].items()}
        },
        **{
            group: {"hosts": list(content["hosts"]), "vars": content.get("vars", {})}
            for group, content in groups.items()
        },
    }


def api_clients(name: str, helm: Path, kubectl: Path) -> dict[str, Any]:
    """The group `cluster`: this machine, with the commands and the kubeconfig of a cluster's user."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "cluster_kubeconfig": str(kubeconfig_path(name)),
        "testlab_helm": str(helm),
        "testlab_kubectl": str(kubectl),
    }
    return {"hosts": {"localhost": variables}}
