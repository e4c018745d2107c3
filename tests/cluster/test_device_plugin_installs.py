# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nvidia_device_plugin on simulated nodes, which lend 8 GPUs each whatever is installed."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.api import Api
from tests.cluster.device_plugin import GPU, NAMESPACE, OBJECTS, ROLE, declared
from tests.cluster.runs import changed, done, refused, result
from tests.nodes.labs import Run

INSTALL = "Install or upgrade the release"


def role(kwok: Api, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
    return kwok.role(ROLE, *arguments, kill_at=kill_at, **declared(**variables))


def versions(kwok: Api) -> dict[str, str]:
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


def plugins(kwok: Api) -> list[str]:
    items = json.loads(kwok.kubectl("get", "daemonsets", "--all-namespaces", "--output=json"))["items"]
    return [item["metadata"]["labels"]["app.kubernetes.io/managed-by"] for item in items]


@pytest.fixture
def bare(kwok: Api) -> Iterator[Api]:
    """Without a device plugin, before and after."""
    yield kwok
    done(role(kwok, state="absent"))
    assert plugins(kwok) == []


def test_by_chart_and_by_manifest_and_gone(bare: Api) -> None:
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


def test_a_killed_run_is_taken_up(bare: Api) -> None:
    """Helm was cut off: its release is pending for ever, and each later upgrade would be refused."""
    done(role(bare, method="chart"))
    secrets = bare.kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name").split()
    (name,) = (secret for secret in secrets if "sh.helm" in secret)
    bare.kubectl("-n", NAMESPACE, "label", "--overwrite", name, "status=pending-upgrade")
    assert unfinished(bare, name) == "pending-upgrade"
    assert changed(role(bare, method="chart")) == ["Remove the release", INSTALL]
    assert changed(role(bare, method="chart")) == []


def unfinished(kwok: Api, secret: str) -> str:
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


def test_mig_devices_are_counted_under_their_names(bare: Api) -> None:
    """Nobody cuts a GPU here: the node says that it was, and the role asks the plugin to look for it."""
    mig = "nvidia.com/mig-1g.5gb"
    lend(bare, "gpu-0000", {GPU: "0", mig: "14"})
    try:
        totals = result(role(bare, mig_strategy="mixed"))["totals"]
    finally:
        lend(bare, "gpu-0000", {GPU: "8", mig: None})
    assert (totals[mig]["allocatable"], totals[GPU]["allocatable"]) == (14, 72)
    (daemon_set,) = json.loads(bare.kubectl("-n", NAMESPACE, "get", "daemonsets", "-o", "json"))["items"]
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert {"name": "MIG_STRATEGY", "value": "mixed"} in container["env"]


def lend(kwok: Api, node: str, resources: dict[str, Any]) -> None:
    """What a device plugin would report; None is no more reported."""
    status = {"status": {"capacity": resources, "allocatable": resources}}
    kwok.kubectl("patch", "node", node, "--subresource=status", "--type=merge", "--patch", json.dumps(status))


def test_a_plugin_of_somebody_else_is_refused(bare: Api) -> None:
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


def test_a_bad_chart_is_refused_before_anything_is_made(bare: Api) -> None:
    before = versions(bare)
    message = refused(role(bare, method="chart", chart="/nonexistent"))
    assert 'no chart that Helm can read: Error: path "/nonexistent" not found' in message
    assert versions(bare) == before


def test_who_may_not_is_told_what(kwok: Api, tmp_path: Path) -> None:
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


def restricted(kwok: Api, directory: Path, token: str) -> Path:
    """The cluster's kubeconfig with this token in place of the administrator's certificate."""
    config = yaml.safe_load((kwok.directory / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
