# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia_docker on each platform: what a node with a driver is asked to do, against cases_docker.py."""

from __future__ import annotations

import pytest

from .cases_docker import CHECKED, ROWS, Row
from .conftest import Rendering
from .harness import Rendered
from .tables import bare, held_by_dpkg, installed, predicted, repositories, versions


def archives(row: Row, done: Rendered) -> list[str]:
    if row.dnf:
        return [str(found["baseurl"]) for found in repositories(done)]
    lines = [line for text in done.written for line in text.splitlines()]
    return [line.removeprefix("URIs: ") for line in lines if line.startswith("URIs: ")]


@pytest.mark.parametrize("name", ROWS)
def test_a_node_gets_repository_packages_and_a_runtime(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("docker")[name]
    assert done.failure == ""
    assert installed(done) == set(row.packages)
    assert set(versions(done).values()) == ({row.pin} if row.pin else set())
    assert archives(row, done) == ([row.url] if row.url else [])
    assert [call.args["url"] for call in done.of("get_url")] == ([row.key] if row.key else [])
    assert [call.args["runtime"] for call in done.of("nvidia_container_runtime")] == [
        engine for engine in row.engines if engine in ("docker", "containerd", "crio")
    ]
    moved = [
        f"{call.args['name'].removesuffix('.service')} {call.args['state']}"
        for call in done.of("systemd_service")
        if call.args.get("state") in ("restarted", "reloaded")
    ]
    assert moved == row.services


@pytest.mark.parametrize("name", ROWS)
def test_a_key_that_only_this_repository_names_is_trusted(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("docker")[name]
    if not row.key:
        assert done.of("get_url", "rpm_key", "apt_key") == []
        return
    (fetched,) = done.of("get_url")
    if row.dnf:
        (entry,) = repositories(done)
        assert entry["gpgkey"] == f"file://{fetched.args['dest']}"
        (call,) = done.of("yum_repository")
        # [guide]: the metadata is signed, the packages are not.
        assert (call.args["repo_gpgcheck"], call.args["gpgcheck"]) == (True, False)
    else:
        assert f"Signed-By: {fetched.args['dest']}" in "\n".join(done.written).splitlines()
        assert not fetched.args["dest"].startswith("/etc/apt/trusted")
    assert done.of("rpm_key", "apt_key") == []


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_predicts_the_same_and_changes_nothing(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("docker in check mode")[name]
    assert done.failure == ""
    assert {bare(package) for package in predicted(done)} == set(row.packages)
    assert archives(row, done) == [row.url]
    assert all(call.check for call in done.writes())


@pytest.mark.parametrize("name", ROWS)
def test_the_packages_of_the_toolkit_are_held(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("docker")[name]
    if not row.dnf:
        assert held_by_dpkg(done) == set(row.packages)
    elif row.url:
        (call,) = done.of("yum_repository")
        assert call.args["exclude"] == ["*nvidia-container*", "nvidia-docker2"]
