# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what docs/performance.md shows, side by side in one run, and prints it as its table.

    .venv/bin/python benchmarks/figures.py [--runs 3] [--only sync,big,site]

Whole commands are timed from outside, start of the interpreter included, against an embedded pachd of
its own in a temporary directory. Each figure is the median of the runs, with the extremes; commands that
are compared take turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
FILES, FILE_BYTES = 2_000, 4_096
BIG_REPO_FILES = 100_000

# Each prints the seconds of its work alone: interpreter, imports and connection are there already.
SDK_LOOP = """
import sys, time
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs
client = Client.from_pachd_address(sys.argv[1])
repo = pfs.Repo.from_uri(sys.argv[2])
client.pfs.create_repo(repo=repo)
start = time.perf_counter()
with client.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
    commit.put_files(source=sys.argv[3], path="/")
commit.wait()
print(time.perf_counter() - start)
"""
SYNC = """
import sys, time
from ansible_collections.gpulab.pachyderm.plugins.module_utils._connection import Pachd
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import ConnectionOptions
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync import run_syncs
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync_plan import Sync
sync = Sync(src=sys.argv[3], project="default", repo=sys.argv[2], branch="master", dest="/", delete=True,
            allow_empty=False, description="")
options = ConnectionOptions.parse(
    {"pachd_address": sys.argv[1], "auth_token": None, "ca_cert": None, "timeout": 30.0})
with Pachd(options) as pachd:
    start = time.perf_counter()
    run_syncs(pachd, [sync], False)
    print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (default 3)")
    parser.add_argument("--only", default="sync,big,site", help="which groups, by name (default all)")
    options = parser.parse_args()
    groups = {"sync": sync_figures, "big": big_repo_figures, "site": site_figures}
    print("| what | median s | min | max | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="figures-") as directory:
            groups[name](Path(directory), options.runs)


def sync_figures(directory: Path, runs: int) -> None:
    """2,000 files of 4 KB: the SDK's own loop, pachyderm_sync, and pachyderm_sync again."""
    tree = make_tree(directory / "tree", FILES)
    whole: dict[str, list[float]] = {"loop": [], "sync": [], "again": []}
    alone: dict[str, list[float]] = {"loop": [], "sync": [], "again": []}
    with pachd(directory / "pachd") as address:
        for run in range(runs):
            sync = {"src": str(tree), "repo": f"sync{run}", "delete": True}
            whole["loop"].append(timed([sys.executable, "-c", SDK_LOOP, address, f"a{run}", str(tree)]))
            module(address, "pachyderm_repo", name=f"sync{run}")
            whole["sync"].append(module(address, "pachyderm_sync", **sync))
            whole["again"].append(module(address, "pachyderm_sync", **sync))
            alone["loop"].append(printed([sys.executable, "-c", SDK_LOOP, address, f"b{run}", str(tree)]))
            module(address, "pachyderm_repo", name=f"alone{run}")
            for name in ("sync", "again"):
                command = [sys.executable, "-c", SYNC, address, f"alone{run}", str(tree)]
                alone[name].append(printed(command))
    what = f"{FILES:,} files of {FILE_BYTES // 1024} KB"
    for label, times in (("whole command", whole), ("the work alone", alone)):
        row(f"{what}, {label}: the SDK's put_files loop", times["loop"])
        row(f"{what}, {label}: pachyderm_sync", times["sync"], times["loop"])
        row(f"{what}, {label}: pachyderm_sync again, nothing to do", times["again"], times["loop"])


def big_repo_figures(directory: Path, runs: int) -> None:
    """One file more in a repo of 100,000 against one more in a repo of 100; and the rows that it writes."""
    from pachyderm_sdk import Client
    from pachyderm_sdk.api import pfs

    with pachd(directory / "pachd") as address:
        client = Client.from_pachd_address(address)
        times: dict[int, list[float]] = {100: [], BIG_REPO_FILES: []}
        for size in times:
            repo = pfs.Repo.from_uri(f"files{size}")
            client.pfs.create_repo(repo=repo)
            client.pfs.modify_file(_many_small_files(pfs, repo, size))
        database = directory / "pachd" / "pachd.sqlite"
        rows = _count(database)
        for run in range(runs * 5):
            for size, spent in times.items():
                commit = pfs.Commit.from_uri(f"files{size}@master")
                start = time.perf_counter()
                client.pfs.put_file_from_bytes(commit=commit, path=f"/more-{run}", data=b"x")
                spent.append(time.perf_counter() - start)
        written = (_count(database) - rows) / (runs * 5 * len(times))
    row("one file more, repo of 100", times[100])
    row(f"one file more, repo of {BIG_REPO_FILES:,}", times[BIG_REPO_FILES], times[100])
    print(f"| rows written for it, mean of both | {written:.1f} | | | |")


