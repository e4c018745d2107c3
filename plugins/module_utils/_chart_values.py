# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings and pins to the values of Pachyderm's chart. PRIVATE to the collection.

No I/O. The keys are those of chart 2.12 (values.yaml of etc/helm/pachyderm in pachyderm/pachyderm).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from ._chart_settings import COMPONENTS, Settings

Values = dict[str, Any]

# Small enough for two cores: the chart asks for half a gigabyte for the proxy, and pachd gives each worker
# and
# each sidecar a whole core. pachd reads the defaults of pipelines when it makes its database, not later.
_SMALL: dict[str, Values] = {
    "pachd": {"requests": {"cpu": "100m", "memory": "256Mi"}},
    "etcd": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    "pgbouncer": {"requests": {"cpu": "20m", "memory": "32Mi"}},
    "postgresql": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    "console": {"requests": {"cpu": "50m", "memory": "128Mi"}},
    "proxy": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
}
_SMALL_PIPELINES = {"CPURequest": "100m", "MemoryRequest": "64Mi", "StorageRequest": "64Mi"}
_SECRET_KEY = re.compile(r"(password|secret|token|cred|key|id)$", re.IGNORECASE)
_NOT_SECRET = frozenset({"oauthClientID", "clusterDeploymentID", "postgresqlExistingSecretKey"})


def chart_values(settings: Settings, pins: Mapping[str, str]) -> Values:
    """The values of a release. `pins` are what the chart would else roll anew, by the name in _chart_pins."""
    s = settings
    values: Values = {
        "deployTarget": _deploy_target(s),
        "global": {"postgresql": _postgresql(s, pins)},
        "postgresql": {"enabled": s.postgresql_bundled},
        "console": {
            "enabled": s.console,
            "config": {"oauthClientSecret": pins["console-oauth-client-secret"]},
        },
        "proxy": _proxy(s),
        "oidc": {"mockIDP": s.mock_idp},
        "pachd": {
            "activateAuth": s.auth,
            "clusterDeploymentID": pins["cluster-deployment-id"],
            "rootToken": pins["root-token"],
            "oauthClientSecret": pins["pachd-oauth-client-secret"],
            "lokiDeploy": s.loki,
            "lokiLogging": s.loki,
            "service": {"type": s.service_type},
            "storage": _storage(s, pins),
        },
    }
    if s.cluster_role_bindings:
        values["pachd"]["pachAuthClusterRoleBindings"] = dict(s.cluster_role_bindings)
    for part in (_storage_class(s), _images(s), _resources(s)):
        values = merge(values, part)
    if s.openshift_scc:
        # OpenShift gives each namespace its own range of users; the chart's fixed ones would be refused.
        values = merge(values, {"global": {"securityContexts": {"enabled": False}}})
    return merge(values, s.values)


def _deploy_target(s: Settings) -> str:
    # To the chart MINIO is no target of its own, and pachd 2.12 knows no backend of that name: S3 it is.
    return "CUSTOM" if s.storage_backend == "MINIO" else s.storage_backend


def _storage(s: Settings, pins: Mapping[str, str]) -> Values:
    # Pinned for every backend: a lab that changes its own would else meet a random path.
    storage: Values = {"local": {"hostPath": pins["host-path"]}}
    if s.storage_backend == "LOCAL":
        return storage
    storage["storageURL"] = s.storage_url or _storage_url(s)
    if s.storage_backend in ("AMAZON", "MINIO"):
        given = {
            "bucket": s.storage_bucket,
            "region": s.storage_region,
            "id": s.storage_id,
            "secret": s.storage_secret,
            "token": s.storage_token,
        }
        storage["amazon"] = {name: value for name, value in given.items() if value}
        if s.storage_backend == "MINIO":
            storage["backend"] = "AMAZON"
    elif s.storage_backend == "GOOGLE":
        storage["google"] = {"bucket": s.storage_bucket, "cred": s.storage_credentials}
    else:
        storage["microsoft"] = {
            "container": s.storage_bucket,
            "id": s.storage_id,
            "secret": s.storage_secret,
        }
    return storage


def _storage_url(s: Settings) -> str:
    """What pachd opens; an S3 endpoint of one's own is a parameter of the URL, and of nothing else."""
    scheme = {"GOOGLE": "gs", "MICROSOFT": "azblob"}.get(s.storage_backend, "s3")
    parameters = {}
    if scheme == "s3" and s.storage_endpoint:
        parameters = {
            "endpoint": s.storage_endpoint,
            "disableSSL": str(not s.storage_secure).lower(),
            "region": s.storage_region or "us-east-1",
        }
    elif scheme == "s3" and s.storage_region:
        parameters = {"region": s.storage_region}
    query = f"?{urlencode(parameters, safe=':/')}" if parameters else ""
    return f"{scheme}://{s.storage_bucket}{query}"


