# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that settings become, compared with what the real chart 2.12.0 was seen to need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_pins import PINS
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_settings import Settings
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_values import (
    chart_values,
    leaves,
    masked,
    merge,
    secret_texts,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError

ROLE = Path(__file__).resolve().parents[3] / "roles/pachyderm"
KEPT = {name: f"kept-{name}" for name in PINS} | {"host-path": "/x/"}
EXTERNAL = {"postgresql_bundled": False, "postgresql_host": "db", "postgresql_password": "pass-word"}


def values_of(**given: Any) -> dict[str, Any]:
    return chart_values(Settings.parse(given), KEPT)


def at(values: Any, path: str) -> Any:
    for key in path.split("."):
        if key not in values:
            return None
        values = values[key]
    return values


def test_the_smallest_working_set() -> None:
    """What a kubeadm cluster of one node with an external PostgreSQL ran with, and the pins."""
    values = values_of(
        **EXTERNAL, console=False, proxy=False, loki=False, auth=False, service_type="NodePort"
    )
    assert values == {
        "deployTarget": "LOCAL",
        "global": {
            "postgresql": {
                "postgresqlUsername": "pachyderm",
                "postgresqlDatabase": "pachyderm",
                "postgresqlHost": "db",
                "postgresqlPort": "5432",
                "postgresqlSSL": "prefer",
                "postgresqlPassword": "pass-word",
            }
        },
        "postgresql": {"enabled": False},
        "console": {
            "enabled": False,
            "config": {"oauthClientSecret": "kept-console-oauth-client-secret"},
        },
        "proxy": {"enabled": False},
        "oidc": {"mockIDP": False},
        "pachd": {
            "activateAuth": False,
            "clusterDeploymentID": "kept-cluster-deployment-id",
            "rootToken": "kept-root-token",
            "oauthClientSecret": "kept-pachd-oauth-client-secret",
            "lokiDeploy": False,
            "lokiLogging": False,
            "service": {"type": "NodePort"},
            "storage": {"local": {"hostPath": "/x/"}},
        },
    }


@pytest.mark.parametrize("name", sorted(PINS))
def test_trap_what_the_chart_rolls_anew_is_pinned(name: str) -> None:
    assert at(values_of(), ".".join(PINS[name].path)) == KEPT[name]


@pytest.mark.parametrize("backend", ["LOCAL", "AMAZON", "MINIO", "GOOGLE", "MICROSOFT"])
def test_trap_the_host_path_is_pinned_for_every_backend(backend: str) -> None:
    values = values_of(storage_backend=backend, storage_bucket="b", storage_endpoint="minio:9000")
    assert at(values, "pachd.storage.local.hostPath") == "/x/"


def test_trap_root_token_is_pinned_while_authentication_is_off() -> None:
    """Else the day that it is switched on has another token than the next one."""
    assert at(values_of(auth=False), "pachd.rootToken") == "kept-root-token"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"storage_backend": "AMAZON", "storage_bucket": "b", "storage_region": "eu-west-1"},
            {
                "deployTarget": "AMAZON",
                "pachd.storage.storageURL": "s3://b?region=eu-west-1",
                "pachd.storage.amazon": {"bucket": "b", "region": "eu-west-1"},
                "pachd.storage.backend": None,
            },
        ),
        (
            {
                "storage_backend": "MINIO",
                "storage_bucket": "b",
                "storage_endpoint": "minio:9000",
                "storage_secure": False,
                "storage_id": "user",
                "storage_secret": "secret",
            },
            {
                # pachd 2.12 refuses MINIO as an unrecognized storage backend.
                "deployTarget": "CUSTOM",
                "pachd.storage.backend": "AMAZON",
                "pachd.storage.storageURL": "s3://b?endpoint=minio:9000&disableSSL=true&region=us-east-1",
                "pachd.storage.amazon": {"bucket": "b", "id": "user", "secret": "secret"},
            },
        ),
        (
            {"storage_backend": "GOOGLE", "storage_bucket": "b", "storage_credentials": "{}"},
            {
                "deployTarget": "GOOGLE",
                "pachd.storage.storageURL": "gs://b",
                "pachd.storage.google": {"bucket": "b", "cred": "{}"},
            },
        ),
        (
            {
                "storage_backend": "MICROSOFT",
                "storage_bucket": "c",
                "storage_id": "account",
                "storage_secret": "key",
            },
            {
                "deployTarget": "MICROSOFT",
                "pachd.storage.storageURL": "azblob://c",
                "pachd.storage.microsoft": {"container": "c", "id": "account", "secret": "key"},
            },
        ),
        (
            {"storage_backend": "AMAZON", "storage_url": "s3://b?x=y"},
            {"pachd.storage.storageURL": "s3://b?x=y"},
        ),
        ({"storage_backend": "LOCAL", "storage_bucket": "b"}, {"pachd.storage.storageURL": None}),
        (
            EXTERNAL
            | {
                "postgresql_password": "",
                "postgresql_existing_secret": "s",
                "postgresql_existing_secret_key": "k",
            },
            {
                "global.postgresql.postgresqlPassword": "",
                "global.postgresql.postgresqlExistingSecretName": "s",
                "global.postgresql.postgresqlExistingSecretKey": "k",
            },
        ),
        (
            {"postgresql_identity_database": "identity"},
            {"global.postgresql.identityDatabaseFullNameOverride": "identity"},
        ),
        ({}, {"global.postgresql.identityDatabaseFullNameOverride": None}),
        (
            {"tls_certificate": "CRT", "tls_key": "KEY"},
            {"proxy.tls": {"enabled": True, "secretName": "gpulab-pachyderm-tls"}},
        ),
        ({"tls_secret": "mine"}, {"proxy.tls": {"enabled": True, "secretName": "mine"}}),
        (
            {"proxy_service_type": "NodePort"},
            {"proxy.service": {"type": "NodePort", "httpNodePort": 30080, "httpsNodePort": 30443}},
        ),
        (
            {"proxy_service_type": "LoadBalancer", "proxy_load_balancer_ip": "10.0.0.9"},
            {"proxy.service": {"type": "LoadBalancer", "loadBalancerIP": "10.0.0.9"}},
        ),
        ({"proxy_host": "p.example.com"}, {"proxy.host": "p.example.com"}),
        (
            {"openshift_scc": "anyuid"},
            {"global.securityContexts": {"enabled": False}},
        ),
        (
            {"resources": {"loki": {"limits": {"cpu": 1}}}},
            {"loki-stack.loki.resources": {"limits": {"cpu": 1}}},
        ),
        (
            {"storage_class": "fast"},
            {
                "etcd.storageClass": "fast",
                "postgresql.persistence.storageClass": "fast",
                "loki-stack.loki.persistence.storageClassName": "fast",
            },
        ),
        ({"image_pull_secrets": ["regcred"]}, {"global.imagePullSecrets": ["regcred"]}),
        (
            {"cluster_role_bindings": {"robot:x": ["repoReader"]}},
            {"pachd.pachAuthClusterRoleBindings": {"robot:x": ["repoReader"]}},
        ),
    ],
)
def test_settings_become_values(given: dict[str, Any], expected: dict[str, Any]) -> None:
    values = values_of(**given)
    assert {path: at(values, path) for path in expected} == expected


