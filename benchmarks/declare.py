# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how long it takes to declare many repos and pipelines, and to find that nothing differs.

    .venv/bin/python benchmarks/declare.py [--count 200] [--looped 10]

Whole commands, start of the interpreter included, each against an embedded pachd of its own: one task of
pachyderm_pipeline with a list, the same list in a loop, item by item (so many as --looped, scaled up), and a
plain script with the official SDK, which makes one call a repo and a pipeline and compares nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import figures

SDK = """
import json, sys
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs
client = Client.from_pachd_address(sys.argv[1])
for spec in json.load(open(sys.argv[2])):
    client.pfs.create_repo(repo=pfs.Repo.from_uri(spec["input"]["pfs"]["repo"]))
    client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="repos, and pipelines (default 200)")
    parser.add_argument("--looped", type=int, default=10, help="items of the loop that are run (default 10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="declare-") as directory:
        measure(Path(directory), options.count, options.looped)
    print(f"\nLoad of the machine, mean of the last minute: {os.getloadavg()[0]:.0f}")


def measure(directory: Path, count: int, looped: int) -> None:
    listed = directory / "specs.json"
    listed.write_text(json.dumps(specs(count)))
    with figures.pachd(directory / "sdk") as address:
        script = figures.timed([sys.executable, "-c", SDK, address, listed])
    with figures.pachd(directory / "list") as address:
        tasks = [pipelines(specs(count))]
        first = play(directory, address, tasks)
        settle(address)
        again = play(directory, address, tasks)
    with figures.pachd(directory / "loop") as address:
        # What a playbook needs to start is not scaled.
        start = play(directory, address, in_a_loop(0))
        loop, loop_again = (
            start + (play(directory, address, in_a_loop(looped)) - start) * count / looped
            for _run in range(2)
        )
    what = f"{count} repos and {count} pipelines"
    print("| what | s | | | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    figures.row(f"{what}: one task with a list", [first])
    figures.row(f"{what}: script with the SDK", [script], [first])
    figures.row(f"{what}: a loop over them ({looped} items, scaled)", [loop], [first])
    figures.row("again, nothing to do: one task with a list", [again])
    figures.row(f"again, nothing to do: a loop over them ({looped} items, scaled)", [loop_again], [again])


def specs(count: int) -> list[dict[str, Any]]:
    return [
        {
            "pipeline": {"name": f"p{number}", "project": {"name": "default"}},
            "input": {"pfs": {"repo": f"r{number}", "glob": "/*"}},
            "transform": {"image": "python:3.11", "cmd": ["true"]},
            "resource_requests": {"cpu": 0.1, "memory": "64M"},
        }
        for number in range(count)
    ]


def pipelines(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"gpulab.pachyderm.pachyderm_pipeline": {"pipelines": items, "create_repos": True}}


def in_a_loop(count: int) -> list[dict[str, Any]]:
    return [
        {
            "gpulab.pachyderm.pachyderm_repo": {"name": "{{ item.input.pfs.repo }}"},
            "loop": specs(count),
            "loop_control": {"label": "{{ item.pipeline.name }}"},
        },
        {
            "gpulab.pachyderm.pachyderm_pipeline": {"pipeline": "{{ item }}"},
            "loop": specs(count),
            "loop_control": {"label": "{{ item.pipeline.name }}"},
        },
    ]


def play(directory: Path, address: str, tasks: list[dict[str, Any]]) -> float:
    defaults = {"group/gpulab.pachyderm.pachyderm": {"pachd_address": address}}
    content = {"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    path = directory / "play.yml"
    path.write_text(json.dumps([content]))
    return figures.timed([figures.BIN / "ansible-playbook", path])


def settle(address: str) -> None:
    """Waits until no job runs, so that none takes part in what is measured next."""
    from pachyderm_sdk import Client

    client = Client.from_pachd_address(address.removeprefix("grpc://"))
    while any(not info.finished.timestamp() for info in client.pps.list_job()):
        time.sleep(1)


if __name__ == "__main__":
    main()
