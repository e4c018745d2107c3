# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the container worker: looked for, pulled, waited for, and which names are one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import images
from pachd_embedded.workers.engine import Engine
from pachd_embedded.workers.images import Images
from tests.contract.lab import poll
from tests.embedded.workers.pretended import Pretended


@pytest.fixture
def kept(docker: Pretended) -> Images:
    return Images(Engine(str(docker.program)))


def test_an_image_is_not_ready_before_it_was_looked_for(
    kept: Images, docker: Pretended, tmp_path: Path
) -> None:
    docker.says(f"until [ -e '{tmp_path}/go' ]; do sleep 0.01; done")
    assert not kept.state("there").ready
    (tmp_path / "go").touch()
    poll(lambda: kept.state("there").ready)


def test_the_engines_reason_is_told_as_kubernetes_does(kept: Images) -> None:
    poll(lambda: kept.state("nosuch:1").reason)
    assert kept.state("nosuch:1").reason == (
        'Back-off pulling image "nosuch:1": ErrImagePull: registry: connection refused'
    )


def test_a_pull_is_not_repeated_at_once(
    kept: Images, docker: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LOOK_SECONDS", 0.0)
    poll(lambda: kept.state("nosuch:1").reason)
    poll(lambda: kept.state("nosuch:1") and len(docker.calls("image")) > 4)
    assert len(docker.calls("pull")) == 1


def test_a_pull_is_repeated_after_a_pause(
    kept: Images, docker: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(images, "FIRST_PAUSE", 0.01)
    poll(lambda: kept.state("nosuch:1") and len(docker.calls("pull")) > 2)


def test_who_waits_for_an_image_is_told(kept: Images) -> None:
    told = threading.Event()
    kept.changed = told.set
    kept.state("nosuch:1")
    assert told.wait(30)


def test_a_pull_ends_with_the_server(kept: Images, docker: Pretended, running: Any) -> None:
    docker.says("[ $1 != pull ] || exec sleep 98765.4321")
    kept.state("nosuch:1")
    poll(lambda: running("98765.4321"))
    kept.stop()
    poll(lambda: not running("98765.4321"))


@pytest.mark.parametrize(
    "name",
    [
        *("ubuntu", "ubuntu:20.04", "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04", "localhost:5000/a/b_c:x"),
        f"a@sha256:{'0' * 64}",
    ],
)
def test_names_of_images(kept: Images, name: str) -> None:
    assert "invalid" not in kept.state(name).reason


@pytest.mark.parametrize(
    "name", ["", "-a", "--privileged", "dir:/etc", "A", "a b", "a:", "../a", "a\n", "oci:/x"]
)
def test_what_names_no_image(kept: Images, docker: Pretended, name: str) -> None:
    assert kept.state(name).reason == f'couldn\'t parse image name "{name}": invalid reference format'
    assert docker.calls("image") == docker.calls("pull") == []
