# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachyderm on the chart for tests: plays, and what they leave."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart import Declared
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart import Run as ModuleRun
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_helm import Helm
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_rollout import rollout
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_values import merge
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC, Kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._plan import Outcome
from ansible_collections.gpulab.pachyderm.plugins.modules.pachyderm_chart import ARGUMENTS
from tests.cluster.api import ROOT, connection
from tests.cluster.clusters import Cluster
from tests.nodes.labs import Run

FILES = Path(__file__).parent / "files"
PLAYBOOK = FILES / "pachyderm.yml"
ENDPOINT = FILES / "endpoint.yml"
CHART = ROOT / "testlab/charts/pachyderm"
# The embedded pachd lends simulated GPUs by itself here: no driver, no device plugin.
PLAIN: dict[str, Any] = {
    "pachyderm_storage_class": "by-hand",
    "pachyderm_auth": True,
    "pachyderm_proxy": False,
    "pachyderm_service_type": "NodePort",
    "pachyderm_small_cluster": True,
    "pachyderm_console": False,
    "pachyderm_loki": False,
    "pachyderm_wait": 120,
    "pachyderm_resources": {"pachd": {"limits": {"nvidia.com/gpu": None}}},
}
FIXTURE: dict[str, Any] = {"runtimeClassName": "", "gpus": "2"}


class Lab:
    """A namespace with Pachyderm in it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def play(
        self, *arguments: str, fixture: dict[str, Any] | None = None, values: Any = None, **variables: Any
    ) -> Run:
        """The role with PLAIN and what a test adds."""
        chart_values = {**(values or {}), "fixture": {**FIXTURE, **(fixture or {})}}
        declared = {
            **PLAIN,
            "pachyderm_namespace": self.namespace,
            "pachyderm_values": chart_values,
            **variables,
        }
        return self.cluster.play(PLAYBOOK, "--extra-vars", json.dumps(declared), *arguments)

    def module(self, settings: dict[str, Any], **options: Any) -> Outcome:
        """The role's module alone, in this process: a tenth of a play's time. Raises PachydermError."""
        plain = {key.removeprefix("pachyderm_"): value for key, value in PLAIN.items()}
        plain.pop("wait")
        values = merge({"fixture": FIXTURE}, settings.get("values", {}))
        defaults = {name: spec.get("default") for name, spec in {**ARGUMENTS, **KUBERNETES_SPEC}.items()}
        params = {
            **defaults,
            "namespace": self.namespace,
            "chart": str(CHART),
            "helm_binary": str(self.cluster.helm),
            "kubeconfig": str(self.cluster.kubeconfig),
            **options,
            "settings": {**plain, **settings, "values": values},
        }
        declared = Declared.parse(params)
        helm = Helm(declared.helm, params, declared.namespace, declared.release)
        work = ModuleRun(Kubernetes(params), helm, declared, False, lambda texts: None)
        return work.present() if declared.state == "present" else work.absent()

    def deploy(self, settings: dict[str, Any], wait: int = 120, **options: Any) -> Outcome:
        """As the role does it: the module, then wait for the pods."""
        outcome = self.module(settings, **options)
        rollout(connection(self.cluster.kubeconfig), self.namespace, wait)
        return outcome

    def endpoint(self, *arguments: str, **variables: Any) -> Run:
        declared = {"test_namespace": self.namespace, **variables}
        return self.cluster.play(ENDPOINT, "--extra-vars", json.dumps(declared), *arguments)

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        return self.cluster.get(kind, "--namespace", self.namespace, *arguments)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, check=check)

    def pod(self) -> str:
        """UID of pachd's pod."""
        (found,) = self.get("pods", "--selector", "app=pachd")
        return str(found["metadata"]["uid"])

    def secret(self) -> dict[str, str]:
        return dict(self.get("secret", "gpulab-pachyderm")[0]["data"])

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.cluster.helm), "--kubeconfig", str(self.cluster.kubeconfig)]
        return subprocess.run(
            [*command, "--namespace", self.namespace, *arguments], capture_output=True, text=True, timeout=120
        )

    def release(self) -> dict[str, Any]:
        (found,) = json.loads(self.helm("list", "--all", "--output", "json").stdout)
        return dict(found)


@contextmanager
def installed(cluster: Cluster, namespace: str) -> Iterator[Lab]:
    """A namespace of its own, with the volume for it; both are taken away in the end."""
    cluster.kubectl("apply", "--filename", str(FILES / "volume.yml"))
    lab = Lab(cluster, namespace)
    try:
        yield lab
    finally:
        lab.endpoint(test_state="absent")
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=60s", check=False)
        cluster.kubectl("delete", "--filename", str(FILES / "volume.yml"), "--timeout=30s", check=False)
        cluster.sh("gpu1", "rm -rf /var/lib/pachyderm-by-hand")
