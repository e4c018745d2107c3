# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, from two bare nodes with Kubernetes to the output of the tutorial's pipeline, and again.

It runs four times: in check mode, for real, once more, and in check mode on the finished lab.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.cluster.api import Request, writes
from tests.cluster.clusters import SITE, Cluster
from tests.nodes.labs import Run

RUNS = ["predicted", "first", "second", "checked"]
GPUS = "nvidia.com/gpu"


@dataclass(frozen=True)
class Watched:
    """A run, and what it asked of the API server."""

    run: Run
    requests: list[Request]

    def changed(self) -> set[tuple[str, str]]:
        return {(event.host, event.task) for event in self.run.events if event.changed}


def watch(cluster: Cluster, *arguments: str) -> Watched:
    with cluster.audited() as requests:
        run = cluster.play(SITE, *arguments)
    assert run.status == 0, run.output
    return Watched(run, requests)


@pytest.fixture(scope="module")
def story(cluster: Cluster) -> dict[str, Watched]:
    arguments = {"predicted": ["--check"], "checked": ["--check"]}
    return {name: watch(cluster, *arguments.get(name, [])) for name in RUNS}


@pytest.mark.parametrize("name", ["second", "checked"])
def test_a_finished_lab_is_left_as_it_is(story: dict[str, Watched], name: str) -> None:
    assert story[name].changed() == set()
    assert writes(story[name].requests) == []


@pytest.mark.parametrize("name", ["predicted", "checked"])
def test_check_mode_sends_no_write(story: dict[str, Watched], name: str) -> None:
    assert story[name].requests
    assert writes(story[name].requests) == []


def test_check_mode_of_a_bare_cluster_predicts_the_run(story: dict[str, Watched]) -> None:
    """Of the layers on the cluster. (Those of the nodes are compared in tests/nodes.)"""
    layers = ("helm", "dynamic_volumes", "nvidia_device_plugin", "pachyderm")

    def of_layers(name: str) -> set[str]:
        return {task for host, task in story[name].changed() if task.split(" : ")[0].split(".")[-1] in layers}

    assert of_layers("predicted")
    assert of_layers("predicted") == of_layers("first")


def test_the_pipeline_ran_on_the_simulated_gpu(story: dict[str, Watched], cluster: Cluster) -> None:
    """The tutorial's gpu.py, in a pod that got its GPU by device plugin, runtime class and CDI."""
    assert story["first"].changed()
    output = cluster.read("gpu", "/output-logs.txt")
    assert "Devices as seen by nvidia-smi" in output
    assert "GPU devices: 1" in output
    assert "README.md" in cluster.read("gpu", "/input-data.txt")


def test_the_node_offers_its_gpus(story: dict[str, Watched], cluster: Cluster) -> None:
    (node,) = (node for node in cluster.get("nodes") if node["metadata"]["name"] == "gpu1")
    assert node["status"]["allocatable"][GPUS] == "2"


def test_the_chart_is_in_namespace_pachyderm(story: dict[str, Watched], cluster: Cluster) -> None:
    """The tutorial's `helm ls` and `kubectl get pods`."""
    (pod,) = cluster.get("pods", "--namespace=pachyderm", "--selector=app=pachd")
    assert pod["status"]["phase"] == "Running"
    assert pod["spec"]["containers"][0]["resources"]["limits"][GPUS] == "1"
    assert pod["spec"]["runtimeClassName"] == "nvidia"


def test_requests_do_not_grow_with_reruns(story: dict[str, Watched]) -> None:
    """A run that changes nothing asks for lists and single objects, and ends; 61 with those of the report."""
    assert len(story["second"].requests) < 70, [f"{r.verb} {r.resource}" for r in story["second"].requests]
