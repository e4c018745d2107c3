# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dynamic_volumes on the cluster of site.yml: a volume is really made, and nothing of it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _kubernetes_probe
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from tests.cluster import clusters, outage
from tests.cluster.api import connection, writes
from tests.cluster.clusters import Cluster
from tests.cluster.runs import changed, done, refused, result
from tests.nodes.labs import Run

pytestmark = pytest.mark.slow

IMAGE = "localhost/testlab/busybox:1"
INSTALLED: dict[str, Any] = {
    "dynamic_volumes_local_path": True,
    "dynamic_volumes_local_path_image": "localhost/testlab/local-path-provisioner:v0.0.30",
    "dynamic_volumes_local_path_helper_image": IMAGE,
    "dynamic_volumes_probe_image": IMAGE,
}
PROBE = "gpulab-volume-probe"
# One more provisioner, on the side: volumes of the first are in use.
SECOND: dict[str, Any] = {
    "dynamic_volumes_local_path_default": False,
    "dynamic_volumes_local_path_class": "second",
    "dynamic_volumes_storage_class": "local-path",
}


def role(cluster: Cluster, *arguments: str, kill_at: str = "", **variables: Any) -> Run:
    return cluster.role("dynamic_volumes", *arguments, kill_at=kill_at, **{**INSTALLED, **variables})


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
    written = {(one.verb, one.resource) for one in writes(requests)}
    made = {("create", "pods"), ("create", "persistentvolumeclaims")}
    assert made | {("delete", resource) for _, resource in made} == written
    assert left(cluster) == []


def test_check_mode_makes_no_volume(cluster: Cluster) -> None:
    with cluster.audited() as requests:
        run = role(cluster, "--check", dynamic_volumes_probe="always")
    assert changed(run) == []
    assert result(run)["probed"] is False
    assert writes(requests) == []


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
    cluster.apply(*items)
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
    assert (
        changed(role(cluster, "--check", **SECOND))
        == changed(role(cluster, **SECOND))
        == ["Install local-path-provisioner"]
    )
    assert changed(role(cluster, **SECOND)) == []
    names = [item["metadata"]["name"] for item in cluster.get("storageclass")]
    assert {"local-path", "second"} <= set(names)
    cluster.kubectl("delete", "storageclass", "second")


@pytest.mark.parametrize("connections", [1, 2])
def test_an_api_server_that_goes_in_the_middle(cluster: Cluster, tmp_path: Path, connections: int) -> None:
    """While the role looks, and when it installs: one line says so, and the next run converges."""
    try:
        with outage.behind(cluster.kubeconfig, tmp_path / "kubeconfig", connections) as server:
            run = role(cluster, **SECOND, test_kubeconfig=str(server.kubeconfig))
        assert "cannot reach the API server at https://127.0.0.1:" in refused(run)
        assert len(run.failure("localhost").splitlines()) == 1
        done(role(cluster, **SECOND))
        assert changed(role(cluster, **SECOND)) == []
    finally:
        cluster.kubectl("delete", "storageclass", "second", "--ignore-not-found")


def test_an_api_server_that_goes_while_a_volume_is_made(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its probe stays, and goes with the next run."""
    # Else it is waited for as long as one takes to start.
    monkeypatch.setattr(_kubernetes_probe, "_REMOVAL", 4)
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": PROBE}}
    container = {"name": "c", "image": IMAGE, "command": ["sleep", "1000"]}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    probe = _kubernetes_probe.Probe(
        PROBE, "default", {"containers": [container], "volumes": [volume]}, claim, 12
    )
    with (
        outage.behind(cluster.kubeconfig, tmp_path / "kubeconfig") as server,
        outage.once(lambda: len(left(cluster)) == 3, server.end),
        pytest.raises(PachydermError, match="cannot reach the API server"),
    ):
        _kubernetes_probe.run_probe(connection(server.kubeconfig), probe, False)
    assert len(left(cluster)) == 3
    assert changed(role(cluster, dynamic_volumes_probe="always")) == []
    assert left(cluster) == []
