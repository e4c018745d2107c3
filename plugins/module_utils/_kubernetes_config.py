# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to a client of Kubernetes. PRIVATE to the collection: it may change at any time.

What is wrong with a kubeconfig is said by the names in it. Its content, which holds keys and tokens, is never
part of a message; a YAML parser's own message would quote it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import LibraryMissingError, PachydermError, one_line


def api_client(params: Mapping[str, Any]) -> tuple[Any, str]:
    """(the package's ApiClient, where its settings are from, for messages). Raises PachydermError."""
    try:
        config = importlib.import_module("kubernetes.config")
        client = importlib.import_module("kubernetes.client")
    except ImportError as error:
        raise LibraryMissingError("kubernetes", str(error)) from error
    settings = client.Configuration()
    if params["host"] and params["api_key"]:
        where = "host and api_key"
    elif not params["kubeconfig"] and not params["context"] and _load_pod(config, settings):
        where = "the pod's service account"
    else:
        where = _load_file(config, settings, params["kubeconfig"], params["context"])
    if params["host"]:
        settings.host = params["host"]
    if params["api_key"]:
        # The package called it the one up to release 35, and the other since.
        settings.api_key = dict.fromkeys(("authorization", "BearerToken"), f"Bearer {params['api_key']}")
    if params["ca_cert"]:
        settings.ssl_ca_cert = params["ca_cert"]
    if params["validate_certs"] is not None:
        settings.verify_ssl = params["validate_certs"]
    try:
        return client.ApiClient(settings), where
    except OSError as error:
        # OpenSSL does not say which file it could not read.
        raise PachydermError(f"ca_cert: certificates or keys of {where}: {error}") from error


def _load_pod(config: Any, settings: Any) -> bool:
    try:
        config.load_incluster_config(client_configuration=settings)
    except config.ConfigException:
        return False
    return True


def _load_file(config: Any, settings: Any, kubeconfig: str | None, context: str | None) -> str:
    """Loads the file into `settings`; returns its name and the context's, for messages."""
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    known: list[str] = []
    current = None
    for name in paths.split(os.pathsep):
        names, chosen = _contexts(Path(name).expanduser())
        known += names
        current = current or chosen
    if not (context or current):
        raise PachydermError(
            f"context: kubeconfig {paths} has no current context; name one of {_names(known)}"
        )
    if (context or current) not in known:
        raise PachydermError(
            f"context: {context or current} is not in kubeconfig {paths}; it has {_names(known)}"
        )
    where = f"kubeconfig {paths}, context {context or current}"
    try:
        config.load_kube_config(
            config_file=paths, context=context, client_configuration=settings, persist_config=False
        )
    except config.ConfigException as error:
        raise PachydermError(f"{where}: {one_line(str(error))}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PachydermError(
            f"{where}: is damaged ({type(error).__name__}); its text is not shown"
        ) from error
    return where


def _contexts(path: Path) -> tuple[list[str], str | None]:
    """(the contexts in a kubeconfig, its current one). Raises PachydermError."""
    # Comes with the package kubernetes.
    yaml = importlib.import_module("yaml")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PachydermError(f"kubeconfig: {path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise PachydermError(f"kubeconfig: {path}: is no YAML; its text is not shown") from error
    try:
        return [entry["name"] for entry in document["contexts"] or []], document.get("current-context")
    except (TypeError, KeyError) as error:
        raise PachydermError(f"kubeconfig: {path}: is no kubeconfig: it has no list of contexts") from error


def _names(names: list[str]) -> str:
    return ", ".join(names) or "none"
