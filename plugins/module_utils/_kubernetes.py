# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to Kubernetes' API server. PRIVATE to the collection: it may change at any time.

The package `kubernetes` knows all ways to authenticate; its generated classes would cost more time than
the requests themselves on a cluster of a thousand nodes. So it gives the address and the credentials, and
answers are plain dicts. doc_fragments/kubernetes.py documents the options.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.basic import env_fallback

from ._errors import PachydermError, one_line
from ._kubernetes_config import api_client

KUBERNETES_SPEC: dict[str, Any] = {
    "kubeconfig": {"type": "path", "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG"])},
    "context": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_CONTEXT"])},
    "host": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_HOST"])},
    "api_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["K8S_AUTH_API_KEY"])},
    "ca_cert": {
        "type": "path",
        "aliases": ["ssl_ca_cert"],
        "fallback": (env_fallback, ["K8S_AUTH_SSL_CA_CERT"]),
    },
    "validate_certs": {
        "type": "bool",
        "aliases": ["verify_ssl"],
        "fallback": (env_fallback, ["K8S_AUTH_VERIFY_SSL"]),
    },
}

# Seconds for one request. A list of a thousand nodes takes one.
_SECONDS = 30.0
_ATTEMPTS = 3
# What a load balancer says for a server that is not there, and a server that is about to start or to end.
_AWAY = (502, 503, 504)
# Items of one page of a list: what the API server's own clients take.
_PAGE = 500


class KubernetesError(PachydermError):
    """An answer of the API server that is an error; `code` is its HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnreachableError(PachydermError):
    """No answer came. What was sent may have been done all the same."""


class Kubernetes:
    """Requests to one API server. Raises KubernetesError and UnreachableError."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """`params` are the options of KUBERNETES_SPEC. Raises PachydermError for bad ones."""
        self._client, self._where = api_client(params)
        self.host = str(self._client.configuration.host).rstrip("/")
        self._kinds: dict[str, dict[str, Mapping[str, Any]]] = {}

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """One object, or whatever is at `path`, such as /api/v1/nodes/gpu1."""
        return self._request("GET", path, query)

    def list_kind(
        self, api_version: str, kind: str, namespace: str | None, **query: Any
    ) -> list[dict[str, Any]]:
        """All objects of a kind; none where the cluster does not know it. No `namespace` is all of them."""
        resource = self._discover(api_version).get(kind)
        if resource is None:
            return []
        within = f"/namespaces/{namespace}" if namespace and resource["namespaced"] else ""
        return self.list(f"{_root(api_version)}{within}/{resource['name']}", **query)

    def list(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        query = {**query, "limit": _PAGE}
        while True:
            answer = self._request("GET", path, query)
            # A kind without items is null in some versions.
            items.extend(answer.get("items") or [])
            query["continue"] = answer["metadata"].get("continue")
            if not query["continue"]:
                return items

    def text(self, path: str, **query: Any) -> str:
        """What is no JSON: the log of a pod."""
        return self._send("GET", path, query, None, "application/json").decode(errors="replace")

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, {}, body)

    def apply(self, path: str, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Server-side apply: makes the object or changes it; what `manager` no longer declares goes."""
        query = {"fieldManager": manager, "force": "true"}
        return self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merges `body` into what is at `path`; null takes a field out."""
        return self._request("PATCH", path, {}, body, "application/merge-patch+json")

    def delete(self, path: str, **options: Any) -> bool:
        """Whether there was something to delete. `options` are those of DeleteOptions."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        try:
            self._request("DELETE", path, {}, body)
        except KubernetesError as error:
            if error.code != 404:
                raise
            return False
        return True

    def find(self, path: str) -> dict[str, Any] | None:
        """The object at `path`; None if there is none."""
        try:
            return self.get(path)
        except KubernetesError as error:
            if error.code != 404:
                raise
            return None

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Whether the cluster knows `kind`, such as Route of route.openshift.io/v1."""
        return kind in self._discover(api_version)

    def path(self, item: Mapping[str, Any], namespace: str = "default") -> str:
        """Where an object is. `namespace` is for one that names none and whose kind has them."""
        api_version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
        resource = self._discover(api_version).get(kind)
        if resource is None:
            raise PachydermError(
                f"the cluster knows no {kind} of {api_version}; is what defines it installed?"
            )
        within = f"/namespaces/{metadata.get('namespace') or namespace}" if resource["namespaced"] else ""
        return f"{_root(api_version)}{within}/{resource['name']}/{metadata['name']}"

    def _discover(self, api_version: str) -> dict[str, Mapping[str, Any]]:
        if api_version not in self._kinds:
            found = self.find(_root(api_version)) or {}
            # Such as deployments/scale: parts of objects, whose kinds are those of others.
            resources = [entry for entry in found.get("resources", []) if "/" not in entry["name"]]
            self._kinds[api_version] = {entry["kind"]: entry for entry in resources}
        return self._kinds[api_version]

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._send(method, path, query, body, content_type))
        return answer

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None, kind: str
    ) -> bytes:
        url = self.host + path
        given = {key: value for key, value in query.items() if value is not None}
        if given:
            url += "?" + urlencode(given)
        headers = {"Accept": "application/json, */*", "Content-Type": kind}
        # The package's own names differ from release to release; this one is of all of them.
        for setting in self._client.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        data = None if body is None else json.dumps(body).encode()
        answer = self._answer(method, url, headers, data)
        if answer.status in _AWAY:
            raise self._unreachable(f"{answer.status}: {_message(answer.data)}")
        if answer.status >= 400:
            raise self._refused(method, path, answer.status, answer.data)
        content: bytes = answer.data
        return content

    def _answer(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> Any:
        """The answer, whatever it says. Reads, and writes that were not taken for now, are tried again."""
        pool = self._client.rest_client.pool_manager
        errors = (importlib.import_module("urllib3.exceptions").HTTPError, OSError)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = pool.request(
                    method, url, headers=headers, body=data, timeout=_SECONDS, retries=False
                )
            except errors as error:
                if method != "GET" or attempt == _ATTEMPTS:
                    raise self._unreachable(_reason(error)) from error
            else:
                # Too many requests at once: nothing was done.
                again = answer.status == 429 or (answer.status in _AWAY and method == "GET")
                if not again or attempt == _ATTEMPTS:
                    return answer
            time.sleep(0.5 * attempt)
        raise AssertionError

    def _unreachable(self, reason: str) -> UnreachableError:
        return UnreachableError(f"cannot reach the API server at {self.host} ({self._where}): {reason}")

    def _refused(self, method: str, path: str, code: int, data: bytes) -> KubernetesError:
        text = _message(data)
        if code == 401:
            message = f"the API server at {self.host} does not take these credentials ({self._where}): {text}"
        elif code == 403:
            # The API server's own text names user, verb and resource.
            message = f"not permitted ({self._where}): {text}"
        else:
            message = f"{method} {path}: {text or code}"
        return KubernetesError(code, message)


def _root(api_version: str) -> str:
    return f"/api{'s' if '/' in api_version else ''}/{api_version}"


def _message(data: bytes) -> str:
    """What an answer that is an error says."""
    try:
        return one_line(str(json.loads(data)["message"]))
    except (ValueError, KeyError, TypeError):
        return one_line(data.decode(errors="replace")[:300])


def _reason(error: BaseException) -> str:
    """What the operating system or TLS says, without the objects that urllib3 prints around it."""
    inner = error
    while (deeper := inner.__cause__ or getattr(inner, "reason", None)) and isinstance(deeper, BaseException):
        inner = deeper
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return one_line(text.split(">: ", 1)[-1]) or type(inner).__name__
