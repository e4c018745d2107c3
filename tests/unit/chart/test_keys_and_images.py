# SPDX-License-Identifier: GPL-3.0-or-later
"""Typos in values, and the images of a render."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_images import images
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_keys import unknown_keys
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_pins import PINS
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_settings import Settings
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_values import chart_values

CHART = Path(__file__).resolve().parents[3] / "testlab/charts/pachyderm"
# Of the same form as the chart's own.
DEFAULTS: dict[str, Any] = {
    "global": {"postgresql": {"postgresqlHost": "postgres"}, "image": {"registry": "docker.io/"}},
    "etcd": {"storageSize": "10Gi"},
    "pachd": {
        "annotations": {},
        "resources": {},
        "worker": {"image": {"repository": "pachyderm/worker"}},
        "storage": {"local": {"hostPath": ""}},
        "externalService": {"enabled": False},
    },
    "pachw": {"maxReplicas": 1},
    "proxy": {"resources": {"requests": {"cpu": "100m"}}},
    "postgresql": {"persistence": {"size": "10Gi"}, "initdbScripts": {"dex.sh": "..."}},
    "loki-stack": {"loki": {"persistence": {"enabled": True}}},
}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"pachd": {"storage": {"local": {"hostPath": "/x/"}}}},
        {"pachd": {"annotations": {"a": "b"}, "resources": {"limits": {"nvidia.com/gpu": 1}}}},
        {"proxy": {"resources": {"limits": {"memory": "1Gi"}}}},
        # The templates read these, and values.yaml does not name them.
        {"pachw": {"minReplicas": 1}, "pachd": {"worker": {"image": {"tag": "x"}}}},
        # Values of the charts inside.
        {"postgresql": {"resources": {}, "initdbScripts": {"my.sh": "..."}}},
        {"loki-stack": {"loki": {"image": {"repository": "x"}}}},
    ],
)
def test_known_keys_pass(values: dict[str, Any]) -> None:
    assert unknown_keys(values, DEFAULTS) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pachd": {"storage": {"local": {"hostpath": "/x/"}}}}, "pachd.storage.local.hostPath"),
        ({"etdc": {"storageSize": "1Gi"}}, "the nearest is etcd"),
        ({"global": {"postgresql": {"postgresHost": "x"}}}, "global.postgresql.postgresqlHost"),
        ({"postgresql": {"persistance": {"size": "1Gi"}}}, "postgresql.persistence"),
        ({"pachd": {"annotation": {}}}, "pachd.annotations"),
        ({"pachd": {"worker": {"image": {"tags": "x"}}}}, "pachd.worker.image.tag"),
    ],
)
def test_trap_a_typo_is_named_with_the_nearest_key(values: dict[str, Any], message: str) -> None:
    lines = unknown_keys(values, DEFAULTS)
    assert len(lines) == 1
    assert message in lines[0]


def test_the_chart_for_tests_has_the_keys_that_the_role_sets() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    pins = dict.fromkeys(PINS, "x")
    some: list[dict[str, Any]] = [
        {},
        {"small_cluster": True, "proxy_service_type": "NodePort"},
        {"storage_backend": "MINIO", "storage_bucket": "b", "storage_endpoint": "e", "storage_id": "i"},
        {"storage_backend": "GOOGLE", "storage_bucket": "b", "storage_class": "c"},
        {"storage_backend": "MICROSOFT", "storage_bucket": "b", "tls_secret": "s", "openshift_scc": "s"},
        {"image_registry": "r", "image_pull_secrets": ["s"], "cluster_role_bindings": {"a": ["b"]}},
    ]
    for settings in some:
        assert unknown_keys(chart_values(Settings.parse(settings), pins), defaults) == []


MANIFEST = """
kind: Deployment
metadata: {name: pachd}
spec:
  template:
    spec:
      initContainers: [{image: r/init:1}]
      containers:
        - image: r/pachd:2.12.0
          env:
            - {name: WORKER_IMAGE, value: "r/worker:2.12.0"}
            - {name: WORKER_SIDECAR_IMAGE, value: "r/pachd:2.12.0"}
            - {name: WORKER_IMAGE_PULL_POLICY, value: Always}
            - {name: STORAGE_BACKEND, value: LOCAL}
---
kind: Pod
metadata: {name: test, annotations: {"helm.sh/hook": test}}
spec: {containers: [{image: alpine}]}
---
kind: Job
metadata: {name: before, annotations: {"helm.sh/hook": pre-upgrade}}
spec: {template: {spec: {containers: [{image: r/hook:1}]}}}
---
"""


def test_trap_the_image_of_workers_is_in_no_container() -> None:
    assert images(MANIFEST) == ["r/hook:1", "r/init:1", "r/pachd:2.12.0", "r/worker:2.12.0"]
