# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/report.yml by itself: what the roles of site.yml would have told it finds out."""

from __future__ import annotations

import json
import platform
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible_runs import ROOT, ansible

RELEASES = [
    {
        "name": "nvidia-device-plugin",
        "namespace": "gpus",
        "status": "deployed",
        "chart": "nvidia-device-plugin-0.18.2",
    },
    {"name": "lab", "namespace": "pachyderm", "status": "deployed", "chart": "pachyderm-2.12.2"},
    {"name": "other", "namespace": "default", "status": "deployed", "chart": "not-pachyderm-1.0.0"},
]
# Helm 3.21's own answers.
HELM = """#!/bin/sh
case $1 in
version) echo v3.21.4+g1234567 ;;
list) echo "$@" >>"$0.calls"; cat "$0.releases" ;;
esac
"""


class EmptyCluster(BaseHTTPRequestHandler):
    """An API server without an object."""

    def do_GET(self) -> None:
        answer = json.dumps({"kind": "List", "metadata": {}, "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on the screen."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyCluster) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        content = {
            "clusters": [{"name": "lab", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": ""}}],
            "current-context": "lab",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        yield path
        server.shutdown()
        thread.join()


@pytest.fixture
def helm(tmp_path: Path) -> Path:
    program = tmp_path / "bin/helm"
    program.parent.mkdir()
    program.write_text(HELM)
    program.chmod(0o755)
    program.with_name("helm.releases").write_text(json.dumps(RELEASES))
    return program


def report(directory: Path, **variables: Any) -> dict[str, Any]:
    inventory = {group: {"hosts": {"localhost": None}} for group in ("gpu_nodes", "cluster")}
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    given = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
    }
    given |= {"lab_report_dest": str(directory / "report.html"), **variables}
    run = ansible(
        "playbook",
        "-i",
        "hosts.yml",
        "-e",
        json.dumps(given),
        str(ROOT / "playbooks/report.yml"),
        home=directory,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    written: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return written


def test_versions_are_found_without_the_roles(kubeconfig: Path, helm: Path, tmp_path: Path) -> None:
    told = report(tmp_path, cluster_kubeconfig=str(kubeconfig), helm_install_dir=str(helm.parent))
    assert told["cluster"]["error"] is None
    assert told["cluster"]["versions"] == {
        "Helm": "3.21.4",
        "device plugin's chart": "0.18.2",
        "Pachyderm's chart": "2.12.2",
    }
    (call,) = helm.with_name("helm.calls").read_text().splitlines()
    assert call.endswith(f"--kubeconfig {kubeconfig}")
    (node,) = told["nodes"]
    assert node["kernel"] == platform.release()
    assert node["distribution"].split()[0] in platform.freedesktop_os_release()["NAME"]


def test_a_helm_that_is_not_there_fails_nothing(kubeconfig: Path, tmp_path: Path) -> None:
    told = report(tmp_path, cluster_kubeconfig=str(kubeconfig), helm_install_dir=str(tmp_path))
    assert (told["cluster"]["error"], told["cluster"]["versions"]) == (None, {})
