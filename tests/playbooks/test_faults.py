# SPDX-License-Identifier: GPL-3.0-or-later
"""Each call of each module, failed in turn: what a run then says, and what it and the next one leave."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _connection
from pachd_embedded.rpc import is_mutating

from .fault_labs import METHODS, FaultLab, Row, is_stream, kill_before
from .fault_rows import ROWS

WHY = "not today"
# The connection's, whatever the module: broken in a run that writes and in one that reads.
EVERY_RUN = ("GetVersion",)
# Seconds that a run may wait for pachd where it is away for good, and what a busy machine may add.
TIMEOUT, SLACK = 5.0, 20.0
CALLS = [
    (name, method)
    for name, row in ROWS.items()
    for method in (*row.calls, *(EVERY_RUN if name in ("repo", "info") else ()))
]


def each(calls: list[tuple[str, str]]) -> pytest.MarkDecorator:
    given = [pytest.param(ROWS[name], method, id=f"{name}-{method}") for name, method in calls]
    return pytest.mark.parametrize(("row", "method"), given)


EACH = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
EACH_CALL = each(CALLS)
EACH_WRITE = each([call for call in CALLS if is_mutating(METHODS[call[1]], None)])
EACH_STREAM = each([call for call in CALLS if is_stream(METHODS[call[1]])])


class Usual(NamedTuple):
    """An undisturbed run: its result, how often it asked for each method, and what it left."""

    result: Any
    calls: Counter[str]
    left: Any


class Labs:
    """Makes the labs of a test, each in a directory of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str], known: dict[str, Usual]) -> None:
        self._directory = directory
        self._capsys = capsys
        self._known = known
        self._number = 0

    @contextmanager
    def one(self, row: Row) -> Iterator[tuple[FaultLab, dict[str, Any]]]:
        """A lab that is ready for the run, and the run's options."""
        self._number += 1
        directory = self._directory / str(self._number)
        directory.mkdir()
        lab = FaultLab(directory, self._capsys)
        try:
            yield lab, row.arrange(lab)
        finally:
            lab.server.stop(grace=0)

    def usual(self, row: Row) -> Usual:
        name = row.arrange.__name__
        if name not in self._known:
            with self.one(row) as (lab, options):
                before = len(lab.calls())
                result = row.run(lab, options)
                calls = Counter(lab.calls()[before:])
                self._known[name] = Usual(row.told(lab, result), calls, row.look(lab))
        return self._known[name]


@pytest.fixture(scope="session")
def known() -> dict[str, Usual]:
    return {}


@pytest.fixture
def labs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    known: dict[str, Usual],
) -> Labs:
    monkeypatch.setattr(_connection, "_PAUSE_SECONDS", 0.001)
    return Labs(tmp_path, capsys, known)


def order(lab: FaultLab, method: str, number: int = 1, **fault: Any) -> None:
    """A fault of the call number `number` of the method, and of those after it unless `times` is given."""
    if number > 1:
        lab.server.faults.add({"method": method, "times": number - 1})
    lab.server.faults.add({"method": method, "text": WHY, **fault})


@pytest.mark.parametrize("module", sorted({row.module for row in ROWS.values()}))
def test_the_table_has_each_call_of(labs: Labs, module: str) -> None:
    rows = [row for row in ROWS.values() if row.module == module]
    sent = {method for row in rows for method in labs.usual(row).calls}
    assert sent - set(EVERY_RUN) == {method for row in rows for method in row.calls} - set(EVERY_RUN)


@EACH
def test_an_undisturbed_run(labs: Labs, row: Row) -> None:
    usual = labs.usual(row)
    assert set(row.calls) <= set(usual.calls)
    assert bool(usual.result.get("failed")) == row.fails, usual.result


@EACH_CALL
def test_a_call_that_is_refused_once(labs: Labs, row: Row, method: str) -> None:
    fails_once(labs, row, method, code="UNAVAILABLE")


@EACH_WRITE
def test_a_call_whose_answer_is_lost(labs: Labs, row: Row, method: str) -> None:
    fails_once(labs, row, method, lose_answer=True)


def fails_once(labs: Labs, row: Row, method: str, **fault: Any) -> None:
    """The last call of the method in the run."""
    usual = labs.usual(row)
    with labs.one(row) as (lab, options):
        order(lab, method, usual.calls[method], times=1, **fault)
        result = row.run(lab, options)
        assert not lab.server.faults.list()
        if method in row.unsafe:
            assert result["failed"]
            assert WHY in result["msg"]
        else:
            assert row.told(lab, result) == usual.result
            assert row.look(lab) == usual.left


@pytest.mark.slow
@EACH_CALL
def test_a_call_that_always_fails(labs: Labs, row: Row, method: str) -> None:
    usual = labs.usual(row)
    with labs.one(row) as (lab, options):
        before = row.look(lab) if row.atomic else None
        order(lab, method, code="UNAVAILABLE")
        started = time.monotonic()
        result = row.run(lab, options, timeout=TIMEOUT)
        assert time.monotonic() - started < TIMEOUT + SLACK
        lab.server.faults.clear()
        if method in row.unneeded:
            assert result.get("failed") == usual.result.get("failed")
        else:
            assert result["failed"]
            assert WHY in result["msg"]
        assert not row.atomic or row.look(lab) == before
        goes_on(row, lab, options, usual)


@pytest.mark.slow
@EACH_STREAM
@pytest.mark.parametrize("times", [1, None])
def test_a_stream_that_is_cut(labs: Labs, row: Row, method: str, times: int | None) -> None:
    usual = labs.usual(row)
    streams = METHODS[method].request_streams
    with labs.one(row) as (lab, options):
        before = row.look(lab) if row.atomic else None
        order(
            lab,
            method,
            usual.calls[method] if times else 1,
            **({"after_bytes": 700} if streams else {"after_messages": 0}),
            **({"times": times} if times else {}),
        )
        result = row.run(lab, options, timeout=TIMEOUT)
        lab.server.faults.clear()
        if times:
            assert row.told(lab, result) == usual.result
        elif method not in row.unneeded:
            assert result["failed"]
            assert WHY in result["msg"]
            assert not row.atomic or row.look(lab) == before
        goes_on(row, lab, options, usual)


@pytest.mark.slow
@EACH_CALL
def test_pachd_that_is_killed_before_a_call(
    labs: Labs, row: Row, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = labs.usual(row)
    with labs.one(row) as (lab, options):
        with monkeypatch.context() as killing:
            kill_before(killing, lab, method, usual.calls[method])
            result = row.run(lab, options, timeout=TIMEOUT)
        if method not in row.unneeded:
            assert result["failed"]
            assert lab.address in result["msg"]
        lab.restart()
        goes_on(row, lab, options, usual)


def goes_on(row: Row, lab: FaultLab, options: dict[str, Any], usual: Usual) -> None:
    """The next run does what is left."""
    result = row.run(lab, options)
    assert result.get("failed") == usual.result.get("failed"), result
    assert row.once_more or row.look(lab) == usual.left
