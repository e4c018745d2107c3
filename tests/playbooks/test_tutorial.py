# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/tutorial.md from its fourth step on: declarations by the role, tasks as they are, in one run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from pachd_embedded.server import Server, Settings
from tests.ansible_runs import LOCAL, ROOT, ansible

PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
# What only a cluster can answer.
CLUSTER = "gpulab.pachyderm.kubernetes_"
# A row of the last table: step, job, processed, skipped.
ROW = re.compile(r"^\| \d+ \| [^|]+ \| (\d+) \| (\d+) \|$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The blocks of a language from the fourth step on."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.split("\n## 4. ")[1], re.MULTILINE | re.DOTALL)


def tasks() -> list[dict[str, Any]]:
    """Each declaration as a run of the role on all that was declared so far; each task as it is."""
    declared: dict[str, Any] = {}
    found: list[dict[str, Any]] = []
    for block in map(yaml.safe_load, blocks("yaml")):
        if isinstance(block, list):
            found += [task for task in block if not any(key.startswith(CLUSTER) for key in task)]
        else:
            declared = declared | block
            role = {"name": "gpulab.pachyderm.pachyderm_workflow"}
            found.append({"name": ", ".join(block), "ansible.builtin.include_role": role, "vars": declared})
    return found


@pytest.fixture
def pachd(tmp_path: Path) -> Iterator[str]:
    """The address of an embedded pachd with two GPUs, and a directory that stands for the image."""
    image = {"novella/tensorflow-pachyderm:gputest": ROOT / "examples/gpu/docker"}
    server = Server(Settings(tmp_path / "pachd", "127.0.0.1:0", gpus=2, images=image))
    yield f"grpc://{server.address}"
    server.stop(0)


def test_the_tutorial_runs_as_it_stands_in_the_document(pachd: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / f"data/{number}.csv").write_text(f"{number}\n")
    play = {
        "name": "The tutorial",
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": {"group/gpulab.pachyderm.pachyderm": {"pachd_address": pachd}},
        "tasks": tasks(),
    }
    (tmp_path / "tutorial.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    variables = {
        "ansible_python_interpreter": sys.executable,
        "pachyderm_workflow_pachd_address": pachd,
        "lab_data": str(tmp_path / "data"),
        "lab_examples": str(ROOT / "examples"),
        "lab_results": str(tmp_path / "results"),
    }
    given = (*LOCAL, "-e", json.dumps(variables))
    done = ansible("playbook", *given, "tutorial.yml", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    pipeline = pps.Pipeline(name="gpu", project=pfs.Project(name="default"))
    jobs = Client.from_pachd_address(pachd).pps.list_job(pipeline=pipeline, history=-1)
    computed = [(job.data_processed, job.data_skipped) for job in reversed(list(jobs))]
    assert computed == [(int(processed), int(skipped)) for processed, skipped in ROW.findall(PAGE)]
    assert (tmp_path / "results/tomorrow.csv-logs.txt").read_text().startswith("tomorrow.csv\n")


def test_the_json_of_the_document_is_the_file_of_the_examples() -> None:
    (block,) = blocks("json")
    assert block == (ROOT / "examples/gpu/gpu-1.x.json").read_text(encoding="utf-8")
