# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a user orders through the control API, to see what their playbook makes of them.

A fault belongs to methods and, drawn for a call, does some of these: delays it, answers it with an error,
cuts the stream of answers, drops the stream of requests, or carries the call out and loses its answer.
"""

from __future__ import annotations

import fnmatch
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

from .errors import PachError
from .rpc import SERVICES, Method, methods_of

# A client that went away is noticed so often while a call is delayed, in seconds.
_LOOK_SECONDS = 0.1
LONGEST_DELAY = 3600.0
CODES = {code.name: code for code in grpc.StatusCode if code is not grpc.StatusCode.OK}


class FaultError(Exception):
    """A fault that cannot be ordered; the text is one line and names the field."""


@dataclass(frozen=True)
class Fault:
    """`method` is a name ("CreateRepo", "pfs_v2.API/CreateRepo") in which * stands for any characters.

    Without `after_messages`, `after_bytes` and `lose_answer` the code is the answer to the call; without a
    code, too, a fault delays only. `times` None is for ever. Bytes are those of the requests' messages.
    """

    method: str
    code: str = ""
    text: str = "a fault that was ordered through the control API"
    delay: float = 0.0  # seconds
    after_messages: int | None = None
    after_bytes: int | None = None
    lose_answer_of_call: bool = False
    times: int | None = None
    probability: float = 1.0
    id: int = field(default=0, compare=False)
    hits: int = field(default=0, compare=False)

    def is_named(self, method: Method) -> bool:
        return fnmatch.fnmatchcase(method.path[1:] if "/" in self.method else method.name, self.method)

    def matches(self, method: Method) -> bool:
        streams = (self.after_bytes is None or method.request_streams) and (
            self.after_messages is None or method.response_streams
        )
        return streams and self.is_named(method)

    def arrive(self, is_active: Callable[[], bool]) -> None:
        """What happens before the call is looked at."""
        end = time.monotonic() + self.delay
        while self.delay and is_active() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        if self.code and not self._is_late():
            raise self._error()

    def received(self, request: Any) -> Any:
        """The stream of requests, dropped after so many bytes; a single request as it is."""
        return request if self.after_bytes is None else self._dropped(request, self.after_bytes)

    def sent(self, answers: Iterator[Any]) -> Iterator[Any]:
        """The stream of answers, cut after so many messages."""
        if self.after_messages is None:
            yield from answers
            return
        yield from itertools.islice(answers, self.after_messages)
        raise self._error()

    def lose_answer(self) -> None:
        """What happens when the call has been carried out."""
        if self.lose_answer_of_call:
            raise self._error()

    def _is_late(self) -> bool:
        return self.lose_answer_of_call or self.after_messages is not None or self.after_bytes is not None

    def _dropped(self, requests: Iterator[Any], left: int) -> Iterator[Any]:
        for request in requests:
            left -= len(bytes(request))
            if left < 0:
                raise self._error()
            yield request

    def _error(self) -> PachError:
        # What a client sees when the connection breaks.
        return PachError(CODES[self.code or "UNAVAILABLE"], self.text)


NO_FAULT = Fault("")


class Faults:
    """Those that are ordered, in that order: the first one that matches a call is drawn. Thread-safe."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._ids = itertools.count(1)

    def draw(self, method: Method) -> Fault:
        if not self._faults:
            return NO_FAULT
        with self._lock:
            for place, fault in enumerate(self._faults):
                if fault.matches(method) and random.random() < fault.probability:
                    left = None if fault.times is None else fault.times - 1
                    self._faults[place] = replace(fault, times=left, hits=fault.hits + 1)
                    if left == 0:
                        del self._faults[place]
                    return fault
        return NO_FAULT

    def add(self, wanted: dict[str, Any]) -> Fault:
        fault = replace(fault_of(wanted), id=next(self._ids))
        with self._lock:
            self._faults.append(fault)
        return fault

    def list(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def clear(self, fault_id: int | None = None) -> int:
        """Take back one fault, or all; the answer is how many there were."""
        with self._lock:
            kept = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]
            gone = len(self._faults) - len(kept)
            self._faults = kept
        return gone


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "method": (str, "the name of a method"),
    "code": (str, "a gRPC status code such as UNAVAILABLE"),
    "text": (str, "a text"),
    "delay": ((int, float), f"seconds, 0 to {LONGEST_DELAY:g}"),
    "after_messages": (int, "a number, 0 or more"),
    "after_bytes": (int, "a number, 0 or more"),
    "lose_answer": (bool, "true or false"),
    "times": (int, "a number, 1 or more"),
    "probability": ((int, float), "a number above 0, at most 1"),
}


def fault_of(wanted: dict[str, Any]) -> Fault:
    """The fault that a request asks for. Raises FaultError."""
    for name, value in wanted.items():
        if name not in _KINDS:
            raise FaultError(f"{name}: no such field; there are {', '.join(_KINDS)}")
        kind, meaning = _KINDS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FaultError(f"{name}: {value!r} is not {meaning}")
    options = dict(wanted)
    options["lose_answer_of_call"] = options.pop("lose_answer", False)
    if "method" not in options:
        raise FaultError("method: say which calls the fault is for")
    fault = Fault(**options)
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    def refuse_unless(good: bool, name: str, value: object) -> None:
        if not good:
            raise FaultError(f"{name}: {value!r} is not {_KINDS[name][1]}")

    refuse_unless(not fault.code or fault.code in CODES, "code", fault.code)
    refuse_unless(0 <= fault.delay <= LONGEST_DELAY, "delay", fault.delay)
    for name in ("after_messages", "after_bytes"):
        number = getattr(fault, name)
        refuse_unless(number is None or number >= 0, name, number)
    refuse_unless(fault.times is None or fault.times >= 1, "times", fault.times)
    refuse_unless(0 < fault.probability <= 1, "probability", fault.probability)
    methods = [method for module in SERVICES for method in methods_of(module) if fault.is_named(method)]
    if not methods:
        raise FaultError(f"method: {fault.method!r} is no method of the API, nor a pattern that one matches")
    if not any(fault.matches(method) for method in methods):
        name = "after_bytes" if fault.after_messages is None else "after_messages"
        raise FaultError(f"{name}: {fault.method} has one message there, not a stream")
