# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/reset.yml takes away what site.yml made, and keeps the data."""

from __future__ import annotations

from tests.cluster.api import ROOT, writes
from tests.cluster.clusters import Cluster

RESET = ROOT / "playbooks/reset.yml"
MEANT = ("--extra-vars", "reset_confirm=true")


def test_nothing_is_undone_by_accident(cluster: Cluster) -> None:
    with cluster.audited() as requests:
        run = cluster.play(RESET)
    assert run.status != 0
    assert "reset_confirm=true" in run.output
    assert writes(requests) == []


def test_all_layers_go_and_the_data_stay(cluster: Cluster) -> None:
    # What site.yml made, and tests of the layers left as it was.
    assert cluster.get("deployments", "--namespace=pachyderm")
    assert cluster.get("runtimeclasses")
    run = cluster.play(RESET, *MEANT)
    assert run.status == 0, run.output
    assert cluster.get("deployments", "--namespace=pachyderm") == []
    assert cluster.get("daemonsets", "--all-namespaces", "--selector=k8s-app!=kube-proxy") == []
    assert cluster.get("runtimeclasses") == []
    assert cluster.get("persistentvolumeclaims", "--namespace=pachyderm")
    assert cluster.get("secrets", "--namespace=pachyderm", "--field-selector=metadata.name=gpulab-pachyderm")
    assert cluster.sh("gpu1", "dpkg-query --show 'nvidia*' 'libnvidia*' 2>/dev/null || true") == ""
    assert "nvidia" not in cluster.sh("gpu1", "containerd config dump")


def test_what_is_gone_is_left_alone(cluster: Cluster) -> None:
    run = cluster.play(RESET, *MEANT)
    assert run.status == 0, run.output
    assert [event.task for event in run.events if event.changed] == []