def _postgresql(s: Settings, pins: Mapping[str, str]) -> Values:
    values: Values = {
        "postgresqlUsername": s.postgresql_username,
        "postgresqlDatabase": s.postgresql_database,
    }
    if s.postgresql_identity_database != "dex":
        values["identityDatabaseFullNameOverride"] = s.postgresql_identity_database
    if s.postgresql_bundled:
        values["postgresqlPassword"] = pins["postgresql-password"]
        values["postgresqlPostgresPassword"] = pins["postgresql-postgres-password"]
        return values
    values["postgresqlHost"] = s.postgresql_host
    values["postgresqlPort"] = str(s.postgresql_port)
    values["postgresqlSSL"] = s.postgresql_ssl_mode
    if s.postgresql_existing_secret:
        values["postgresqlPassword"] = ""
        values["postgresqlExistingSecretName"] = s.postgresql_existing_secret
        values["postgresqlExistingSecretKey"] = s.postgresql_existing_secret_key
    else:
        values["postgresqlPassword"] = s.postgresql_password
    return values


def _proxy(s: Settings) -> Values:
    if not s.proxy:
        return {"enabled": False}
    service: Values = {"type": s.proxy_service_type}
    if s.proxy_service_type == "NodePort":
        service |= {"httpNodePort": s.proxy_http_node_port, "httpsNodePort": s.proxy_https_node_port}
    if s.proxy_load_balancer_ip:
        service["loadBalancerIP"] = s.proxy_load_balancer_ip
    values: Values = {"enabled": True, "service": service}
    if s.proxy_host:
        values["host"] = s.proxy_host
    if s.tls:
        values["tls"] = {"enabled": True, "secretName": s.tls_secret or TLS_SECRET}
    return values


# The secret that holds the certificate of the role's variables.
TLS_SECRET = "gpulab-pachyderm-tls"


def _storage_class(s: Settings) -> Values:
    if not s.storage_class:
        return {}
    values: Values = {"etcd": {"storageClass": s.storage_class}}
    if s.postgresql_bundled:
        values["postgresql"] = {"persistence": {"storageClass": s.storage_class}}
    if s.loki:
        values["loki-stack"] = {"loki": {"persistence": {"storageClassName": s.storage_class}}}
    return values


def _images(s: Settings) -> Values:
    """A mirror's prefix for every image: three of the charts inside do not heed global.image.registry."""
    values: Values = {}
    if s.image_registry:
        registry = s.image_registry.rstrip("/")
        values = {
            "global": {"image": {"registry": f"{registry}/"}},
            "testConnection": {"image": {"repository": f"{registry}/alpine"}},
        }
        if s.postgresql_bundled:
            values["postgresql"] = {"image": {"registry": registry}}
        if s.loki:
            values["loki-stack"] = {
                "loki": {"image": {"repository": f"{registry}/grafana/loki"}},
                "promtail": {"image": {"registry": registry}},
            }
    if s.image_pull_secrets:
        values = merge(values, {"global": {"imagePullSecrets": list(s.image_pull_secrets)}})
    return values


def _resources(s: Settings) -> Values:
    values: Values = {}
    if s.small_cluster:
        small = {
            f"default{who}{what}": size
            for who in ("Pipeline", "Sidecar")
            for what, size in _SMALL_PIPELINES.items()
        }
        values = {"pachd": small, "etcd": {"storageSize": "1Gi"}}
        if s.postgresql_bundled:
            values["postgresql"] = {"persistence": {"size": "2Gi"}}
    off = {"postgresql": s.postgresql_bundled, "console": s.console, "proxy": s.proxy}
    wanted = {name: map_ for name, map_ in _SMALL.items() if s.small_cluster and off.get(name, True)}
    for name, resources in {**wanted, **s.resources}.items():
        part: Values = {"resources": copy.deepcopy(resources)}
        for key in reversed(COMPONENTS[name]):
            part = {key: part}
        values = merge(values, part)
    return values


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """`above` laid over `below`, as Helm does it: maps merge, anything else is replaced."""
    merged: Values = {key: copy.deepcopy(value) for key, value in below.items()}
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of all that is no map, and of empty maps."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def secret_texts(values: Mapping[str, Any]) -> set[str]:
    """Values that no output may hold."""
    return {
        value
        for path, value in leaves(values)
        if isinstance(value, str) and len(value) >= 4 and _is_secret(path)
    }


def masked(values: Mapping[str, Any]) -> Values:
    """The same values for people to read: of secrets only that they are there."""
    return _masked(values, ())


def _masked(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(entry, (*path, str(key))) for key, entry in value.items()}
    return "********" if path and _is_secret(path) and isinstance(value, str) and value else value


def _is_secret(path: tuple[str, ...]) -> bool:
    return bool(_SECRET_KEY.search(path[-1])) and path[-1] not in _NOT_SECRET
