# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachyderm_workflow with every kind that it can declare, on a pachd with authentication."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible_runs import ROOT, ansible

from .conftest import Lab

TOKEN, VALUE = "the-root-token-of-this-test", "swordfish-of-this-test"

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: gpulab.pachyderm.pachyderm_workflow
        tasks_from: "{{ part }}"
"""

SPEC = {
    "pipeline": {"name": "copy"},
    "input": {"pfs": {"repo": "data", "branch": "release", "glob": "/"}},
    "transform": {"cmd": ["sh"], "stdin": ["cp /pfs/data/* /pfs/out/"]},
}


# What an export has to tell beside the above.
CLUSTER_DEFAULTS = {"createPipelineRequest": {"resourceRequests": {"cpu": 0.5, "memory": "64Mi"}}}
PROJECT_DEFAULTS = {"createPipelineRequest": {"datumTries": 1}}
TRIGGERS = {
    "nightly": {"branch": "master", "cron_spec": "@daily"},
    "some": {"branch": "master", "size": "100M", "commits": 3},
    "both": {"branch": "some", "all": True, "commits": 2, "rate_limit_spec": "@hourly"},
}
RICHER: dict[str, list[dict[str, Any]]] = {
    "projects": [{"name": "vision", "description": "Images", "metadata": {"owner": "vision"}}],
    "repos": [
        {"name": "data", "description": "d", "metadata": {"tier": "1"}},
        {"name": "raw", "project": "vision"},
        {"name": "merged"},
    ],
    "defaults": [{"spec": CLUSTER_DEFAULTS}, {"project": "vision", "spec": PROJECT_DEFAULTS}],
    "branches": [
        {"repo": "data", "name": "release", "head": "master"},
        *({"repo": "data", "name": name, "trigger": trigger} for name, trigger in TRIGGERS.items()),
        {"repo": "merged", "name": "all", "provenance": ["data@release", "vision/raw"]},
    ],
    "pipelines": [
        SPEC,
        {
            "pipeline": {"name": "zoom", "project": {"name": "vision"}},
            "input": {"pfs": {"repo": "copy", "project": "default", "glob": "/"}},
            "transform": {"cmd": ["true"]},
        },
    ],
    "role_bindings": [
        {"type": "cluster", "roles": {"robot:ci": ["clusterAdmin"]}},
        {"type": "project", "name": "vision", "roles": {"robot:ci": ["projectOwner", "projectWriter"]}},
        {"type": "repo", "name": "copy", "roles": {"robot:ci": ["repoReader"]}},
    ],
}


def declared(lab: Lab, source: Path) -> dict[str, Any]:
    everything = {
        "projects": [{"name": "vision", "metadata": {"owner": "vision"}}],
        "repos": [{"name": "data", "metadata": {"tier": "1"}}],
        "defaults": [{"project": "vision", "spec": {"createPipelineRequest": {"datumTries": 1}}}],
        "secrets": [{"name": "db", "data": {"password": VALUE}, "files": {"key": str(source / "key")}}],
        "data": [{"repo": "data", "src": str(source / "data")}],
        "files": [{"repo": "data", "path": "/b", "content": "B"}],
        "branches": [
            {"repo": "data", "name": "release", "head": "master"},
            {"repo": "data", "name": "nightly", "trigger": {"branch": "master", "cron_spec": "@daily"}},
        ],
        "pipelines": [SPEC],
        "role_bindings": [
            {"type": "project", "name": "vision", "roles": {"robot:ci": ["projectOwner"]}},
            {"type": "repo", "name": "copy", "roles": {"robot:ci": ["repoReader"]}},
        ],
    }
    return {
        "ansible_python_interpreter": sys.executable,
        "pachyderm_workflow_pachd_address": lab.address,
        "pachyderm_workflow_auth_token": TOKEN,
        "part": "main",
        **{f"pachyderm_workflow_{kind}": items for kind, items in everything.items()},
    }


def play(
    directory: Path, variables: dict[str, Any], *arguments: str, playbook: str | Path = "play.yml"
) -> tuple[int, int, str]:
    """Exit status, how many tasks changed something, and all that Ansible printed at -vvv, on one line."""
    (directory / "play.yml").write_text(PLAY)
    (directory / "variables.json").write_text(json.dumps(variables))
    # "localhost" is in the group, so that the playbooks of the collection take it.
    (directory / "hosts.yml").write_text("workflow: {hosts: {localhost: {}}}")
    given = ("-i", "hosts.yml", "-c", "local", "-e", "@variables.json", "--diff", "-vvv", *arguments)
    done = ansible("playbook", str(playbook), *given, home=directory)
    text = " ".join((done.stdout + done.stderr).split())
    for hidden in (TOKEN, VALUE):
        assert hidden not in text
    changed = re.search(r"changed=(\d+)", text)
    return done.returncode, int(changed[1]) if changed else -1, text


@pytest.fixture
def secured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    made = Lab(tmp_path, capsys, auth_root_token_file=token)
    yield made
    made.server.stop(grace=0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/data").mkdir(parents=True)
    (tmp_path / "source/data/a").write_text("A")
    (tmp_path / "source/key").write_text(VALUE)
    return tmp_path / "source"


@pytest.mark.slow
def test_every_kind(secured: Lab, source: Path, tmp_path: Path) -> None:
    variables = declared(secured, source)

    status, changed, text = play(tmp_path, variables, "--check")
    assert (status, changed) == (0, 9), text
    assert secured.mutations() == []

    status, changed, text = play(tmp_path, variables)
    assert (status, changed) == (0, 9), text
    seen = secured.mutations()
    for arguments in ((), ("--check",)):
        status, changed, text = play(tmp_path, variables, *arguments)
        assert (status, changed) == (0, 0), text
    assert secured.mutations() == seen

    assert play(tmp_path, {**variables, "part": "verify"})[0] == 0

    secured.client.auth_token = TOKEN
    other = {
        "pachyderm_workflow_files": [{"repo": "data", "path": "/b", "content": "C"}],
        "pachyderm_workflow_branches": [{"repo": "data", "name": "gone"}],
    }
    status, _, text = play(tmp_path, {**variables, **other, "part": "verify"})
    assert status == 2
    assert "files of default/data@master: not as declared; site.yml would commit it" in text
    assert "branch default/data@gone: not as declared; site.yml would create it" in text
    assert secured.mutations() == seen


def told(exported: Path) -> dict[str, Any]:
    """The variables of an export, by kind."""
    variables = yaml.safe_load(exported.read_text())
    return {name.removeprefix("pachyderm_workflow_"): value for name, value in variables.items()}


@pytest.mark.slow
def test_an_exported_lab_applied_to_itself_changes_nothing(
    secured: Lab, source: Path, tmp_path: Path
) -> None:
    """By a context of pachctl's config file alone, whose own project does not count."""
    config = tmp_path / "pachctl.json"
    context = {"pachd_address": secured.address, "session_token": TOKEN, "project": "vision"}
    elsewhere = {"pachd_address": "grpc://127.0.0.1:1", "session_token": "another"}
    contexts = {"active_context": "elsewhere", "contexts": {"lab": context, "elsewhere": elsewhere}}
    config.write_text(json.dumps({"v2": contexts}))
    reach = {
        "ansible_python_interpreter": sys.executable,
        "pachyderm_workflow_pach_config": str(config),
        "pachyderm_workflow_context": "lab",
        "part": "main",
    }
    richer = {f"pachyderm_workflow_{kind}": items for kind, items in RICHER.items()}
    variables = {**declared(secured, source), **richer, **reach}
    del variables["pachyderm_workflow_pachd_address"], variables["pachyderm_workflow_auth_token"]

    status, changed, text = play(tmp_path, variables)
    assert (status, changed) == (0, 9), text
    seen = secured.mutations()
    assert play(tmp_path, {**variables, "part": "verify"})[0] == 0
    exported = tmp_path / "exported.yml"
    status, _, text = play(
        tmp_path, {**reach, "export_file": str(exported)}, playbook=ROOT / "playbooks/export.yml"
    )
    assert status == 0, text
    written = told(exported)
    branches = {f"{one['repo']}@{one['name']}": one for one in written["branches"]}
    assert {name: branches[f"data@{name}"]["trigger"] for name in TRIGGERS} == TRIGGERS
    assert sorted(branches["merged@all"]["provenance"]) == ["default/data@release", "vision/raw@master"]
    assert [one["spec"] for one in written["defaults"]] == [CLUSTER_DEFAULTS, PROJECT_DEFAULTS]
    assert [one["metadata"] for one in written["projects"]] == [{}, {"owner": "vision"}]
    given = [one["roles"].get("robot:ci") for one in written["role_bindings"]]
    assert [roles for roles in given if roles] == [
        next(iter(one["roles"].values())) for one in RICHER["role_bindings"]
    ]

    for arguments in (("--check",), ()):
        status, changed, text = play(tmp_path, reach, "-e", f"@{exported}", *arguments)
        assert (status, changed) == (0, 0), text
    report = {**reach, "lab_report_dest": str(tmp_path / "report.html")}
    assert play(tmp_path, report, playbook=ROOT / "playbooks/report.yml")[0] == 0
    assert "release" in (tmp_path / "report.html").read_text()
    assert secured.mutations() == seen


def test_relative_paths_are_refused(secured: Lab, source: Path, tmp_path: Path) -> None:
    variables = declared(secured, source)
    variables["pachyderm_workflow_secrets"] = [{"name": "db", "files": {"key": "key"}}]
    variables["pachyderm_workflow_files"] = [{"repo": "data", "path": "/b", "src": "b"}]
    status, _, text = play(tmp_path, variables)
    assert status == 2
    assert (
        "pachyderm_workflow_files: src: b; pachyderm_workflow_secrets: files: key: give the whole path"
        in text
    )
    assert secured.mutations() == []


def test_a_lab_that_is_yet_to_be_started(secured: Lab, source: Path, tmp_path: Path) -> None:
    variables = {**declared(secured, source), "pachyderm_workflow_pachd_pending": True}
    status, _, text = play(tmp_path, variables, "--check")
    assert status == 0, text
    for named in (
        "would create defaults of project vision",
        "would create secret db",
        "would create file default/data@master:/b",
        "would create branch default/data@release",
        "would create roles on repo copy",
    ):
        assert named in text
