# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the embedded pachd costs, in one run, and prints the tables of docs/performance.md.

    .venv/bin/python benchmarks/pachd.py [--runs 3] [--only files,jobs,large] [--small]

Each figure is the median of the runs; a ratio is the median of each run's own ratio, so that a machine that
is slow for a while changes both sides of it. The load of the machine is printed first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy
from figures import pachd
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    files: tuple[int, ...]
    datums: tuple[int, ...]
    large: int  # bytes


WHOLE = Sizes((1_000, 10_000, 100_000), (1, 10, 100, 1_000), 1_000_000_000)
SMALL = Sizes((200, 250, 300), (1, 2, 3), 5_000_000)  # to see that it runs; its figures say nothing
# Seconds from the end of a commit to that of its job, of real workers that were there and idle, measured on
# a 2-core node of a real cluster with Pachyderm 2.12, one worker; "none": a commit that changes nothing.
REAL = {"none": "3.0-3.6", 1: "3.6-4.6", 10: "7.1", 100: "12-13", 1_000: "89"}
# What the SDK and pachd put into one message at most.
FRAME_BYTES = 19 << 20

# A server of two methods that keep no more of gRPC than the stream: Put writes what comes into a file, Get
# sends that file.
BARE_SERVER = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import grpc

path, frame = sys.argv[1], int(sys.argv[2])

def put(frames, _):
    with open(path, "wb") as file:
        for data in frames:
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return b""

def get(_request, _):
    with open(path, "rb") as file:
        while data := file.read(frame):
            yield data

server = grpc.server(ThreadPoolExecutor(4), options=[
    ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Bare", {
    "Put": grpc.stream_unary_rpc_method_handler(put),
    "Get": grpc.unary_stream_rpc_method_handler(get),
})])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (default 3)")
    parser.add_argument("--only", type=named_groups, default=list(GROUPS), help="which groups (default all)")
    parser.add_argument("--small", action="store_true", help="so little that it only shows that it runs")
    options = parser.parse_args()
    sizes = SMALL if options.small else WHOLE
    for group in options.only:
        print(f"load before: {' '.join(f'{load:.1f}' for load in os.getloadavg())}, {os.cpu_count()} cores\n")
        with tempfile.TemporaryDirectory(prefix="pachd-figures-") as directory:
            took = seconds(GROUPS[group], Path(directory), options.runs, sizes)
        print(f"\n{group}: {took:.0f} s\n", flush=True)


def named_groups(text: str) -> list[str]:
    names = text.split(",")
    if wrong := set(names) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(wrong))}: there are {', '.join(GROUPS)}")
    return names


def seconds(work: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def table(*header: str) -> None:
    print("| " + " | ".join(header) + " |\n| --- |" + " ---: |" * (len(header) - 1), flush=True)


def cells(*values: str) -> None:
    print("| " + " | ".join(values) + " |", flush=True)


def shown(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.4f}"


# Many small files


def file_figures(directory: Path, runs: int, sizes: Sizes) -> None:
    """What is done to repos of so many files: all of it is touched, ten files, or one."""
    times: dict[str, dict[int, list[float]]] = {}
    with pachd(directory / "pachd") as address:
        client = Client.from_pachd_address(address)
        for run in range(runs):
            for size in sizes.files:
                for what, spent in one_repo(client, f"files-{size}-{run}", size):
                    times.setdefault(what, {}).setdefault(size, []).append(spent)
    first, *others = sizes.files
    more = (f"x{size / first:g} files" for size in others)
    table("seconds, repo of so many files", *(f"{size:,}" for size in sizes.files), *more)
    for what, of_size in times.items():
        ratios = [statistics.median(_ratios(of_size[first], of_size[size])) for size in others]
        medians = (shown(statistics.median(of_size[size])) for size in sizes.files)
        cells(what, *medians, *(f"x{ratio:.1f}" for ratio in ratios))


def _ratios(one: list[float], other: list[float]) -> list[float]:
    return [b / a for a, b in zip(one, other, strict=True)]


def one_repo(client: Any, name: str, size: int) -> Iterator[tuple[str, float]]:
    repo = pfs.Repo.from_uri(name)
    client.pfs.create_repo(repo=repo)
    commit = pfs.Commit.from_uri(f"{name}@master")

    def add(paths: Iterable[str]) -> None:
        def requests() -> Iterator[Any]:
            yield pfs.ModifyFileRequest(set_commit=commit)
            for path in paths:
                yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=path.encode()))

        client.pfs.modify_file(requests())

    def glob(pattern: str, expected: int) -> None:
        found = sum(1 for _ in client.pfs.glob_file(commit=commit, pattern=pattern))
        assert found == expected, found

    root = pfs.File(commit=commit, path="/")
    yield "put all, one stream", seconds(lambda: add(f"/{n:06}" for n in range(size)))
    yield "list all", seconds(lambda: list(client.pfs.list_file(file=root)))
    yield "glob all", seconds(lambda: glob("/*", size))
    yield "glob ten of them", _median(lambda: glob("/00012?", 10))
    one = pfs.File(commit=commit, path="/000123")
    yield "inspect one", _median(lambda: client.pfs.inspect_file(file=one))
    yield "inspect the commit, with its size", _median(lambda: client.pfs.inspect_commit(commit=commit))
    fresh = iter(range(1_000_000, 2_000_000))
    yield "add one file, a commit of its own", _median(lambda: add([f"/{next(fresh)}"]))


def _median(work: Callable[[], Any]) -> float:
    """Of ten times: what takes milliseconds is never measured once."""
    return statistics.median(seconds(work) for _ in range(10))


