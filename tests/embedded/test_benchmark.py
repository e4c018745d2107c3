# SPDX-License-Identifier: GPL-3.0-or-later
"""benchmarks/pachd.py runs, as small as it can be: what its figures are is no matter here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/pachd.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--small", "--runs", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("group", "first", "rows"),
    [
        ("files", "| seconds, repo of so many files | 200 | 250 | 300 | x1.25 files | x1.5 files |", 7),
        ("jobs", "| new datums | 1 worker, s | 2 workers, s | real workers (1), s |", 4),
        ("large", "| 5 MB | pachd, s | MB/s | bare gRPC stream, s | ratio |", 2),
    ],
)
def test_a_group_prints_its_table(group: str, first: str, rows: int) -> None:
    done = run("--only", group)
    assert (done.returncode, done.stderr) == (0, "")
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert (table[0], len(table)) == (first, 2 + rows)


def test_an_unknown_group_is_named() -> None:
    done = run("--only", "files,job")
    assert done.returncode == 2
    assert done.stderr.endswith("argument --only: job: there are files, jobs, large\n")
