# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dynamic_volumes on the cluster of site.yml: a volume is really made, and nothing of it stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster import clusters, simulated
from tests.cluster.clusters import Cluster
from tests.cluster.simulated import changed, refused, result
from tests.nodes.labs import Run

IMAGE = "localhost/testlab/busybox:1"
INSTALLED: dict[str, Any] = {
    "dynamic_volumes_local_path": True,
    "dynamic_volumes_local_path_image": "localhost/testlab/local-path-provisioner:v0.0.30",
    "dynamic_volumes_local_path_helper_image": IMAGE,
    "dynamic_volumes_probe_image": IMAGE,
}
PROBE = "gpulab-volume-probe"


def role(cluster: Cluster, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
    declared = json.dumps({"test_role": "dynamic_volumes", **INSTALLED, **variables})
    return cluster.play(simulated.ROLE, "--extra-vars", declared, *arguments, kill_at=kill_at)


def left(cluster: Cluster) -> list[str]:
    """What there is of probes: pods, claims, and volumes of such claims."""
    volumes = [item for item in cluster.get("pv") if item["spec"].get("claimRef", {}).get("name") == PROBE]
    found = [
        item for kind in ("pods", "pvc") for item in cluster.get(kind) if item["metadata"]["name"] == PROBE
    ]
    return [item["kind"] for item in found + volumes]


def test_a_volume_is_made_and_removed(cluster: Cluster) -> None:
    with cluster.audited() as requests:
        run = role(cluster, dynamic_volumes_probe="always")
    assert changed(run) == []
    assert result(run) == {
        "state": "present",
        "storage_class": "local-path",
        "provisioner": "rancher.io/local-path",
        "probed": True,
    }
    written = {(one.verb, one.resource) for one in clusters.writes(requests)}
    made = {("create", "pods"), ("create", "persistentvolumeclaims")}
    assert made | {("delete", resource) for _, resource in made} == written
    assert left(cluster) == []


def test_check_mode_makes_no_volume(cluster: Cluster) -> None:
    with cluster.audited() as requests:
        run = role(cluster, "--check", dynamic_volumes_probe="always")
    assert changed(run) == []
    assert result(run)["probed"] is False
    assert clusters.writes(requests) == []


def test_what_a_killed_probe_left_goes_with_the_next(cluster: Cluster) -> None:
    labels = {"gpulab.pachyderm/probe": PROBE}
    metadata = {"name": PROBE, "namespace": "default", "labels": labels}
    container = {"name": "c", "image": IMAGE, "command": ["sleep", "1000"]}
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": PROBE}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    items = [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "volumes": [volume]},
        },
    ]
    simulated.Simulated(cluster.lab).apply(*items)
    clusters.until(lambda: len(left(cluster)) == 3, "the left-over pod has its volume")
    assert changed(role(cluster, dynamic_volumes_probe="always")) == []
    assert left(cluster) == []


def test_a_pod_of_somebody_else_is_not_touched(cluster: Cluster) -> None:
    cluster.kubectl("run", PROBE, f"--image={IMAGE}", "--restart=Never", "--command", "--", "sleep", "1000")
    try:
        assert "was not made by this module" in refused(role(cluster, dynamic_volumes_probe="always"))
        assert left(cluster) == ["Pod"]
    finally:
        cluster.kubectl("delete", "pod", PROBE, "--now")


def test_a_volume_that_nobody_makes_says_so(cluster: Cluster) -> None:
    deployment = ("--namespace=local-path-storage", "scale", "deployment/local-path-provisioner")
    cluster.kubectl(*deployment, "--replicas=0")
    run = role(
        cluster, dynamic_volumes_local_path=False, dynamic_volumes_probe="always", dynamic_volumes_wait=20
    )
    cluster.kubectl(*deployment, "--replicas=1")
    assert "external provisioner 'rancher.io/local-path'" in refused(run)
    assert left(cluster) == []


def test_a_probe_that_fails_says_what_it_printed(cluster: Cluster) -> None:
    command = ["sh", "-c", "echo read-only; exit 3"]
    run = role(cluster, dynamic_volumes_probe="always", dynamic_volumes_probe_command=command)
    assert "exited with 3 (Error)" in refused(run)
    assert "it printed: read-only" in refused(run)
    assert left(cluster) == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"dynamic_volumes_storage_class": "nvme"},
            "nvme is no StorageClass of the cluster; it has local-path",
        ),
        ({"dynamic_volumes_local_path_class": "other"}, "local-path is the default StorageClass already"),
    ],
)
def test_what_cannot_be_is_refused(cluster: Cluster, variables: dict[str, Any], words: str) -> None:
    assert words in refused(role(cluster, **variables))


def test_it_can_be_removed_and_predicted(cluster: Cluster) -> None:
    """On the side, by another class: volumes of the first are in use."""
    own = {
        "dynamic_volumes_local_path_default": False,
        "dynamic_volumes_local_path_class": "second",
        "dynamic_volumes_storage_class": "local-path",
    }
    assert (
        changed(role(cluster, "--check", **own))
        == changed(role(cluster, **own))
        == ["Install local-path-provisioner"]
    )
    assert changed(role(cluster, **own)) == []
    names = [item["metadata"]["name"] for item in cluster.get("storageclass")]
    assert {"local-path", "second"} <= set(names)
    cluster.kubectl("delete", "storageclass", "second")
