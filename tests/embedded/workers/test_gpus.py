# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool that lends GPUs to datums."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import gpus
from pachd_embedded.workers.gpus import GpuPool
from tests.embedded.workers.programs import write_program

SOON = 8.0  # seconds
UUIDS = ["GPU-aaaa", "GPU-bbbb"]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program of this name first in PATH."""

    def make(script: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir()
        write_program(program, f"#!/bin/sh\n{script}\n")
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return make


def test_simulated_devices_are_lent_in_order() -> None:
    pool = GpuPool(3)
    assert pool.total == 3
    assert pool.take(2) == ("simulated-0", "simulated-1")
    assert pool.take(2) is None
    assert pool.take(1) == ("simulated-2",)
    pool.give_back(("simulated-1",))
    assert pool.take(1) == ("simulated-1",)
    assert pool.take(0) == ()


def test_real_devices_are_those_that_nvidia_smi_lists(nvidia_smi: Any) -> None:
    nvidia_smi('test "$1 $2" = "--query-gpu=uuid --format=csv,noheader" && printf "GPU-aaaa\\nGPU-bbbb\\n"')
    pool = GpuPool(None)
    assert pool.total == 2
    assert pool.take(2) == ("GPU-aaaa", "GPU-bbbb")


@pytest.mark.parametrize("script", ["echo 'NVIDIA-SMI has failed'; exit 9", "true"])
def test_a_driver_that_does_not_work_is_no_device(nvidia_smi: Any, script: str) -> None:
    nvidia_smi(script)
    assert GpuPool(None).total == 0


def test_no_nvidia_smi_is_no_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GpuPool(None).total == 0


@pytest.mark.parametrize("device", ["simulated-0", "simulated-7"])
def test_giving_back_what_is_not_lent_is_an_error(device: Any) -> None:
    pool = GpuPool(2)
    with pytest.raises(ValueError, match=f"GPU {device} is not lent out"):
        pool.give_back((device,))


def test_no_device_is_lent_twice() -> None:
    pool = GpuPool(3)
    lent: set[str] = set()

    def work(number: int) -> set[str]:
        ids = pool.take(number % 3 + 1) or ()
        twice = lent.intersection(ids)
        lent.update(ids)
        lent.difference_update(ids)
        pool.give_back(ids)
        return twice

    with ThreadPoolExecutor(12) as threads:
        assert not set().union(*threads.map(work, range(600), timeout=SOON))
    assert pool.take(3) is not None


# --- device files ---


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """/proc and /dev of a machine with two GPUs, the second of which has minor number 0."""
    dev = tmp_path / "dev"
    dev.mkdir()
    for name in ("null", "nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia-caps"):
        (dev / name).touch()
    for minor, (uuid, bus) in enumerate(zip(reversed(UUIDS), ("0000:02:00.0", "0000:01:00.0"), strict=True)):
        directory = tmp_path / "proc/driver/nvidia/gpus" / bus
        directory.mkdir(parents=True)
        (directory / "information").write_text(
            f"Model: \t\t NVIDIA X\nGPU UUID: \t {uuid}\nBus Location: \t {bus}\nDevice Minor: \t {minor}\n"
        )
    return tmp_path


def _names(nodes: list[str]) -> list[str]:
    return [node.rpartition("/")[2] for node in nodes]


def test_only_the_files_of_the_lent_device(machine: Path) -> None:
    nodes = gpus.device_nodes(["GPU-aaaa"], machine / "proc", machine / "dev")
    assert _names(nodes) == ["nvidiactl", "nvidia-uvm", "nvidia1"]


def test_a_device_of_unknown_number_gets_all_files(machine: Path) -> None:
    nodes = gpus.device_nodes(["GPU-cccc"], machine / "proc", machine / "dev")
    assert _names(nodes) == ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1"]


def test_simulated_devices_have_no_files(machine: Path) -> None:
    assert gpus.device_nodes(["simulated-0"], machine / "proc", machine / "dev") == []
    assert gpus.device_nodes([], machine / "proc", machine / "dev") == []
