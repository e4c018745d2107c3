# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo`, `make stop` and `make report` do with LAB and ADDRESS, and what they never touch."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESS = ROOT / "roles/pachyderm_embedded/files/pachd_process.py"


def script(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script of the checkout, with no LAB or ADDRESS but those given."""
    base = {k: v for k, v in os.environ.items() if k not in ("LAB", "ADDRESS", "KEEP", "PACHD_ADDRESS")}
    return subprocess.run(
        command, cwd=ROOT, env=base | environment, capture_output=True, text=True, timeout=120, check=False
    )


def process(verb: str, lab: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(PROCESS), verb, str(lab / "pachd"), *arguments]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answer


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A lab as a demo left it, its pachd running at a port of its own."""
    lab = tmp_path / "a lab"
    (lab / "data").mkdir(parents=True)
    (lab / "data/iris.csv").write_text("1\n")
    settings = {"arguments": ["--address=127.0.0.1:0", "--gpus=0"]}
    process("start", lab, str(ROOT / "embedded"), "60", json.dumps(settings))
    yield lab
    process("stop", lab, "60")


def is_running(lab: Path) -> bool:
    status = process("status", lab, str(ROOT / "embedded"), "stopped")
    return status["pid"] is not None


@pytest.mark.parametrize(
    "name", ["notes.txt", ".notes", "data/.notes", "data/mine.csv", "results/gpu/mine.txt", "results/mine"]
)
def test_the_demo_deletes_no_file_that_it_did_not_make(tmp_path: Path, name: str) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine\n")
    run = script("scripts/demo.sh", LAB=str(tmp_path))
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert f"{mine} is not the demo's" in run.stderr
    assert mine.exists()


def test_the_demo_deletes_no_file_in_the_directory_of_pachd(lab: Path) -> None:
    mine = lab / "pachd/notes"
    mine.write_text("mine\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = f"127.0.0.1:{listener.getsockname()[1]}"
    run = script("scripts/demo.sh", LAB=str(lab), ADDRESS=free)
    assert run.returncode == 1
    assert "holds notes, which pachyderm_embedded did not make" in run.stderr
    assert mine.exists()
    assert (lab / "data/iris.csv").exists()


def test_the_demo_takes_no_file_for_its_lab(tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.write_text("mine\n")
    run = script("scripts/demo.sh", LAB=str(mine))
    assert run.returncode == 1
    assert f"{mine} is a file" in run.stderr
    assert mine.exists()


def test_the_demo_deletes_nothing_where_it_cannot_listen(lab: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        runs = [
            (address, script("scripts/demo.sh", LAB=str(lab), ADDRESS=address))
            for address in (taken, "rubbish")
        ]
    for address, run in runs:
        assert run.returncode == 1
        assert f"demo: {address}: cannot listen there" in run.stderr
        assert "Traceback" not in run.stderr
    assert (lab / "data/iris.csv").exists()
    assert (lab / "pachd/pachd/pachd.sqlite").exists()


def test_headings_of_the_demo_fit_80_columns() -> None:
    headings = re.findall(r'^say "(.+)"$', (ROOT / "scripts/demo.sh").read_text(), re.MULTILINE)
    assert len(headings) > 5
    for heading in headings:
        assert "$lab" not in heading
        assert len("=== " + heading.replace("$((SECONDS - started))", "1000")) <= 80


def advice(**environment: str) -> tuple[list[str], list[str]]:
    """The words of the commands that the demo names at its end: go on, and stop."""
    run = script(
        "bash", "-euc", '. scripts/lab.sh; echo "$site_command"; echo "$stop_command"', **environment
    )
    assert run.returncode == 0, run.stderr
    site, stop = run.stdout.splitlines()
    return shlex.split(site), shlex.split(stop)


def test_the_advice_names_the_lab_that_is_meant(tmp_path: Path) -> None:
    plain = [".venv/bin/ansible-playbook", "site.yml"]
    assert advice() == (plain, ["make", "stop"])

    lab = str(tmp_path / "a lab")
    site, stop = advice(LAB=lab, ADDRESS="127.0.0.1:31650")
    assert site[:3] == [*plain, "-e"]
    assert json.loads(site[3]) == {"lab_state": lab, "pachyderm_embedded_address": "127.0.0.1:31650"}
    assert stop == ["make", "stop", f"LAB={lab}"]

    site, stop = advice(ADDRESS="127.0.0.1:31650")
    assert json.loads(site[3]) == {"pachyderm_embedded_address": "127.0.0.1:31650"}
    assert stop == ["make", "stop"]


def test_a_lab_that_ansible_would_read_otherwise_is_refused() -> None:
    run = script("scripts/demo.sh", LAB="/nowhere/{{ x }}")
    assert run.returncode == 1
    assert "LAB=/nowhere/{{ x }}" in run.stderr


def test_report_and_stop_mean_the_lab_that_is_named(lab: Path, tmp_path: Path) -> None:
    run = script("scripts/report.sh", LAB=str(lab))
    assert run.returncode == 0, run.stderr
    assert "Repos\n" in run.stdout
    run = script("bash", "-c", "set -o pipefail; scripts/report.sh | true", LAB=str(lab))
    assert run.stderr == ""
    run = script("scripts/report.sh", LAB=str(tmp_path / "none"))
    assert run.returncode == 1
    assert f"no pachd was started in {tmp_path / 'none'}" in run.stderr
    run = script("scripts/report.sh", LAB=str(lab), ADDRESS="127.0.0.1:1")
    assert "pachd at grpc://127.0.0.1:1:" in run.stderr
    assert "site.yml starts it" in run.stderr

    run = script("scripts/stop.sh", LAB=str(lab))
    assert run.returncode == 0, run.stdout
    assert not is_running(lab)


def test_a_long_name_leaves_the_other_columns_of_the_report_readable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    specification = importlib.util.spec_from_file_location("report", ROOT / "scripts/report.py")
    assert specification
    assert specification.loader
    report = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(report)
    rows = [("r" * 300, "1.2 kB", "what the cameras saw"), ("short", "3 B", "words " * 40)]
    report.table("Repos", ("name", "size", "description"), rows, right="size")
    header = ("pipeline", "job", "state", "processed", "skipped", "failed", "total")
    jobs = [("p" * 300, "50c614fb", "unrunnable", "100000", "20", "3", "100023")]
    report.table("Jobs", header, jobs, right="processed skipped failed total")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r"^  r+\.\.\.  1\.2 kB  what the cameras saw$", "\n".join(lines), re.MULTILINE)
    assert re.search(r"^  p+\.\.\.  50c614fb  unrunnable +100000 +20 +3 +100023$", lines[-1])