# Jobs


def job_figures(directory: Path, runs: int, sizes: Sizes) -> None:
    """From the end of a commit of so many new files to the end of its job, one datum a file."""
    times: dict[Any, dict[int, list[float]]] = {}
    with pachd(directory / "pachd") as address:
        client = Client.from_pachd_address(address)
        for run in range(runs):
            for workers in (1, 2):
                job = make_pipeline(client, f"in-{run}-{workers}", workers)
                for datums in sizes.datums:
                    times.setdefault(datums, {}).setdefault(workers, []).append(job(datums))
                times.setdefault("none", {}).setdefault(workers, []).append(job(0))
    table("new datums", "1 worker, s", "2 workers, s", "real workers (1), s")
    rows: list[str | int] = ["none", *sizes.datums]
    for row in rows:
        medians = (shown(statistics.median(times[row][workers])) for workers in (1, 2))
        cells(f"{row:,}" if isinstance(row, int) else row, *medians, REAL.get(row, ""))
    few, many = sizes.datums[1], sizes.datums[-1]
    for workers in (1, 2):
        pairs = zip(times[few][workers], times[many][workers], strict=True)
        each = statistics.median((last - first) / (many - few) for first, last in pairs)
        print(f"\n{workers} worker(s): {each:.4f} s a datum (from {few} to {many:,})")


def make_pipeline(client: Any, repo: str, workers: int) -> Callable[[int], float]:
    """A function: seconds of the job of a commit with so many new files."""
    client.pfs.create_repo(repo=pfs.Repo.from_uri(repo))
    pipeline = pps.Pipeline(name=f"copy-{repo}", project=pfs.Project(name="default"))
    spec = {
        "pipeline": {"name": pipeline.name},
        "input": {"pfs": {"repo": repo, "name": "in", "glob": "/*"}},
        "transform": {"cmd": ["sh"], "stdin": ["cp /pfs/in/* /pfs/out/"]},
        "parallelismSpec": {"constant": workers},
    }
    client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    fresh = iter(range(1_000_000))

    def run(datums: int) -> float:
        commit = client.pfs.start_commit(branch=pfs.Branch.from_uri(f"{repo}@master"))

        def requests() -> Iterator[Any]:
            yield pfs.ModifyFileRequest(set_commit=commit)
            for _ in range(datums):
                path = f"/{next(fresh):06}"
                yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=path, raw=path.encode()))

        client.pfs.modify_file(requests())
        job = pps.Job(pipeline=pipeline, id=commit.id)
        start = time.perf_counter()
        client.pfs.finish_commit(commit=commit)
        info = client.pps.inspect_job(job=job, wait=True)
        spent = time.perf_counter() - start
        assert (info.state, info.data_processed) == (pps.JobState.JOB_SUCCESS, datums)
        return spent

    first = next(iter(client.pps.list_job(pipeline=pipeline))).job
    client.pps.inspect_job(job=first, wait=True)
    return run


# One large file


def large_figures(directory: Path, runs: int, sizes: Sizes) -> None:
    """One large file in and out, in turns with the same bytes over a bare gRPC stream to a file."""
    times: dict[str, list[float]] = {"in": [], "out": [], "bare in": [], "bare out": []}
    with pachd(directory / "pachd") as address, bare_server(directory / "bare") as channel:
        client = Client.from_pachd_address(address)
        put = channel.stream_unary("/Bare/Put")
        get = channel.unary_stream("/Bare/Get")
        for run in range(runs):
            frames = list(random_frames(run, sizes.large))
            name = f"large-{run}"
            client.pfs.create_repo(repo=pfs.Repo.from_uri(name))
            file = pfs.File.from_uri(f"{name}@master:/large")
            times["bare in"].append(seconds(put, iter(frames)))
            times["in"].append(seconds(client.pfs.modify_file, additions(file, frames)))
            times["bare out"].append(seconds(lambda: check(get(b""), sizes.large)))
            answers = client.pfs.get_file(file=file)
            times["out"].append(seconds(lambda a=answers: check((frame.value for frame in a), sizes.large)))
            client.pfs.delete_repo(repo=pfs.Repo.from_uri(name))
    table(f"{sizes.large / 1e6:,.0f} MB", "pachd, s", "MB/s", "bare gRPC stream, s", "ratio")
    for way in ("in", "out"):
        ours, bare = statistics.median(times[way]), statistics.median(times[f"bare {way}"])
        ratio = statistics.median(_ratios(times[f"bare {way}"], times[way]))
        cells(way, f"{ours:.2f}", f"{sizes.large / ours / 1e6:.0f}", f"{bare:.2f}", f"x{ratio:.1f}")


def random_frames(seed: int, size: int) -> Iterator[bytes]:
    source = numpy.random.default_rng(seed)
    for at in range(0, size, FRAME_BYTES):
        yield source.bytes(min(FRAME_BYTES, size - at))


def additions(file: Any, frames: list[bytes]) -> Iterator[Any]:
    yield pfs.ModifyFileRequest(set_commit=file.commit)
    for frame in frames:
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=file.path, raw=frame))


def check(frames: Iterable[bytes], size: int) -> None:
    assert sum(map(len, frames)) == size


@contextmanager
def bare_server(path: Path) -> Iterator[grpc.Channel]:
    process = subprocess.Popen(
        [sys.executable, "-c", BARE_SERVER, str(path), str(FRAME_BYTES)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=limits) as channel:
            yield channel
    finally:
        process.terminate()
        process.wait()


GROUPS = {"files": file_figures, "jobs": job_figures, "large": large_figures}

if __name__ == "__main__":
    main()
