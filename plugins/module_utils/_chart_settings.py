# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role pachyderm declares, typed. PRIVATE to the collection: it may change at any time.

Each field is the role's variable of that name without `pachyderm_`; messages name the variable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ._errors import PachydermError

BACKENDS = ("LOCAL", "AMAZON", "MINIO", "GOOGLE", "MICROSOFT")
_SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
# What `pachyderm_resources` may name, and where the chart takes it.
COMPONENTS = {
    "pachd": ("pachd",),
    "pachw": ("pachw",),
    "etcd": ("etcd",),
    "console": ("console",),
    "proxy": ("proxy",),
    "pgbouncer": ("pgbouncer",),
    "postgresql": ("postgresql",),
    "loki": ("loki-stack", "loki"),
    "promtail": ("loki-stack", "promtail"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The role's variables that become chart values. Secrets stay out of the text that repr() makes."""

    storage_backend: str = "LOCAL"
    storage_url: str = ""
    storage_bucket: str = ""
    storage_endpoint: str = ""
    storage_region: str = ""
    storage_secure: bool = True
    storage_id: str = field(default="", repr=False)
    storage_secret: str = field(default="", repr=False)
    storage_token: str = field(default="", repr=False)
    storage_credentials: str = field(default="", repr=False)
    host_path: str = ""
    storage_class: str = ""
    cluster_id: str = ""
    postgresql_bundled: bool = True
    postgresql_host: str = ""
    postgresql_port: int = 5432
    postgresql_username: str = "pachyderm"
    postgresql_password: str = field(default="", repr=False)
    postgresql_database: str = "pachyderm"
    postgresql_identity_database: str = "dex"
    postgresql_ssl_mode: str = "prefer"
    postgresql_existing_secret: str = ""
    postgresql_existing_secret_key: str = ""
    auth: bool = True
    root_token: str = field(default="", repr=False)
    mock_idp: bool = False
    cluster_role_bindings: Mapping[str, Any] = field(default_factory=dict)
    tls_secret: str = ""
    tls_certificate: str = ""
    tls_key: str = field(default="", repr=False)
    proxy: bool = True
    proxy_service_type: str = "ClusterIP"
    proxy_host: str = ""
    proxy_load_balancer_ip: str = ""
    proxy_http_node_port: int = 30080
    proxy_https_node_port: int = 30443
    service_type: str = "ClusterIP"
    console: bool = True
    loki: bool = True
    image_registry: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    small_cluster: bool = False
    openshift_scc: str = ""
    route: bool = False
    route_host: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> set[str]:
        """What no message may hold. Short texts are left out: they would be cut out of other words, too."""
        texts = (
            self.storage_id,
            self.storage_secret,
            self.storage_token,
            self.storage_credentials,
            self.postgresql_password,
            self.root_token,
            self.tls_key,
        )
        return {text for text in texts if len(text) >= 4}

    @property
    def tls(self) -> bool:
        return bool(self.tls_secret or self.tls_certificate)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Settings:
        """Raises PachydermError: one line that names all variables that cannot be meant."""
        known = {entry.name for entry in dataclasses.fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise PachydermError(f"settings: {', '.join(unknown)}: unknown")
        kinds = {entry.name: str(entry.type) for entry in dataclasses.fields(cls)}
        values, problems = {}, []
        for name, value in given.items():
            try:
                if value is not None:
                    values[name] = _typed(value, kinds[name])
            except (TypeError, ValueError):
                problems.append(f"pachyderm_{name}: is no {kinds[name]}")
        settings = cls(**values)
        problems += _problems(settings)
        if problems:
            raise PachydermError("; ".join(problems))
        return settings


def _typed(value: Any, kind: str) -> Any:
    """As declared: what comes from the command line is text. Raises TypeError and ValueError."""
    if kind == "bool":
        return boolean(value)
    if kind == "int":
        return int(value)
    if kind == "str":
        return str(value)
    return tuple(value) if kind.startswith("tuple") else dict(value)


def _problems(s: Settings) -> list[str]:
    found = [*_storage_problems(s), *_postgresql_problems(s)]
    for name in ("service_type", "proxy_service_type"):
        if getattr(s, name) not in _SERVICE_TYPES:
            found.append(f"pachyderm_{name}: {getattr(s, name)}: one of {', '.join(_SERVICE_TYPES)}")
    if bool(s.tls_certificate) != bool(s.tls_key):
        found.append("pachyderm_tls_certificate and pachyderm_tls_key: give both, or neither")
    if s.tls_certificate and s.tls_secret:
        found.append("pachyderm_tls_secret names a secret that is there already; give it or a certificate")
    if s.tls and not s.proxy:
        found.append("pachyderm_tls_*: it is the proxy that serves TLS; set pachyderm_proxy to true")
    if s.route and not s.tls:
        found.append(
            "pachyderm_route: gRPC goes through a Route only as TLS that passes through; set pachyderm_tls_*"
        )
    unknown = sorted(set(s.resources) - set(COMPONENTS))
    if unknown:
        found.append(f"pachyderm_resources: {', '.join(unknown)}: one of {', '.join(COMPONENTS)}")
    return found


def _storage_problems(s: Settings) -> list[str]:
    found = []
    if s.storage_backend not in BACKENDS:
        found.append(f"pachyderm_storage_backend: {s.storage_backend}: one of {', '.join(BACKENDS)}")
    elif s.storage_backend != "LOCAL" and not (s.storage_url or s.storage_bucket):
        found.append(f"pachyderm_storage_bucket: {s.storage_backend} needs it, or pachyderm_storage_url")
    if s.storage_backend == "MINIO" and not (s.storage_url or s.storage_endpoint):
        found.append("pachyderm_storage_endpoint: MINIO needs it, as host:port")
    if "://" in s.storage_endpoint:
        found.append(
            "pachyderm_storage_endpoint: host:port only; pachyderm_storage_secure chooses the scheme"
        )
    if s.host_path and not (s.host_path.startswith("/") and s.host_path.endswith("/")):
        # The chart appends "pachd" to it as it is.
        found.append(f"pachyderm_host_path: {s.host_path}: must begin and end with /")
    return found


def _postgresql_problems(s: Settings) -> list[str]:
    found = []
    if not s.postgresql_bundled and not s.postgresql_host:
        found.append("pachyderm_postgresql_host: an external PostgreSQL needs it")
    if not s.postgresql_bundled and not (s.postgresql_password or s.postgresql_existing_secret):
        found.append(
            "pachyderm_postgresql_password: an external PostgreSQL needs it, or"
            " pachyderm_postgresql_existing_secret"
        )
    if bool(s.postgresql_existing_secret) != bool(s.postgresql_existing_secret_key):
        found.append("pachyderm_postgresql_existing_secret and ..._key: give both, or neither")
    if s.postgresql_bundled and (s.postgresql_host or s.postgresql_existing_secret):
        found.append(
            "pachyderm_postgresql_host and pachyderm_postgresql_existing_secret are for an external"
            " PostgreSQL; set pachyderm_postgresql_bundled to false"
        )
    return found
