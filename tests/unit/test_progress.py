# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for who watches long work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _progress
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, to be set."""
    now = [1000.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def test_one_line_every_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("GPULAB_PROGRESS", str(told))
    progress = _progress.Progress("upload", 100, "bytes")
    progress.add(10)
    assert not told.exists()
    for clock[0] in (1002.0, 1002.5, 1003.9, 1004.1):
        progress.add(10)
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [line.pop("time") > 0 for line in lines] == [True, True]
    assert [line.pop("pid") for line in lines] == [os.getpid()] * 2
    assert lines == [
        {"what": "upload", "done": 20, "total": 100, "unit": "bytes"},
        {"what": "upload", "done": 50, "total": 100, "unit": "bytes"},
    ]


def test_a_look_is_taken_only_when_a_line_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("GPULAB_PROGRESS", str(told))
    progress = _progress.Progress("pod x")
    looks = iter(["Pending", "Running"])
    for clock[0] in (1001.0, 1002.0, 1003.0, 1004.0):
        progress.tell(lambda: {"note": next(looks)})
    assert [json.loads(line)["note"] for line in told.read_text().splitlines()] == ["Pending", "Running"]


def test_a_look_in_vain_is_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    def away() -> dict[str, str]:
        raise PachydermError("the server is away")

    monkeypatch.setenv("GPULAB_PROGRESS", str(tmp_path / "told"))
    progress = _progress.Progress("pod x")
    clock[0] += 3
    progress.tell(away)
    assert not (tmp_path / "told").exists()


def test_nobody_who_listens_is_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", "no/such"):
        monkeypatch.setenv("GPULAB_PROGRESS", str(tmp_path / place))
        progress = _progress.Progress("upload", 1, "files")
        clock[0] += 3
        progress.add(1)
    monkeypatch.delenv("GPULAB_PROGRESS")
    _progress.Progress("upload", 1, "files").add(1)