def test_trap_a_mirror_also_for_images_that_do_not_heed_the_global_registry() -> None:
    values = values_of(image_registry="mirror.example.com/lab/")
    assert at(values, "global.image.registry") == "mirror.example.com/lab/"
    assert at(values, "loki-stack.loki.image.repository") == "mirror.example.com/lab/grafana/loki"
    assert at(values, "loki-stack.promtail.image.registry") == "mirror.example.com/lab"
    assert at(values, "postgresql.image.registry") == "mirror.example.com/lab"


def test_a_small_cluster_leaves_room_for_a_pipeline_on_two_cores() -> None:
    values = values_of(small_cluster=True, console=False, loki=False)
    milli = [
        int(value.removesuffix("m")) for path, value in leaves(values) if path[-2:] == ("requests", "cpu")
    ]
    for who in ("Pipeline", "Sidecar"):
        milli.append(int(at(values, f"pachd.default{who}CPURequest").removesuffix("m")))
    # CoreDNS and what else kubeadm brings asks for 950m on a node of its own.
    assert sum(milli) <= 1000
    assert at(values, "console.resources") is None


def test_what_the_user_gives_wins() -> None:
    values = values_of(small_cluster=True, values={"pachd": {"resources": {"requests": {"cpu": "2"}}}})
    assert at(values, "pachd.resources.requests") == {"cpu": "2", "memory": "256Mi"}


