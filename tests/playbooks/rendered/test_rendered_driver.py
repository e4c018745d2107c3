# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia_driver on each platform: what a bare node is asked to do, against the table in cases_driver.py."""

from __future__ import annotations

import pytest

from .cases_driver import CHECKED, ROWS, Row
from .conftest import Rendering
from .harness import Rendered
from .tables import (
    QUESTIONS,
    acts,
    bare,
    contents,
    held_by_dpkg,
    installed,
    predicted,
    removed,
    repositories,
    services,
    streams,
    versions,
)

# Ubuntu's packages with kernel modules, or that ask for one.
KERNEL = ("nvidia-dkms", "nvidia-headless-no-dkms", "linux-modules-nvidia")


def entries(row: Row, done: Rendered) -> list[str]:
    """The archives that the node got: their addresses (dnf), or the lines of their entries (apt), sorted."""
    if row.dnf:
        return [found["baseurl"] for found in repositories(done)]
    texts = [text for text in done.written if "URIs: " in text]
    return sorted(line for text in texts for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("name", ROWS)
def test_a_bare_node_gets_repository_packages_and_commands(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver")[name]
    assert done.failure == ""
    assert installed(done) == {bare(package) for package in row.packages}
    assert set(versions(done).values()) - {row.kernel} == ({row.pin} if row.pin else set())
    assert entries(row, done) == (list(row.repository) if row.dnf else sorted(row.repository))
    keys = [call.args["url"] for call in done.of("get_url")] + [
        found["gpgkey"] for found in repositories(done)[:1]
    ]
    assert keys == ([row.key] if row.key else [])
    assert streams(done) == ({row.stream} if row.stream else set())
    others = ("dnf -y versionlock", "dpkg --set-selections")
    assert [line for line in acts(done) if not line.startswith(others)] == [row.initramfs, "modprobe nvidia"]
    fabric = {"nvidia-fabricmanager"} if row.fabric_manager else set()
    assert services(done) == {"nvidia-persistenced"} | fabric


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_predicts_the_same_and_changes_nothing(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver in check mode")[name]
    assert done.failure == ""
    assert {bare(package) for package in predicted(done)} == {
        bare(package) for package in row.packages if package != "python3-dnf-plugin-versionlock"
    }
    assert entries(row, done) == (list(row.repository) if row.dnf else sorted(row.repository))
    assert all(call.check for call in done.writes() if not call.command.startswith(QUESTIONS))


@pytest.mark.parametrize("name", ROWS)
def test_the_packages_of_the_driver_are_held(name: str, rendering: Rendering) -> None:
    row, done = ROWS[name], rendering("driver")[name]
    held = held_by_dpkg(done)
    for line in done.commands:
        if line.startswith("dnf -y versionlock add "):
            held |= set(line.split()[4:])
    others = ("linux-headers", "kernel-devel", "python3-dnf-plugin")
    assert held == {package for package in row.packages if not package.startswith(others)}


@pytest.mark.parametrize("name", ROWS)
def test_nouveau_is_blocked(name: str, rendering: Rendering) -> None:
    texts = contents(rendering("driver")[name])
    (text,) = [text for path, text in texts.items() if path.startswith("/etc/modprobe.d/")]
    assert {"blacklist nouveau", "options nouveau modeset=0"} <= set(text.splitlines())


def test_parameters_that_are_not_in_effect_are_told_and_no_reason_to_reboot(rendering: Rendering) -> None:
    done = rendering("situations")["parameters written later"]
    assert "was written after the driver was loaded" in done.said
    assert done.facts["nvidia_driver_result"]["parameters_pending"] is True
    assert done.facts["nvidia_driver_result"]["reboot_needed"] is False
    assert done.of("shutdown") == []
    done = rendering("situations")["parameters"]
    assert "was written after" not in done.said
    assert done.facts["nvidia_driver_result"]["parameters_pending"] is False


def test_metapackages_keep_a_driver_while_its_flavour_changes(rendering: Rendering) -> None:
    done = rendering("situations")["another flavour"]
    assert done.failure == ""
    assert removed(done) == {"nvidia-kernel-dkms", "nvidia-kernel-support"}
    order = ["absent" if call.args.get("state") == "absent" else "present" for call in done.of("apt")]
    assert order == ["present", "absent"]


def test_modules_of_another_source_are_removed(rendering: Rendering) -> None:
    done = rendering("situations")["another source"]
    assert done.failure == ""
    assert removed(done) == {name for name in ROWS["ubuntu24 HGX"].packages if name.startswith(KERNEL)}
    assert "nvidia-dkms-580-open" in installed(done)


@pytest.mark.parametrize("name", ["apt at work", "apt at work, and a driver to install"])
def test_another_apt_is_waited_for_and_named(name: str, rendering: Rendering) -> None:
    assert "at work (process 4712 apt-get): waiting" in " ".join(rendering("situations")[name].said.split())


def test_apt_and_dnf_wait_as_long_as_a_module_takes_to_build(rendering: Rendering) -> None:
    for table in ("driver", "situations"):
        for name, done in rendering(table).items():
            if not name.startswith("docker: "):
                assert {call.args["lock_timeout"] for call in done.of("apt", "dnf")} <= {600}


def test_a_key_may_be_a_relative_path(rendering: Rendering) -> None:
    for name, path in (
        ("a key beside the playbook", "/etc/apt/keyrings/gpulab-nvidia-driver-main.asc"),
        ("a key beside the playbook, RHEL", "/etc/pki/rpm-gpg/RPM-GPG-KEY-gpulab-nvidia-driver"),
    ):
        done = rendering("situations")[name]
        assert path in contents(done)
        assert f"Signed-By: {path}" in "\n".join(done.written) or (
            repositories(done)[0]["gpgkey"] == f"file://{path}"
        )
        assert done.of("get_url") == []


def test_verify_after_absent_wants_no_driver(rendering: Rendering) -> None:
    assert rendering("situations")["verify after absent"].failure == ""
    failure = rendering("situations")["verify before absent"].failure
    assert "nvidia-smi" in failure
    assert "still installed, and nvidia_driver_state is absent" in failure