def site_figures(directory: Path, runs: int) -> None:
    """The demo; and site.yml of inventories/embedded: on an empty lab, then with nothing to do."""
    demo, up, noop = list[float](), list[float](), list[float]()
    for run in range(runs):
        address = f"127.0.0.1:{free_port()}"
        demo.append(timed(["make", "demo", f"LAB={directory}/demo{run}", f"ADDRESS={address}"]))
        state = directory / f"lab{run}"
        timed([sys.executable, ROOT / "examples/datasets/export.py", state / "data"])
        extra = {"lab_state": str(state), "pachyderm_embedded_address": address}
        site: list[str | Path] = [BIN / "ansible-playbook", "site.yml", "-e", json.dumps(extra)]
        try:
            up.append(timed(site))
            noop.append(timed(site))
        finally:
            stop = {**extra, "pachyderm_embedded_state": "stopped"}
            timed([BIN / "ansible-playbook", "playbooks/pachyderm.yml", "-e", json.dumps(stop)])
    row("make demo after set-up: site.yml three times, two reports", demo)
    row("site.yml on an empty lab: repo, data, three pipelines and their jobs", up)
    row("site.yml again, nothing to do", noop, up)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def make_tree(directory: Path, files: int) -> Path:
    source = random.Random(1)
    for number in range(files):
        path = directory / f"{number % 20:02}" / f"file-{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(FILE_BYTES))
    return directory


@contextmanager
def pachd(directory: Path) -> Iterator[str]:
    """An embedded pachd; its address."""
    command = [sys.executable, "-m", "pachd_embedded", "serve", "--data-dir", directory]
    process = subprocess.Popen(
        [*map(str, command), "--address", "127.0.0.1:0", "--log-level", "error"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "embedded")},
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            sys.exit("the embedded pachd did not start; it says why above")
        fields = dict(word.partition("=")[::2] for word in ready.split())
        yield f"grpc://{fields['address']}"
    finally:
        process.terminate()
        process.wait()


def module(address: str, module_name: str, /, **options: Any) -> float:
    """Seconds for one module in an ad-hoc run of Ansible."""
    arguments = json.dumps({"pachd_address": address, **options})
    return timed([BIN / "ansible", "localhost", "-m", f"gpulab.pachyderm.{module_name}", "-a", arguments])


def timed(command: Sequence[str | Path]) -> float:
    """Seconds for a whole command."""
    start = time.perf_counter()
    run_command(command)
    return time.perf_counter() - start


def printed(command: Sequence[str | Path]) -> float:
    """Seconds that the command itself prints in its last line."""
    return float(run_command(command).splitlines()[-1])


def run_command(command: Sequence[str | Path]) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}")
    return done.stdout


def row(what: str, seconds: list[float], against: list[float] | None = None) -> None:
    median = statistics.median(seconds)
    ratio = f"{statistics.median(against) / median:.1f} x faster" if against else ""
    if against and statistics.median(against) < median:
        ratio = f"{median / statistics.median(against):.1f} x slower"
    digits = 3 if median < 0.1 else 2
    cells = [what, *(f"{value:.{digits}f}" for value in (median, min(seconds), max(seconds))), ratio]
    print("| " + " | ".join(cells) + " |", flush=True)


def _many_small_files(pfs: Any, repo: Any, count: int) -> Iterator[Any]:
    yield pfs.ModifyFileRequest(set_commit=pfs.Commit(repo=repo, branch=pfs.Branch(repo=repo, name="master")))
    for number in range(count):
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{number:06}", raw=b"%d" % number))


def _count(database: Path) -> int:
    """Rows in the tables that files live in."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        tables = ("node", "chunk", "pfs_commit", "commit_provenance")
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    finally:
        connection.close()


if __name__ == "__main__":
    assert shutil.which(str(BIN / "ansible")), "run it with the checkout's own interpreter: .venv/bin/python"
    main()
