# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how fast pachyderm_sync brings a tree into a branch, and finds that nothing differs.

    .venv/bin/python benchmarks/sync.py [--runs 1] [--only small,large,again,memory] [--large-mb 512]
                                      [--many 100000] [--small 10000]

Against an embedded pachd of its own, the work alone: interpreter, imports and connection are there before
the clock starts. Whatever is compared takes turns within one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import figures

LARGE_FILES = 4
# put_files makes one call a file: at most so many are measured, and scaled up.
SDK_FILES = 1_000

# One stream of ModifyFile messages, as short a way as there is.
BARE = """
import sys, time
from pathlib import Path
import grpc
from pachyderm_sdk.api import pfs
from ansible_collections.gpulab.pachyderm.plugins.module_utils._local_tree import scan
from ansible_collections.gpulab.pachyderm.plugins.module_utils._patterns import ALL
from ansible_collections.gpulab.pachyderm.plugins.module_utils._wire import add_file, set_commit
channel = grpc.insecure_channel(sys.argv[1].removeprefix("grpc://"))
stub = pfs.ApiStub(channel)
repo = pfs.Repo.from_uri(sys.argv[2])
branch = pfs.Branch(repo=repo, name="master")
files = scan(sys.argv[3], "/", ALL)
def messages():
    yield set_commit(bytes(pfs.Commit(repo=repo, branch=branch)))
    for file in files:
        for frame in file.frames():
            yield add_file(file.path, frame)
start = time.perf_counter()
channel.stream_unary("/pfs_v2.API/ModifyFile")(messages())
stub.inspect_commit(commit=stub.inspect_branch(branch=branch).head, wait=pfs.CommitState.FINISHED)
print(time.perf_counter() - start)
"""
BLAKE2B = """
import hashlib, os, sys, time
start = time.perf_counter()
for directory, _, names in os.walk(sys.argv[1]):
    for name in names:
        digest = hashlib.blake2b(digest_size=32)
        with open(f"{directory}/{name}", "rb", buffering=0) as stream:
            while data := stream.read(1 << 20):
                digest.update(data)
print(time.perf_counter() - start)
"""
# As BLAKE2B, with the chunks and the hash of pachd: what a core of pachyderm_sync does.
CHUNKER = """
import sys, time
from pathlib import Path
from ansible_collections.gpulab.pachyderm.plugins.module_utils._file_hash import hash_file
paths = list(Path(sys.argv[1]).iterdir())
start = time.perf_counter()
for path in paths:
    hash_file(path)
print(time.perf_counter() - start)
"""
# The highest of this process and of each of its hashers. What rusage tells of children would count the memory
# of this process again, as it was when they were started.
HASHERS = """
import re
from pathlib import Path
from ansible_collections.gpulab.pachyderm.plugins.module_utils import _hash_files
def highest(pid):
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024
hashers = []
end = _hash_files._Process.__exit__
def note_and_end(process, *error):
    hashers.append(highest(process._popen.pid))
    end(process, *error)
_hash_files._Process.__exit__ = note_and_end
"""
MEMORY = """
print(highest("self") + sum(hashers))
"""
ALWAYS = figures.SYNC.replace('description=""', 'description="", trust_cache=False')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1, help="runs of each command (default 1)")
    parser.add_argument("--only", default="small,large,again,memory", help="which groups, by name")
    parser.add_argument("--small", type=int, default=10_000, help="files of small (default 10,000)")
    parser.add_argument("--large-mb", type=int, default=512, help="size of each large file (default 512)")
    parser.add_argument(
        "--many", type=int, default=100_000, help="files of again and memory (default 100,000)"
    )
    options = parser.parse_args()
    groups: dict[str, Callable[[Path], None]] = {
        "small": lambda directory: small(directory, options.runs, options.small),
        "large": lambda directory: large(directory, options.runs, options.large_mb),
        "again": lambda directory: again(directory, options.runs, options.many),
        "memory": lambda directory: memory(directory, options.many),
    }
    print("| what | median s | min | max | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="sync-") as directory:
            os.environ["XDG_CACHE_HOME"] = f"{directory}/cache"
            groups[name](Path(directory))
    print(f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores.")


def small(directory: Path, runs: int, files: int) -> None:
    """Many files of 4 KB."""
    tree, measured = figures.make_tree(directory / "tree", files), min(files, SDK_FILES)
    part = figures.make_tree(directory / "part", measured)
    times: dict[str, list[float]] = {"sdk": [], "bare": [], "sync": []}
    with figures.pachd(directory / "pachd") as address:
        for run in range(runs):
            seconds = script(figures.SDK_LOOP, address, f"sdk{run}", part)
            times["sdk"].append(seconds * files / measured)
            load(times, address, run, tree)
    what = f"{files:,} files of 4 KB"
    figures.row(f"{what}: the SDK's put_files, {measured:,} measured and scaled up", times["sdk"])
    figures.row(f"{what}: a bare gRPC stream", times["bare"], times["sdk"])
    figures.row(f"{what}: pachyderm_sync", times["sync"], times["sdk"])


def large(directory: Path, runs: int, megabytes: int) -> None:
    """Four large files, and nothing to do again."""
    tree = directory / "tree"
    tree.mkdir()
    for number in range(LARGE_FILES):
        with (tree / str(number)).open("wb") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(1 << 20))
    times: dict[str, list[float]] = {"sdk": [], "bare": [], "sync": []}
    with figures.pachd(directory / "pachd") as address:
        for run in range(runs):
            times["sdk"].append(script(figures.SDK_LOOP, address, f"sdk{run}", tree))
            load(times, address, run, tree)
        what = f"{LARGE_FILES} x {megabytes} MB"
        figures.row(f"{what}: the SDK's put_files", times["sdk"])
        figures.row(f"{what}: a bare gRPC stream", times["bare"], times["sdk"])
        figures.row(f"{what}: pachyderm_sync", times["sync"], times["bare"])
        unchanged(what, address, "sync0", tree, runs)
    blake2b, chunker = ([script(code, tree) for _run in range(runs)] for code in (BLAKE2B, CHUNKER))
    speed = LARGE_FILES * megabytes / statistics.median(chunker)
    figures.row(f"{what}: hashed as pachd does, {speed:.0f} MB/s on one core", chunker, blake2b)


def again(directory: Path, runs: int, files: int) -> None:
    """Many small files, nothing to do."""
    tree = figures.make_tree(directory / "tree", files)
    with figures.pachd(directory / "pachd") as address:
        figures.module(address, "pachyderm_repo", name="many")
        script(figures.SYNC, address, "many", tree)
        unchanged(f"{files:,} files of 4 KB", address, "many", tree, runs)


def memory(directory: Path, files: int) -> None:
    """Of the first sync of many files and of one that reads all of them again, in MB."""
    tree = figures.make_tree(directory / "tree", files)
    with figures.pachd(directory / "pachd") as address:
        figures.module(address, "pachyderm_repo", name="many")
        first = script(HASHERS + figures.SYNC + MEMORY, address, "many", tree)
        listed = script(HASHERS + ALWAYS + MEMORY, address, "many", tree)
        second = script(HASHERS + ALWAYS + MEMORY, address, "many", tree)
    print(f"| {files:,} files: memory of the process and its hashers, first sync | {first:.0f} MB | | | |")
    print(f"| the same, all read again and compared with a listing, nothing to do | {listed:.0f} MB | | | |")
    print(f"| the same, all read again, nothing to do | {second:.0f} MB | | | |", flush=True)


def load(times: dict[str, list[float]], address: str, run: int, tree: Path) -> None:
    for name, code in (("bare", BARE), ("sync", figures.SYNC)):
        figures.module(address, "pachyderm_repo", name=f"{name}{run}")
        times[name].append(script(code, address, f"{name}{run}", tree))


def unchanged(what: str, address: str, repo: str, tree: Path, runs: int) -> None:
    """A sync that finds nothing to do, without and with what an earlier one remembers, against reading."""
    read, always, cached = [], [], []
    listed = [script(ALWAYS, address, repo, tree)]
    for _ in range(runs):
        read.append(script(BLAKE2B, tree))
        always.append(script(ALWAYS, address, repo, tree))
        cached.append(script(figures.SYNC, address, repo, tree))
    figures.row(f"{what}, unchanged: read through BLAKE2b on one core", read)
    figures.row(f"{what}, unchanged: pachyderm_sync, the first time, with a listing", listed, read)
    figures.row(f"{what}, unchanged: pachyderm_sync, checksum always", always, read)
    figures.row(f"{what}, unchanged: pachyderm_sync, checksum cached", cached, read)


def script(code: str, *arguments: str | Path) -> float:
    return figures.printed([sys.executable, "-c", code, *arguments])


if __name__ == "__main__":
    main()
