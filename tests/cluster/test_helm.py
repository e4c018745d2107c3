# SPDX-License-Identifier: GPL-3.0-or-later
"""The role helm: the client from an archive, repositories with passwords, other releases, Tiller."""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import Api
from tests.cluster.runs import changed, done, refused, result
from tests.nodes.labs import Run

PASSWORD = "geheim-4711"
INDEX = "apiVersion: v1\nentries: {}\n"


class Host:
    """Where the role puts the client, and where it gets it from."""

    def __init__(self, kwok: Api, directory: Path) -> None:
        self.kwok = kwok
        self.home = directory / "bin"
        self.archive = directory / "helm.tar.gz"
        with tarfile.open(self.archive, "w:gz", compresslevel=1) as archive:
            archive.add(kwok.helm, "linux-amd64/helm")
        self.checksum = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self.config = directory / "repositories.yaml"

    def role(self, *arguments: str, **variables: Any) -> Run:
        standard = {
            "helm_install_dir": str(self.home),
            "helm_url": f"file://{self.archive}",
            "helm_checksum": self.checksum,
            "helm_tiller_check": False,
            "helm_repository_config": str(self.config),
        }
        return self.kwok.role("helm", *arguments, **{**standard, **variables})

    def pretend(self, version: str) -> None:
        """A client of another release in that place."""
        self.home.mkdir(exist_ok=True)
        program = self.home / "helm"
        program.write_text(f"#!/bin/sh\necho '{version}+g0000000'\n")
        program.chmod(0o755)


@pytest.fixture(scope="module")
def archived(kwok: Api, tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(kwok, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def host(archived: Host, tmp_path: Path) -> Host:
    """With a place of its own for each test."""
    archived.home, archived.config = tmp_path / "bin", tmp_path / "repositories.yaml"
    return archived


def test_the_client_comes_from_a_checked_archive_and_goes(host: Host) -> None:
    assert changed(host.role("--check")) == ["Say what would be installed"]
    assert not host.home.exists()
    first = host.role()
    assert {"Put the client in place"} <= set(changed(first))
    assert result(first)["binary"] == str(host.home / "helm")
    assert result(first)["version"] == "3.21.4"
    assert changed(host.role()) == changed(host.role("--check")) == []
    assert changed(host.role(helm_state="absent")) == ["Remove the client"]
    assert changed(host.role(helm_state="absent")) == []
    assert not (host.home / "helm").exists()


def test_an_archive_of_another_checksum_is_not_unpacked(host: Host) -> None:
    assert "did not match" in refused(host.role(helm_checksum="0" * 64))
    assert not host.home.exists()


def test_a_given_client_is_used_as_it_is(host: Host) -> None:
    run = host.role(helm_binary=str(host.kwok.helm))
    assert changed(run) == []
    assert result(run)["binary"] == str(host.kwok.helm)


def test_another_major_release_is_refused_and_a_newer_one_used(host: Host) -> None:
    for version in ("v4.1.0", "v2.17.0"):
        host.pretend(version)
        assert f"is Helm {version[1:]}, and Helm 3 is needed" in refused(host.role())
    host.pretend("v3.99.0")
    run = host.role()
    assert changed(run) == []
    assert "newer than helm_version 3.21.4, and is used as it is" in run.output
    assert result(run)["version"] == "3.99.0"
    assert "not 3.21.4 of this role, and stays" in done(host.role(helm_state="absent")).output
    assert "Put the client in place" in changed(host.role(helm_replace=True))


class Repository(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
        known = self.headers.get("Authorization") == f"Basic {wanted}"
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(INDEX.encode() if known else b"no")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on the screen."""


@pytest.fixture
def repository() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_repository_is_added_by_a_password_that_nobody_sees(host: Host, repository: str) -> None:
    given = {"helm_binary": str(host.kwok.helm)}
    entry = {"name": "lab", "url": repository, "username": "reader", "password": PASSWORD}
    predicted = host.role("--check", "--diff", "-vvv", **given, helm_repositories=[entry])
    assert changed(predicted) == ["Say which repositories would be added"]
    assert not host.config.exists()
    first = host.role("--diff", "-vvv", **given, helm_repositories=[entry])
    assert changed(first) == ["Add it, or replace its entry"]
    again = host.role("-vvv", **given, helm_repositories=[entry])
    assert changed(again) == []
    # Another password is another entry; a wrong one is refused without being shown.
    wrong = host.role("-vvv", **given, helm_repositories=[{**entry, "password": f"x{PASSWORD}"}])
    assert f"the repository lab at {repository} cannot be added" in refused(wrong)
    assert "401" in refused(wrong)
    for run in (predicted, first, again, wrong):
        assert PASSWORD not in run.output
    assert PASSWORD in host.config.read_text()
    gone = host.role(helm_state="absent", **given, helm_repositories=[entry])
    assert changed(gone) == ["Remove repositories"]
    assert PASSWORD not in host.config.read_text()


def test_tiller_is_named_and_left_alone(host: Host) -> None:
    given = {"helm_binary": str(host.kwok.helm), "helm_tiller_check": True}
    assert result(host.role(**given))["tiller"] == []
    labels = {"app": "helm", "name": "tiller"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "tiller", "image": "tiller:2"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "tiller-deploy", "namespace": "kube-system", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }
    host.kwok.apply(deployment)
    run = host.role(**given)
    host.kwok.kubectl("-n", "kube-system", "delete", "deployment", "tiller-deploy")
    assert changed(run) == []
    assert result(run)["tiller"] == ["kube-system"]
    assert "kubectl -n kube-system delete deployment/tiller-deploy" in run.output


def test_an_api_server_that_goes_in_the_middle(host: Host, tmp_path: Path) -> None:
    """It is asked once: when the client is there, whether there is Tiller."""
    path = tmp_path / "kubeconfig"
    path.write_text(re.sub(r"127.0.0.1:\d+", "127.0.0.1:1", (host.kwok.directory / "kubeconfig").read_text()))
    message = refused(host.role(helm_tiller_check=True, test_kubeconfig=str(path)))
    assert f"cannot reach the API server at https://127.0.0.1:1 (kubeconfig {path}" in message
    assert message.endswith("Connection refused")
    assert (host.home / "helm").exists()
    assert changed(host.role(helm_tiller_check=True)) == []
