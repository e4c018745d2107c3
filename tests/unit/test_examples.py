# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples' programs, run as a pipeline runs them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GPU = EXAMPLES / "gpu/docker/code/gpu.py"
EXPORT = EXAMPLES / "datasets/export.py"
TRAIN = EXAMPLES / "datasets/docker/code/train.py"
LEADERBOARD = EXAMPLES / "datasets/docker/code/leaderboard.py"


def run(program: Path, *arguments: object, python: str = sys.executable, **variables: str) -> str:
    """The program's standard output; it must succeed."""
    done = attempt(program, *arguments, python=python, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


def attempt(
    program: Path, *arguments: object, python: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [python, str(program), *map(str, arguments)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def fake_nvidia_smi(directory: Path, script: str) -> str:
    """A PATH whose first nvidia-smi is this shell script."""
    program = directory / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("visible", "count", "text"),
    [
        ("simulated-0", 1, "/device:GPU:0  simulated GPU"),
        ("simulated-1", 1, "/device:GPU:0  simulated GPU"),
        ("simulated-1,simulated-0", 2, "/device:GPU:1  simulated GPU"),
        ("GPU-4f6e,GPU-9a2c", 2, "/device:GPU:1  GPU without a driver's tools"),
        ("void", 0, ""),
        ("", 0, ""),
        ("none", 0, ""),
    ],
)
def test_gpu_prints_the_devices_of_the_environment(visible: str, count: int, text: str) -> None:
    output = run(GPU, NVIDIA_VISIBLE_DEVICES=visible, PATH="/nothing")
    assert f"GPU devices: {count}\n" in output
    assert text in output
    assert "CPU devices: 1\n" in output
    # What may differ from worker to worker is not in the output of a pipeline.
    assert not visible or visible not in output


def test_gpu_prints_what_the_driver_lists(tmp_path: Path) -> None:
    path = fake_nvidia_smi(tmp_path, "echo 'Tesla V100'; echo 'Tesla V100'")
    output = run(GPU, PATH=path, NVIDIA_VISIBLE_DEVICES="all")
    assert "nvidia-smi" in output
    assert "GPU devices: 2\n  /device:GPU:0  Tesla V100\n  /device:GPU:1  Tesla V100\n" in output


def test_gpu_goes_on_when_the_driver_does_not_answer(tmp_path: Path) -> None:
    path = fake_nvidia_smi(tmp_path, "echo 'no driver' >&2; exit 9")
    assert "GPU devices: 1\n" in run(GPU, PATH=path, NVIDIA_VISIBLE_DEVICES="GPU-4f6e")


def test_gpu_names_simulated_devices_where_there_are_real_ones(tmp_path: Path) -> None:
    path = fake_nvidia_smi(tmp_path, "echo 'Tesla V100'")
    output = run(GPU, PATH=path, NVIDIA_VISIBLE_DEVICES="simulated-0")
    assert "simulated GPU" in output
    assert "Tesla" not in output


def test_gpu_is_written_for_python_2_as_well() -> None:
    """The tutorial's image has Python 2.7, this machine has not."""
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.AsyncFunctionDef, ast.Starred)
    for node in ast.walk(ast.parse(GPU.read_text())):
        assert not isinstance(node, newer), ast.unparse(node)
        assert getattr(node, "annotation", None) is None
        assert getattr(node, "returns", None) is None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert len(node.args) == 1, "Python 2 would print a tuple"
            assert not node.keywords


def test_export_writes_the_same_bytes_and_leaves_them_alone(tmp_path: Path) -> None:
    assert run(EXPORT, tmp_path, "iris", "diabetes") == "iris.csv: 150 samples\ndiabetes.csv: 442 samples\n"
    iris = tmp_path / "iris.csv"
    assert iris.read_text().splitlines()[0].endswith(",class")
    assert (tmp_path / "diabetes.csv").read_text().splitlines()[0].endswith(",target")
    before = (iris.read_bytes(), iris.stat().st_mtime_ns)
    assert run(EXPORT, tmp_path, "iris") == "iris.csv: 150 samples, as it was\n"
    assert (iris.read_bytes(), iris.stat().st_mtime_ns) == before


def test_export_names_what_it_does_not_know(tmp_path: Path) -> None:
    done = attempt(EXPORT, tmp_path / "out", "irish")
    assert done.returncode != 0
    assert "no such data set: irish; there are breast_cancer, diabetes, digits, iris, wine" in done.stderr
    assert not (tmp_path / "out").exists()


def test_training_and_leaderboard_give_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("data", "one", "two", "board one", "board two"):
        (tmp_path / name).mkdir()
    run(EXPORT, tmp_path / "data", "iris", "diabetes")
    for scores, board in (("one", "board one"), ("two", "board two")):
        run(
            TRAIN,
            tmp_path / "data",
            tmp_path / scores,
            NVIDIA_VISIBLE_DEVICES="simulated-0",
            OMP_NUM_THREADS="1",
        )
        run(LEADERBOARD, tmp_path / scores, tmp_path / board, MPLCONFIGDIR=str(tmp_path / "fonts"))
    iris = json.loads((tmp_path / "one/iris.json").read_text())
    assert (iris["metric"], iris["samples"], iris["gpus"]) == ("accuracy", 150, 1)
    assert iris["results"][0]["mean"] > 0.9
    assert json.loads((tmp_path / "one/diabetes.json").read_text())["metric"] == "R2"
    for first, second in (("one", "two"), ("board one", "board two")):
        names = os.listdir(tmp_path / first)
        assert len(names) == 2
        for name in names:
            assert (tmp_path / first / name).read_bytes() == (tmp_path / second / name).read_bytes()
    lines = (tmp_path / "board one/leaderboard.md").read_text().splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 78 for line in lines)
    assert (tmp_path / "board one/leaderboard.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("program", "content", "message"),
    [
        (TRAIN, None, "no .csv file in"),
        (TRAIN, "a,b\n1,2\n", "data.csv: the last column is 'b'; name it 'class' or 'target'"),
        (LEADERBOARD, None, "no .json file in"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, program: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "data.csv").write_text(content)
    done = attempt(program, tmp_path, tmp_path, MPLCONFIGDIR=str(tmp_path / "fonts"))
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
