# SPDX-License-Identifier: GPL-3.0-or-later
"""The hashes of many local files, by all cores. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from . import _hash_worker
from ._errors import PachydermError
from ._hash_cache import Answer, HashCache
from ._hash_worker import hash_one
from ._local_tree import LocalFile
from ._progress import Progress

# From this much work on, the start of processes (a tenth of a second) pays.
_WORTH_BYTES = 64 * 1024 * 1024
_WORTH_FILES = 4_000
# What a process gets at a time: enough that asking does not count, and little enough to spread evenly.
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_FILES = 500

Take = Callable[[LocalFile, Answer], None]


def hash_tree(root: str, files: Sequence[LocalFile], trust_cache: bool) -> Mapping[str, bytes]:
    """The hash of each file, by its source.

    With `trust_cache`, a file that is as it was when it was last read is not read. Raises PachydermError.
    """
    cache = HashCache(root)
    hashes = {}
    if trust_cache:
        hashes = {file.source: known for file in files if (known := cache.get(file.stamp))}
    left = [file for file in files if file.source not in hashes]
    # What is kept with its stamp; another stamp now says that the file was changed since it was found.
    certain = {file.stamp: hashes[file.source] for file in files if file.source in hashes}
    read_at = time.time()

    def take(file: LocalFile, answer: Answer) -> None:
        if isinstance(answer, str):
            raise PachydermError(f"{file.source}: cannot read it: {answer}")
        hashes[file.source] = answer[0]
        if answer[1] == file.stamp:
            certain[file.stamp] = answer[0]

    _hash_all(left, take)
    if left:
        cache.replace(certain.items(), read_at)
    return hashes


def _hash_all(files: Sequence[LocalFile], take: Take) -> None:
    size = sum(file.size for file in files)
    progress = Progress("hashing", size, "bytes")
    cores = len(os.sched_getaffinity(0))
    if cores == 1 or len(files) == 1 or (size < _WORTH_BYTES and len(files) < _WORTH_FILES):
        for file in files:
            take(file, hash_one(file.source))
            progress.add(file.size)
        return
    batches: queue.SimpleQueue[list[LocalFile]] = queue.SimpleQueue()
    count = 0
    for count, batch in enumerate(_batches(files), 1):  # noqa: B007 - it is the number of batches
        batches.put(batch)

    def work() -> None:
        with _Process() as process:
            while batch := _next(batches):
                for file, answer in zip(batch, process.ask([file.source for file in batch]), strict=True):
                    take(file, answer)
                    progress.add(file.size)

    with ThreadPoolExecutor(min(cores, count)) as threads:
        done = [threads.submit(work) for _number in range(min(cores, count))]
    for each in done:
        each.result()


def _batches(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """The biggest files first, so that none of them is left for one process at the end."""
    batch: list[LocalFile] = []
    size = 0
    for file in sorted(files, key=lambda file: file.size, reverse=True):
        batch.append(file)
        size += file.size
        if size >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _next(batches: queue.SimpleQueue[list[LocalFile]]) -> list[LocalFile] | None:
    try:
        return batches.get_nowait()
    except queue.Empty:
        return None


class _Process:
    """A process that hashes. It is started anew, since gRPC's threads do not survive a fork."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", f"from {_hash_worker.__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_error: object) -> None:
        self._popen.communicate()

    def ask(self, paths: list[str]) -> list[Answer]:
        """Raises PachydermError when the process has ended."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        line = ""
        if stdin and stdout:
            try:
                stdin.write(json.dumps(paths) + "\n")
                stdin.flush()
                line = stdout.readline()
            except BrokenPipeError:
                line = ""
        if not line:
            _output, errors = self._popen.communicate()
            raise PachydermError(f"src: a process that hashes files ended: {errors.strip()[-300:]}")
        return [
            a if isinstance(a, str) else (bytes.fromhex(a[0]), bytes.fromhex(a[1])) for a in json.loads(line)
        ]
