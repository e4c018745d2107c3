# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that tests of the contract and of the embedded pachd share: their conftest.py imports them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import pytest

from tests.contract.lab import AnyTextWith, Data, Lab, poll

NewRepo = Callable[[], Data]
Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def refused() -> Refused:
    """The call within ends with this status, and a text in which the pattern is found."""

    @contextmanager
    def check(code: grpc.StatusCode, pattern: str = "") -> Iterator[None]:
        with pytest.raises(grpc.RpcError) as caught:
            yield
        assert (caught.value.code(), caught.value.details()) == (code, AnyTextWith(pattern))

    return check


@pytest.fixture
def background() -> Callable[..., Future[Any]]:
    """Makes a call that waits, in a thread that holds up neither the test nor the end of the tests."""

    def start(call: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*args, **options))
            except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    return start


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    return poll


@pytest.fixture
def settled(lab: Lab) -> Callable[[str, str], Any]:
    """Waits for a state of a pipeline, which comes a moment after the call that causes it."""

    def wait(pipeline: str, state: str) -> Any:
        poll(lambda: lab.pipeline_state(pipeline) == state)
        return lab.pipeline_info(pipeline)

    return wait
