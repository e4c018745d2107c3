# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of container engines: runtimes of their TOML, a Docker behind its file, CDI specifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_info import (
    config_error,
    gather,
    is_stale,
    runtimes_of_toml,
    specification,
)

NVIDIA = "/usr/bin/nvidia-container-runtime"
# `containerd config dump` of 1.7, of 2.x, what k3s writes, and `crio config`; only the lines that count.
CONTAINERD = """
[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "runc"
      [plugins."io.containerd.grpc.v1.cri".containerd.default_runtime]
        [plugins."io.containerd.grpc.v1.cri".containerd.default_runtime.options]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
          runtime_type = "io.containerd.runc.v2"
          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
            BinaryName = "/usr/bin/nvidia-container-runtime"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            BinaryName = ""
"""
VERSION_3 = CONTAINERD.replace('"io.containerd.grpc.v1.cri"', "'io.containerd.cri.v1.runtime'")
K3S = CONTAINERD.replace("runtimes.nvidia", 'runtimes."nvidia"').replace("runtimes.runc", 'runtimes."runc"')
CRIO = """
[crio.runtime]
default_runtime = "runc"
[crio.runtime.runtimes.runc]
runtime_path = ""
[crio.runtime.runtimes.nvidia]
runtime_path = "/usr/bin/nvidia-container-runtime"
"""


@pytest.mark.parametrize("text", [CONTAINERD, VERSION_3, K3S, CRIO], ids=["1.7", "2.x", "k3s", "crio"])
def test_runtimes_are_read_of_what_each_engine_writes(text: str) -> None:
    assert runtimes_of_toml(text) == {"runtimes": {"nvidia": NVIDIA, "runc": None}, "default_runtime": "runc"}


def answer(
    default: str = "runc", path: str | None = NVIDIA, version: str = "26.1.5", **more: Any
) -> dict[str, Any]:
    runtimes = {"runc": {"path": "runc"}, **({"nvidia": {"path": path}} if path else {})}
    return {"Runtimes": runtimes, "DefaultRuntime": default, "ServerVersion": version, **more}


KNOWN = {"runtimes": {"nvidia": {"path": NVIDIA}}}
CDI = {**KNOWN, "features": {"cdi": True}}


@pytest.mark.parametrize(
    ("info", "wanted", "stale"),
    [
        (answer(), KNOWN, False),
        (answer(path=None), KNOWN, True),
        (answer(path="nvidia-container-runtime"), KNOWN, True),
        (answer(), {}, True),
        (answer(path=None), {}, False),
        (answer(), {**KNOWN, "default-runtime": "nvidia"}, True),
        (answer("nvidia"), {**KNOWN, "default-runtime": "nvidia"}, False),
        (answer("nvidia"), KNOWN, True),
        (answer("crun"), KNOWN, False),
        (answer(), CDI, True),
        (answer(CDISpecDirs=["/etc/cdi"]), CDI, False),
        (answer(version="20.10.24+dfsg1"), CDI, False),
    ],
)
def test_docker_is_stale_where_it_differs_from_its_file(
    info: dict[str, Any], wanted: dict[str, Any], stale: bool
) -> None:
    assert is_stale(info, json.dumps(wanted)) is stale


def test_docker_without_a_file_or_with_a_broken_one_is_not_stale() -> None:
    assert not is_stale(answer(path=None), None)
    assert not is_stale(answer(), "{")


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"runtimes": []}', '{"runtimes": {"nvidia": 1}}', '{"features": 1}']
)
def test_a_file_of_another_shape_is_a_broken_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "daemon.json").write_text(text)
    assert config_error(str(tmp_path / "daemon.json"))
    assert not is_stale(answer(), text)


@pytest.mark.parametrize(
    "text", ["", " \n", "\ufeff{}", '{"runtimes": null}', '{"runtimes": {"nvidia": null}}']
)
def test_a_file_that_says_nothing_of_it_is_like_none(text: str) -> None:
    assert is_stale(answer(), text)
    assert not is_stale(answer(path=None), text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"debug": true}', None),
        ("", None),
        ('{"debug": true\n"hosts": []}', "line 2, column 1: not valid JSON"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_file_that_docker_would_not_start_with_is_named(
    text: str, error: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    found = config_error(str(path))
    assert (found is None) == (error is None)
    assert error is None or (found or "").startswith(f"{path}: {error}")


def test_a_missing_file_is_no_error(tmp_path: Path) -> None:
    assert config_error(str(tmp_path / "daemon.json")) is None


def test_a_specification_tells_its_driver_and_devices(tmp_path: Path) -> None:
    spec = tmp_path / "nvidia.yaml"
    spec.write_text(
        'kind: nvidia.com/gpu\ndevices:\n    - name: "0"\n    - name: GPU-1\n    - name: all\n'
        "containerEdits:\n    mounts:\n        - hostPath: /usr/lib/libcuda.so.550.163.01\n"
    )
    assert specification(str(spec)) == {"driver_version": "550.163.01", "devices": ["0", "GPU-1", "all"]}
    assert specification(str(tmp_path / "none.yaml")) is None


def test_markers_and_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "docker.restart").touch()
    (tmp_path / "key-1.asc").touch()
    found = gather([], [], [f"{tmp_path}/key-*", f"{tmp_path}/none"], str(tmp_path))
    assert found["pending"] == ["docker"]
    assert found["files"] == [f"{tmp_path}/key-1.asc"]
