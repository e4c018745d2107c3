# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to Kubernetes: kubeconfigs that are wrong, servers that refuse."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import (
    KUBERNETES_SPEC,
    Kubernetes,
    KubernetesError,
    UnreachableError,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects import list_objects

TOKEN = "secret-token-of-the-lab"
FORBIDDEN = (
    'nodes is forbidden: User "reader" cannot list resource "nodes" in API group "" at the cluster scope'
)


class Server(ThreadingHTTPServer):
    """Answers from a table of (method, path) -> [(status, body), ...], the last of which stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path))
        self.server.headers.append(dict(self.headers))
        known = self.server.answers.get((self.command, self.path), [(404, {"message": "not found"})])
        status, body = known.pop(0) if len(known) > 1 else known[0]
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on the screen."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kubernetes.time, "sleep", lambda seconds: None)
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)


def options(**given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(KUBERNETES_SPEC), **given}


def kubeconfig(path: Path, server: str = "https://127.0.0.1:1", **entries: Any) -> str:
    context = {"name": "lab", "context": {"cluster": "lab", "user": "lab"}}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": server}}],
        "users": [{"name": "lab", "user": {"token": TOKEN}}],
        "contexts": [context],
        "current-context": "lab",
        **entries,
    }
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_kubeconfig_gives_address_and_token(server: Server, tmp_path: Path) -> None:
    server.answers["GET", "/api/v1/nodes/gpu1"] = [(200, {"kind": "Node"})]
    cluster = Kubernetes(options(kubeconfig=kubeconfig(tmp_path / "config", server.address)))
    assert cluster.get("/api/v1/nodes/gpu1") == {"kind": "Node"}
    assert server.headers[0]["authorization"] == f"Bearer {TOKEN}"


def test_host_and_api_key_need_no_kubeconfig(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    server.answers["GET", "/version"] = [(200, {})]
    Kubernetes(options(host=server.address, api_key="k")).get("/version")
    assert server.headers[0]["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "kubeconfig: {path}: No such file or directory"),
        (f"token: {TOKEN}: [\n", "kubeconfig: {path}: is no YAML"),
        (TOKEN, "kubeconfig: {path}: is no kubeconfig"),
        (f"users: [{{token: {TOKEN}}}]", "kubeconfig: {path}: is no kubeconfig"),
        ({"current-context": "bad"}, "context: bad is not in kubeconfig {path}; it has lab"),
        ({"current-context": None}, "context: kubeconfig {path} has no current context; name one of lab"),
        ({"clusters": []}, "kubeconfig {path}, context lab: Invalid kube-config file."),
        ({"users": [{"name": "lab", "user": TOKEN}]}, "kubeconfig {path}, context lab: "),
    ],
)
def test_a_bad_kubeconfig_is_named_and_not_shown(text: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if isinstance(text, dict):
        kubeconfig(path, **text)
    elif text is not None:
        path.write_text(text)
    with pytest.raises(PachydermError) as error:
        Kubernetes(options(kubeconfig=str(path)))
    assert str(error.value).startswith(message.format(path=path))
    assert TOKEN not in str(error.value)


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    with pytest.raises(PachydermError, match=r"context: other is not in kubeconfig .*; it has lab"):
        Kubernetes(options(kubeconfig=path, context="other"))


def test_a_server_that_is_away_is_named_with_the_kubeconfig(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    with pytest.raises(UnreachableError) as error:
        Kubernetes(options(kubeconfig=path)).get("/version")
    where = f"(kubeconfig {path}, context lab)"
    assert (
        str(error.value) == f"cannot reach the API server at https://127.0.0.1:1 {where}: Connection refused"
    )


def test_what_is_forbidden_names_user_verb_and_resource(server: Server) -> None:
    server.answers["GET", "/api/v1/nodes?limit=500"] = [(403, {"message": FORBIDDEN})]
    with pytest.raises(KubernetesError, match=r'not permitted .*User "reader" cannot list resource "nodes"'):
        Kubernetes(options(host=server.address, api_key="k")).list("/api/v1/nodes")


def test_credentials_that_are_not_taken(server: Server) -> None:
    server.answers["GET", "/version"] = [(401, {"message": "Unauthorized"})]
    with pytest.raises(KubernetesError, match=r"does not take these credentials \(host and api_key\)"):
        Kubernetes(options(host=server.address, api_key=TOKEN)).get("/version")


def test_a_list_comes_page_by_page(server: Server) -> None:
    first = {"metadata": {"continue": "more"}, "items": [{"n": 1}]}
    server.answers["GET", "/api/v1/pods?fieldSelector=a%21%3Db&limit=500"] = [(200, first)]
    rest: dict[str, Any] = {"metadata": {}, "items": None}
    server.answers["GET", "/api/v1/pods?fieldSelector=a%21%3Db&limit=500&continue=more"] = [(200, rest)]
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    assert cluster.list("/api/v1/pods", fieldSelector="a!=b") == [{"n": 1}]
    assert len(server.seen) == 2


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.answers["POST", "/api/v1/namespaces"] = [(429, "slow down"), (201, {"made": True})]
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    assert cluster.create("/api/v1/namespaces", {}) == {"made": True}


@pytest.mark.parametrize("code", [502, 503, 504])
def test_a_balancer_without_an_api_server_behind_it_is_no_answer(server: Server, code: int) -> None:
    """A server that starts again is waited for, so it must not look like a refusal."""
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    server.answers["GET", "/api/v1/nodes/gpu1"] = [(code, "no backend"), (200, {"kind": "Node"})]
    assert cluster.get("/api/v1/nodes/gpu1") == {"kind": "Node"}
    server.answers["GET", "/api/v1/nodes/gpu1"] = [(code, "no backend")]
    server.answers["POST", "/api/v1/namespaces"] = [(code, "no backend")]
    told = f"cannot reach the API server at {server.address} .*: {code}: no backend"
    with pytest.raises(UnreachableError, match=told):
        cluster.get("/api/v1/nodes/gpu1")
    with pytest.raises(UnreachableError, match=told):
        cluster.create("/api/v1/namespaces", {})
    assert [method for method, _ in server.seen].count("POST") == 1


def test_a_failed_write_is_not_sent_again(server: Server) -> None:
    server.answers["POST", "/api/v1/namespaces"] = [(500, {"message": "etcd is away"})]
    with pytest.raises(KubernetesError, match="POST /api/v1/namespaces: etcd is away"):
        Kubernetes(options(host=server.address, api_key="k")).create("/api/v1/namespaces", {})
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("kind", "namespace", "path"),
    [
        ("Pod", None, "/api/v1/pods"),
        ("Pod", "lab", "/api/v1/namespaces/lab/pods"),
        # A node is in none.
        ("Node", "lab", "/api/v1/nodes"),
    ],
)
def test_all_objects_of_a_kind(server: Server, kind: str, namespace: str | None, path: str) -> None:
    kinds = [
        {"name": "pods", "kind": "Pod", "namespaced": True},
        {"name": "nodes", "kind": "Node", "namespaced": False},
    ]
    server.answers["GET", "/api/v1"] = [(200, {"resources": kinds})]
    found = [{"metadata": {"name": "one"}}]
    server.answers["GET", f"{path}?labelSelector=a%3Db&limit=500"] = [(200, {"metadata": {}, "items": found})]
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    declared = {"api_version": "v1", "kind": kind, "namespace": namespace, "labels": {"a": "b"}}
    assert list_objects(cluster, declared, False).values == {"objects": found}


def test_of_a_kind_that_the_cluster_does_not_know_there_are_none(server: Server) -> None:
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    assert cluster.list_kind("route.openshift.io/v1", "Route", None) == []


def test_paths_follow_what_the_cluster_knows(server: Server) -> None:
    kinds = [
        {"name": "deployments", "kind": "Deployment", "namespaced": True},
        {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
    ]
    server.answers["GET", "/apis/apps/v1"] = [(200, {"resources": kinds})]
    cluster = Kubernetes(options(host=server.address, api_key="k"))
    item = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}}
    assert cluster.path(item) == "/apis/apps/v1/namespaces/n/deployments/d"
    assert not cluster.has_kind("apps/v1", "Scale")
    with pytest.raises(PachydermError, match=r"knows no Route of route.openshift.io/v1"):
        cluster.path({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "r"}})
    assert len([path for _, path in server.seen if path == "/apis/apps/v1"]) == 1
