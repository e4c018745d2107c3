# SPDX-License-Identifier: GPL-3.0-or-later
"""What the users of a node have after playbooks/nodes.yml."""

from __future__ import annotations

import pytest
from testinfra.host import Host

RUN = "docker run --rm --network=none --runtime=nvidia --env NVIDIA_DRIVER_CAPABILITIES=utility"
IMAGE = "localhost/testlab:1"


@pytest.fixture(scope="module")
def gpus(host: Host) -> int:
    return {"gpu1": 2, "gpu2": 1}[host.check_output("hostname")]


def test_the_driver_is_loaded_and_of_the_library_s_version(host: Host) -> None:
    assert "  535.230.02  " in host.file("/proc/driver/nvidia/version").content_string
    assert host.check_output("readlink -f /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").endswith(
        ".so.535.230.02"
    )


def test_nvidia_smi_lists_the_gpus(host: Host, gpus: int) -> None:
    assert len(host.check_output("nvidia-smi --list-gpus").splitlines()) == gpus


def test_a_container_gets_all_gpus(host: Host, gpus: int) -> None:
    seen = host.check_output(f"{RUN} --env NVIDIA_VISIBLE_DEVICES=all {IMAGE} nvidia-smi -L")
    assert len(seen.splitlines()) == gpus


def test_a_container_gets_the_gpu_that_it_asks_for(host: Host) -> None:
    seen = host.check_output(f"{RUN} --env NVIDIA_VISIBLE_DEVICES=0 {IMAGE} ls /dev").split()
    assert "nvidia0" in seen
    assert "nvidia1" not in seen


def test_a_container_that_asks_for_none_gets_none(host: Host) -> None:
    seen = host.check_output(f"docker run --rm --network=none {IMAGE} ls /dev").split()
    assert not [name for name in seen if name.startswith("nvidia")]
