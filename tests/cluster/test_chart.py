# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart for tests has the traps of Pachyderm's chart, so that tests of the role meet them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_pins import PINS, recover
from tests.cluster.api import ROOT
from tests.cluster.clusters import Cluster

pytestmark = pytest.mark.slow

CHART = ROOT / "testlab/charts/pachyderm"


def render(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(helm), "template", "pachyderm", str(CHART), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def helm(cluster: Cluster) -> Path:
    return cluster.directory / "helm"


def test_it_says_that_it_is_a_fixture() -> None:
    assert "Test fixture" in (CHART / "Chart.yaml").read_text()


def test_without_a_target_it_refuses(helm: Path) -> None:
    assert "deployTarget must be set" in render(helm).stderr


@pytest.mark.parametrize(
    "name",
    [name for name in sorted(PINS) if name not in ("postgresql-password", "postgresql-postgres-password")],
)
def test_trap_what_is_not_pinned_is_rolled_anew(helm: Path, name: str) -> None:
    def rolled(*arguments: str) -> str:
        return recover({}, render(helm, "--set", "deployTarget=LOCAL", *arguments).stdout)[name]

    assert rolled() != rolled()
    value = "/x/" if name == "host-path" else "pinned"
    pinned = ("--set", f"{'.'.join(PINS[name].path)}={value}")
    assert rolled(*pinned) == rolled(*pinned) == value


def test_trap_two_upgrades_with_equal_values_differ(helm: Path) -> None:
    pins = [
        word
        for name, pin in PINS.items()
        for word in ("--set", f"{'.'.join(pin.path)}={'/x/' if name == 'host-path' else 'pinned'}")
    ]
    arguments = ("--set", "deployTarget=LOCAL", *pins)
    assert render(helm, *arguments).stdout == render(helm, *arguments).stdout
    one, other = (render(helm, *arguments, "--is-upgrade").stdout for _ in range(2))
    differing = [a for a, b in zip(one.splitlines(), other.splitlines(), strict=True) if a != b]
    assert len(differing) == 1
    assert "UPGRADE_NO_OP" in differing[0]