def test_merge_replaces_lists_and_keeps_its_inputs() -> None:
    below = {"a": {"b": [1], "c": 2}}
    assert merge(below, {"a": {"b": [3]}, "d": {}}) == {"a": {"b": [3], "c": 2}, "d": {}}
    assert below == {"a": {"b": [1], "c": 2}}


def test_secrets_are_known_as_such() -> None:
    values = values_of(
        storage_backend="MINIO",
        storage_bucket="bucket",
        storage_endpoint="minio:9000",
        storage_id="access-id",
        storage_secret="access-secret",
        storage_token="access-token",
    )
    secret = secret_texts(values)
    assert {"access-id", "access-secret", "access-token", "kept-root-token"} <= secret
    assert {"kept-postgresql-password", "kept-postgresql-postgres-password"} <= secret
    assert not {"bucket", "LOCAL", "/x/", "kept-cluster-deployment-id"} & secret
    shown = yaml.safe_dump(masked(values))
    assert not [text for text in secret if text in shown]
    assert "minio:9000" in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"storage_backend": "S3"}, "pachyderm_storage_backend: S3"),
        ({"storage_backend": "AMAZON"}, "pachyderm_storage_bucket"),
        ({"storage_backend": "MINIO", "storage_bucket": "b"}, "pachyderm_storage_endpoint"),
        ({"storage_endpoint": "http://minio"}, "host:port only"),
        ({"host_path": "/data"}, "must begin and end with /"),
        ({"host_path": "data/"}, "must begin and end with /"),
        ({"postgresql_bundled": False, "postgresql_password": "x"}, "pachyderm_postgresql_host"),
        ({"postgresql_bundled": False, "postgresql_host": "x"}, "pachyderm_postgresql_password"),
        ({"postgresql_host": "x"}, "pachyderm_postgresql_bundled to false"),
        ({"tls_certificate": "x"}, "give both"),
        ({"tls_secret": "x", "proxy": False}, "pachyderm_proxy to true"),
        ({"route": True}, "pachyderm_tls_"),
        ({"resources": {"pacd": {}}}, "pachyderm_resources: pacd"),
        ({"proxy_service_type": "nodeport"}, "pachyderm_proxy_service_type: nodeport"),
        ({"colour": "red"}, "colour"),
        ({"auth": "perhaps"}, "pachyderm_auth: is no bool"),
        ({"postgresql_port": "many"}, "pachyderm_postgresql_port: is no int"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PachydermError, match=message):
        Settings.parse(given)


def test_text_from_the_command_line_becomes_what_is_meant() -> None:
    settings = Settings.parse({"auth": "false", "postgresql_port": "5433", "cluster_id": 7})
    assert (settings.auth, settings.postgresql_port, settings.cluster_id) == (False, 5433, "7")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(PachydermError, match=r"host_path.*pachyderm_route") as failure:
        Settings.parse({"host_path": "x", "route": True})
    assert "\n" not in str(failure.value)


def test_the_role_hands_over_every_setting() -> None:
    handed = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__pachyderm_settings"]
    assert set(handed) == set(Settings.__dataclass_fields__)
    assert handed == {name: f"{{{{ pachyderm_{name} }}}}" for name in handed}


def test_the_role_starts_from_the_same_defaults() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    plain = Settings()
    for name in Settings.__dataclass_fields__:
        default = defaults[f"pachyderm_{name}"]
        if name not in ("console", "loki", "openshift_scc"):  # of a template, or of the cluster
            assert default == (list(value) if isinstance(value := getattr(plain, name), tuple) else value), (
                name
            )
