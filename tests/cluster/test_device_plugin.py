# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nvidia_device_plugin: both ways to install it on simulated nodes, its GPUs on a real node."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import clusters, simulated
from tests.cluster.clusters import Cluster
from tests.cluster.simulated import Simulated, changed, refused, result
from tests.nodes.labs import Run

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "testlab/charts/nvidia-device-plugin"
ROLE = "nvidia_device_plugin"
NAMESPACE = "nvidia-device-plugin"
IMAGE = "localhost/testlab/simulated-device-plugin:1"
GPU = "nvidia.com/gpu"
OBJECTS = "Keep namespace, RuntimeClass and what the manifest declares"
INSTALL = "Install or upgrade the release"


def declared(**variables: Any) -> dict[str, Any]:
    standard = {
        f"{ROLE}_method": "manifest",
        f"{ROLE}_helm": "{{ testlab_helm }}",
        f"{ROLE}_chart": str(CHART),
        f"{ROLE}_chart_repository": "",
        f"{ROLE}_image": IMAGE,
        f"{ROLE}_wait": 60,
    }
    return {
        **standard,
        **{
            name if name.startswith("test_") else f"{ROLE}_{name}": value for name, value in variables.items()
        },
    }


# --- on simulated nodes, which lend 8 GPUs each whatever is installed


def role(kwok: Simulated, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
    return kwok.role(ROLE, *arguments, kill_at=kill_at, **declared(**variables))


def versions(kwok: Simulated) -> dict[str, str]:
    """What there is of the plugin, each with a number that every write changes, but none of a status."""
    kinds = "daemonsets,configmaps,secrets,namespaces,runtimeclasses"
    items = json.loads(kwok.kubectl("get", kinds, "--all-namespaces", "--output=json"))["items"]
    return {
        f"{item['kind']} {item['metadata']['name']}": str(
            item["metadata"].get("generation") or item["metadata"]["resourceVersion"]
        )
        for item in items
        if NAMESPACE in (item["metadata"].get("namespace"), item["metadata"]["name"])
        or item["kind"] == "RuntimeClass"
    }


def plugins(kwok: Simulated) -> list[str]:
    items = json.loads(kwok.kubectl("get", "daemonsets", "--all-namespaces", "--output=json"))["items"]
    return [item["metadata"]["labels"]["app.kubernetes.io/managed-by"] for item in items]


@pytest.fixture
def bare(kwok: Simulated) -> Iterator[Simulated]:
    """Without a device plugin, before and after."""
    yield kwok
    simulated.done(role(kwok, state="absent"))
    assert plugins(kwok) == []


def test_by_chart_and_by_manifest_and_gone(bare: Simulated) -> None:
    before = versions(bare)
    predicted = changed(role(bare, "--check", method="chart"))
    assert versions(bare) == before
    first = role(bare, method="chart")
    assert predicted == changed(first) == [OBJECTS, INSTALL]
    assert result(first)["totals"][GPU]["allocatable"] == 80
    made = versions(bare)
    assert changed(role(bare, method="chart")) == changed(role(bare, "--check", method="chart")) == []
    assert versions(bare) == made
    # Other values are an upgrade; the other method takes the release away.
    assert changed(role(bare, method="chart", time_slicing_replicas=4)) == [INSTALL]
    assert changed(role(bare, "--check")) == changed(role(bare)) == ["Remove the release", OBJECTS]
    assert plugins(bare) == ["gpulab.pachyderm"]
    assert changed(role(bare)) == []
    assert changed(role(bare, method="chart")) == ["Remove what the manifest made", INSTALL]
    assert plugins(bare) == ["Helm"]
    gone = ["Remove the release", "Remove the manifest, the RuntimeClass and the namespace"]
    assert changed(role(bare, "--check", state="absent")) == changed(role(bare, state="absent")) == gone
    assert changed(role(bare, state="absent")) == []
    assert versions(bare).keys() == before.keys()


def test_a_killed_run_is_taken_up(bare: Simulated) -> None:
    """Helm was cut off: its release is pending for ever, and each later upgrade would be refused."""
    simulated.done(role(bare, method="chart"))
    secrets = bare.kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name").split()
    (name,) = (secret for secret in secrets if "sh.helm" in secret)
    bare.kubectl("-n", NAMESPACE, "label", "--overwrite", name, "status=pending-upgrade")
    assert unfinished(bare, name) == "pending-upgrade"
    assert changed(role(bare, method="chart")) == ["Remove the release", INSTALL]
    assert changed(role(bare, method="chart")) == []


def unfinished(kwok: Simulated, secret: str) -> str:
    """Puts the state into the release itself, as a killed Helm leaves it; returns what Helm says of it."""
    found = json.loads(kwok.kubectl("-n", NAMESPACE, "get", secret, "-o", "json"))
    content = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(found["data"]["release"]))))
    content["info"]["status"] = "pending-upgrade"
    packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
    found["data"]["release"] = base64.b64encode(packed).decode()
    kwok.kubectl("replace", "-f", "-", text=json.dumps(found))
    command = [
        str(kwok.helm),
        "--kubeconfig",
        str(kwok.directory / "kubeconfig"),
        "-n",
        NAMESPACE,
        "list",
        "--all",
        "-o",
        "json",
    ]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return str(listed[0]["status"])


