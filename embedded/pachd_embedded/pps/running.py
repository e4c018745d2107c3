# SPDX-License-Identifier: GPL-3.0-or-later
"""The datums whose code runs now: who asks may see them, and end them one by one."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .datums import Datum


class Cancellation(threading.Event):
    """Of a job: what runs for it has an event of its own, which is set along with it."""

    def __init__(self) -> None:
        super().__init__()
        self._children: list[threading.Event] = []
        self._guard = threading.Lock()

    def set(self) -> None:
        with self._guard:
            super().set()
            for child in self._children:
                child.set()

    @contextmanager
    def child(self) -> Iterator[threading.Event]:
        event = threading.Event()
        with self._guard:
            self._children.append(event)
            if self.is_set():
                event.set()
        try:
            yield event
        finally:
            with self._guard:
                self._children.remove(event)


@dataclass(frozen=True, eq=False)
class Attempt:
    """One run of a datum's code. `job` is the job's seq, `started` is in seconds of the epoch."""

    job: int
    datum: Datum
    cancelled: threading.Event
    started: float = field(default_factory=time.time)


class Running:
    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._guard = threading.Lock()

    @contextmanager
    def attempt(self, job: int, datum: Datum, cancellation: Cancellation) -> Iterator[threading.Event]:
        """For as long as the code runs; the event ends it."""
        with cancellation.child() as cancelled:
            attempt = Attempt(job, datum, cancelled)
            with self._guard:
                self._attempts.append(attempt)
            try:
                yield cancelled
            finally:
                with self._guard:
                    self._attempts.remove(attempt)

    def of(self, job: int) -> list[Attempt]:
        with self._guard:
            return [attempt for attempt in self._attempts if attempt.job == job]

    def cancel(self, job: int, filters: Iterable[str]) -> bool:
        """End the code of those datums that have all files of the filters; False when there are none."""
        found = [attempt for attempt in self.of(job) if has_files(attempt.datum, filters)]
        for attempt in found:
            attempt.cancelled.set()
        return bool(found)


def has_files(datum: Datum, filters: Iterable[str]) -> bool:
    """Whether each filter is a path or a hash (hex or base64) of one of the datum's files."""
    known = {name for file in datum.files for name in names_of(file.path, file.hash)}
    return known.issuperset(filters)


def names_of(path: str, file_hash: bytes) -> tuple[str, str, str]:
    """What a filter may call a file by."""
    return path, file_hash.hex(), base64.b64encode(file_hash).decode()
