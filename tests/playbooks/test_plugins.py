# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup and the filter, in real runs of Ansible."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_runs import LOCAL, ROOT, ansible

from .conftest import Lab

OLD_SPEC = ROOT / "examples/gpu/gpu-1.x.json"


def evaluate(home: Path, expressions: dict[str, str], **environment: str) -> dict[str, Any]:
    """The values of Jinja expressions in a play; of one that fails, the text of the error."""
    tasks = []
    for name, expression in expressions.items():
        task = {
            "block": [{"ansible.builtin.set_fact": {name: "{{ " + expression + " }}"}}],
            "rescue": [{"ansible.builtin.set_fact": {name: "{{ ansible_failed_result.msg }}"}}],
        }
        tasks.append(task)
    values = "{{ dict(names | zip(names | map('extract', vars))) | to_json }}"
    copy = {"content": values, "dest": str(home / "values.json"), "mode": "0600"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"names": list(expressions), "ansible_python_interpreter": sys.executable},
        "tasks": [*tasks, {"ansible.builtin.copy": copy}],
    }
    file = home / "play.yml"
    file.write_text(json.dumps([play]))
    done = ansible("playbook", *LOCAL, str(file), home=home, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((home / "values.json").read_text())
    return found


def test_the_lookup(lab: Lab, tmp_path: Path) -> None:
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "data", "project": "vision"}])
    lab.put("/d/a.txt", b"first\n")
    first = lab.run("info", gather=["commits"], repo="data")["commits"][0]["id"]
    lab.put("/d/a.txt", "zweite \u00fc\n".encode())
    lab.put("/b.bin", b"\xff")
    lab.run("info", gather=["branches"])
    name = "gpulab.pachyderm.pachyderm_file"
    values = evaluate(
        tmp_path,
        {
            "one": f"lookup('{name}', 'data:/d/a.txt')",
            "several": f"query('{name}', 'data@master:d/a.txt', 'default/data@{first}:/d/a.txt')",
            "bad": f"lookup('{name}', 'data')",
            "missing": f"lookup('{name}', 'data@master:/nope')",
            "directory": f"lookup('{name}', 'data@master:/d')",
            "other": f"lookup('{name}', 'data:/d/a.txt', project='vision')",
            "binary": f"lookup('{name}', 'data:/b.bin')",
            "nobody": f"lookup('{name}', 'data:/d/a.txt', pachd_address='grpc://127.0.0.1:1', timeout=0.2)",
        },
        PACHD_ADDRESS=lab.address,
    )
    assert values["one"] == "zweite \u00fc\n"
    assert values["several"] == ["zweite \u00fc\n", "first\n"]
    assert "pachyderm_file: data: must be repo@branch:/path or project/repo@branch:/path" in values["bad"]
    assert "pachyderm_file: data@master:/nope: " in values["missing"]
    assert "pachyderm_file: data@master:/d: " in values["directory"]
    assert "pachyderm_file: data:/d/a.txt: " in values["other"]
    assert "pachyderm_file: data:/b.bin: is no text in UTF-8 (byte 0)" in values["binary"]
    assert "pachyderm_file: cannot reach pachd at grpc://127.0.0.1:1 within 0.2 s: " in values["nobody"]


def test_the_filter(tmp_path: Path) -> None:
    name = "gpulab.pachyderm.pachyderm_pipeline_upgrade"
    values = evaluate(
        tmp_path,
        {
            "old": f"lookup('file', '{OLD_SPEC}') | from_json | {name}",
            "again": f"old.spec | {name}",
            "wrong": f"[] | {name}",
            "git": f"{{'input': {{'git': {{}}}}}} | {name}",
        },
    )
    assert "atom" in OLD_SPEC.read_text()
    assert "pfs" in str(values["old"]["spec"]["input"])
    assert "input.atom is now input.pfs" in values["old"]["changes"]
    assert values["again"] == {"spec": values["old"]["spec"], "changes": []}
    assert "pachyderm_pipeline_upgrade: takes one spec, which is a mapping" in values["wrong"]
    assert "pachyderm_pipeline_upgrade: input.git: 2.x has no git input" in values["git"]


@pytest.mark.parametrize(
    ("kind", "name", "option"),
    [("lookup", "pachyderm_file", "pach_config"), ("filter", "pachyderm_pipeline_upgrade", "_input")],
)
def test_ansible_doc_shows_it(tmp_path: Path, kind: str, name: str, option: str) -> None:
    done = ansible("doc", "-t", kind, f"gpulab.pachyderm.{name}", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    (shown,) = json.loads(done.stdout).values()
    assert shown["doc"]["options"][option]["description"]
    assert shown["examples"]
    assert shown["return"]
    assert "WARNING" not in done.stderr
