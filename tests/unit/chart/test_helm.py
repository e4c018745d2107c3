# SPDX-License-Identifier: GPL-3.0-or-later
"""How helm is called, on a stand-in that writes down what it was given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_helm import Chart, Helm, split_chart
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError

SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" >"$SCRATCH/arguments"
env >"$SCRATCH/environment"
cat >"$SCRATCH/stdin"
cat "$SCRATCH/stderr" >&2
case $1 in
    list) cat "$SCRATCH/list";;
    status) cat "$SCRATCH/status";;
    history) cat "$SCRATCH/history";;
esac
exit "$(cat "$SCRATCH/code")"
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "helm").write_text(SCRIPT)
    (tmp_path / "helm").chmod(0o755)
    (tmp_path / "stderr").write_text("")
    (tmp_path / "code").write_text("0")
    (tmp_path / "list").write_text("[]")
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    return tmp_path


def helm(scratch: Path, **params: object) -> Helm:
    return Helm(str(scratch / "helm"), params, "space", "pachyderm")


def test_values_and_credentials_are_no_arguments(scratch: Path) -> None:
    chart = Chart("pachyderm", "https://charts.example.com", "2.12.0")
    helm(scratch, api_key="bearer-token", host="https://api", validate_certs=False).deploy(
        chart, {"pachd": {"rootToken": "root-secret"}}, 5, 60
    )
    arguments = (scratch / "arguments").read_text().split()
    assert arguments[:3] == ["upgrade", "--install", "pachyderm"]
    assert "root-secret" not in " ".join(arguments)
    assert "bearer-token" not in " ".join(arguments)
    assert json.loads((scratch / "stdin").read_text()) == {"pachd": {"rootToken": "root-secret"}}
    environment = (scratch / "environment").read_text().splitlines()
    assert {
        "HELM_KUBETOKEN=bearer-token",
        "HELM_KUBEAPISERVER=https://api",
        "HELM_KUBEINSECURE_SKIP_TLS_VERIFY=true",
        "HELM_NAMESPACE=space",
    } <= set(environment)
    assert "root-secret" not in "\n".join(environment)


@pytest.mark.parametrize(
    ("chart", "arguments"),
    [
        (
            Chart("pachyderm", "https://x", "2.12.0"),
            ["pachyderm", "--repo", "https://x", "--version", "2.12.0"],
        ),
        (Chart("mirror/pachyderm", "", "2.12.0"), ["mirror/pachyderm", "--version", "2.12.0"]),
        (Chart("/charts/pachyderm", "", "2.12.0"), ["/charts/pachyderm"]),
        (Chart("oci://x/pachyderm", "", "2.12.0"), ["oci://x/pachyderm", "--version", "2.12.0"]),
    ],
)
def test_places_of_charts(chart: Chart, arguments: list[str]) -> None:
    assert chart.arguments == arguments


def test_a_release(scratch: Path) -> None:
    assert helm(scratch).release() is None
    entry = {"name": "pachyderm", "revision": "4", "status": "failed", "chart": "pachyderm-2.12.0-rc.3"}
    (scratch / "list").write_text(json.dumps([entry]))
    info = {"last_deployed": "2026-11-23T12:00:00.123456789Z"}
    (scratch / "status").write_text(json.dumps({"info": info, "config": {"a": 1}, "manifest": "m"}))
    found = helm(scratch).release()
    assert found is not None
    assert (found.revision, found.status, found.chart, found.version) == (
        4,
        "failed",
        "pachyderm",
        "2.12.0-rc.3",
    )
    assert found.values == {"a": 1}
    assert found.updated == pytest.approx(1795435200.123456)


def test_the_last_revision_that_worked(scratch: Path) -> None:
    history = [(1, "superseded"), (2, "superseded"), (3, "failed"), (4, "pending-upgrade")]
    (scratch / "history").write_text(json.dumps([{"revision": n, "status": s} for n, s in history]))
    assert helm(scratch).last_good(4) == 2
    assert helm(scratch).last_good(1) is None


def test_an_error_is_one_line_without_warnings(scratch: Path) -> None:
    (scratch / "code").write_text("1")
    (scratch / "stderr").write_text(
        "WARNING: Kubernetes configuration file is group-readable.\nError: UPGRADE FAILED:\n no such thing\n"
    )
    with pytest.raises(PachydermError) as failure:
        helm(scratch).uninstall(1)
    assert str(failure.value) == "helm uninstall pachyderm: UPGRADE FAILED: no such thing"


def test_no_helm(scratch: Path) -> None:
    with pytest.raises(PachydermError, match="helm_binary"):
        Helm(str(scratch / "no-helm"), {}, "space", "pachyderm")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pachyderm-2.12.0", ("pachyderm", "-", "2.12.0")),
        ("loki-stack-2.8.1", ("loki-stack", "-", "2.8.1")),
        ("pachyderm", ("pachyderm", "", "")),
    ],
)
def test_name_and_version(text: str, parts: tuple[str, str, str]) -> None:
    assert split_chart(text) == parts