def test_a_plugin_of_somebody_else_is_refused(bare: Simulated) -> None:
    labels = {"name": "nvidia-device-plugin-ds"}
    container = {"name": "c", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.14.0"}
    other = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "nvidia-device-plugin-daemonset", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    bare.apply(other)
    before = versions(bare)
    run = role(bare)
    bare.kubectl("-n", "kube-system", "delete", "daemonset", "nvidia-device-plugin-daemonset")
    assert (
        "kube-system/nvidia-device-plugin-daemonset is a device plugin that this role did not install"
        in refused(run)
    )
    assert versions(bare) == before


def test_a_bad_chart_is_refused_before_anything_is_made(bare: Simulated) -> None:
    before = versions(bare)
    message = refused(role(bare, method="chart", chart="/nonexistent"))
    assert 'no chart that Helm can read: Error: path "/nonexistent" not found' in message
    assert versions(bare) == before


def test_who_may_not_is_told_what(kwok: Simulated, tmp_path: Path) -> None:
    """A service account that may read and not write: check mode works, the real run names what it lacks."""
    account = "system:serviceaccount:default:reader"
    binding = [
        "create",
        "clusterrolebinding",
        "reader",
        "--clusterrole=view",
        "--serviceaccount=default:reader",
    ]
    kwok.kubectl("create", "serviceaccount", "reader")
    kwok.kubectl(*binding)
    kwok.kubectl(
        "create", "clusterrole", "reads", "--verb=get,list", "--resource=nodes,runtimeclasses.node.k8s.io"
    )
    try:
        token = kwok.kubectl("create", "token", "reader").strip()
        path = restricted(kwok, tmp_path, token)
        assert f'User "{account}" cannot list resource "nodes"' in refused(
            role(kwok, test_kubeconfig=str(path))
        )
        kwok.kubectl(
            "create", "clusterrolebinding", "reads", "--clusterrole=reads", "--serviceaccount=default:reader"
        )
        assert changed(role(kwok, "--check", test_kubeconfig=str(path))) == [OBJECTS]
        run = role(kwok, "-vvv", test_kubeconfig=str(path))
        assert "create Namespace nvidia-device-plugin: not permitted" in refused(run)
        assert f'User "{account}" cannot patch resource "namespaces"' in refused(run)
        assert token not in run.output
    finally:
        kwok.kubectl("delete", "serviceaccount/reader", "clusterrolebinding/reader", "clusterrole/reads")
        kwok.kubectl("delete", "clusterrolebinding", "reads", "--ignore-not-found")


def restricted(kwok: Simulated, directory: Path, token: str) -> Path:
    """The cluster's kubeconfig with this token in place of the administrator's certificate."""
    config = yaml.safe_load((kwok.directory / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


# --- on a real node, which lends two simulated GPUs through a device plugin, kubelet and containerd


def play(cluster: Cluster, *arguments: str, **variables: Any) -> Run:
    given = {"test_role": ROLE, **declared(**variables)}
    return cluster.play(simulated.ROLE, "--extra-vars", json.dumps(given), *arguments)


@contextmanager
def lent(cluster: Cluster) -> Iterator[None]:
    """Afterwards gpu1 lends its GPUs again as site.yml left it."""
    try:
        yield
    finally:
        simulated.done(play(cluster, wait=120))


def allocatable(cluster: Cluster) -> int:
    (node,) = cluster.get("nodes", "gpu1")
    return int(node["status"]["allocatable"].get(GPU, 0))


def test_time_slicing_lends_each_gpu_several_times(cluster: Cluster) -> None:
    with lent(cluster):
        run = play(cluster, time_slicing_replicas=4)
        assert changed(run) == [OBJECTS]
        assert result(run)["totals"][GPU]["allocatable"] == 8
    clusters.until(lambda: allocatable(cluster) == 2, "gpu1 lends two GPUs again")


def test_a_missing_runtime_handler_is_named(cluster: Cluster) -> None:
    with lent(cluster):
        message = refused(play(cluster, runtime_class="nowhere", runtime_handler="nowhere", wait=20))
    cluster.kubectl("delete", "runtimeclass", "nowhere")
    assert "1 of 1 nodes have too few nvidia.com/gpu after 20 s: gpu1: device plugin pod" in message
    assert 'no runtime for "nowhere" is configured' in message


def test_an_image_that_is_not_there_is_named(cluster: Cluster) -> None:
    with lent(cluster):
        message = refused(
            play(cluster, image="localhost/testlab/nosuch:1", image_pull_policy="Never", wait=15)
        )
    assert 'ErrImageNeverPull: Container image "localhost/testlab/nosuch:1" is not present' in message


def test_a_taint_that_is_not_tolerated_is_named(cluster: Cluster) -> None:
    cluster.kubectl("taint", "node", "gpu1", "team=a:NoExecute")
    try:
        message = refused(play(cluster, wait=15))
    finally:
        cluster.kubectl("taint", "node", "gpu1", "team=a:NoExecute-")
        simulated.done(play(cluster, wait=120))
    assert (
        "gpu1: the device plugin does not run here: it does not tolerate the taint team=a:NoExecute"
        in message
    )


def test_a_node_that_is_not_ready_is_named(cluster: Cluster) -> None:
    cluster.sh("gpu1", "systemctl stop kubelet")
    try:
        clusters.until(
            lambda: "NodeStatusUnknown" in json.dumps(cluster.get("nodes", "gpu1")), "gpu1 is lost", 120
        )
        message = refused(play(cluster, wait=1))
    finally:
        cluster.sh("gpu1", "systemctl start kubelet")
        simulated.done(play(cluster, wait=120))
    assert "gpu1: node is NotReady: NodeStatusUnknown: Kubelet stopped posting node status." in message


def test_the_smoke_test_sees_a_gpu_or_says_why_it_waits(cluster: Cluster) -> None:
    smoke = {"smoke_image": "localhost/testlab/busybox:1", "smoke_wait": 30, "test_tasks": "verify"}
    run = simulated.done(play(cluster, **smoke))
    assert "a pod with one GPU on gpu1 printed: GPU 0: NVIDIA simulated GPU" in run.output
    holders = [{"name": f"holds-{number}", "image": "localhost/testlab/busybox:1"} for number in range(2)]
    free = allocatable(cluster) - held(cluster)
    containers = [
        {**one, "command": ["sleep", "1000"], "resources": {"limits": {GPU: 1}}} for one in holders[:free]
    ]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holds", "namespace": "default"},
        "spec": {"containers": containers},
    }
    simulated.Simulated(cluster.lab).apply(pod)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/holds", "--timeout=60s")
    message = refused(play(cluster, **{**smoke, "smoke_wait": 5}))
    cluster.kubectl("delete", "pod", "holds", "--now")
    assert "Insufficient nvidia.com/gpu" in message
    names = [item["metadata"]["name"] for item in cluster.get("pods", "--namespace", NAMESPACE)]
    assert names
    assert not [name for name in names if "smoke" in name]


def held(cluster: Cluster) -> int:
    pods = cluster.get("pods", "--all-namespaces", "--field-selector=status.phase=Running")
    limits = [one.get("resources", {}).get("limits", {}) for pod in pods for one in pod["spec"]["containers"]]
    return sum(int(limit.get(GPU, 0)) for limit in limits)


def test_an_api_server_that_goes_away_is_waited_for(cluster: Cluster) -> None:
    """In the middle of the wait: killed, it is started again by its kubelet, and the role goes on."""
    with lent(cluster):
        kill = "sleep 4; pkill -KILL -x kube-apiserver"
        cluster.sh("control", f"systemd-run --no-block sh -c '{kill}'")
        run = play(cluster, time_slicing_replicas=3, wait=120)
        if run.status:
            assert "cannot reach the API server at https://" in refused(run)
            run = play(cluster, time_slicing_replicas=3, wait=120)
        assert result(run)["totals"][GPU]["allocatable"] == 6
