# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left when the driver is removed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host


def test_no_package_of_the_driver_is_left(host: Host) -> None:
    packages = host.check_output("dpkg-query -W -f '${Package}\\n'").split()
    # The builder of modules is not the driver's own.
    assert "dkms" in packages
    left = [name for name in packages if "nvidia" in name or name.startswith("libcuda")]
    assert left == []
    assert host.check_output("apt-mark showhold") == ""


def test_no_module_is_left(host: Host) -> None:
    assert host.check_output("find /lib/modules -name 'nvidia*' -path '*updates*'") == ""
    assert "nvidia" not in host.check_output("dkms status")


def test_no_file_of_the_role_is_left(host: Host) -> None:
    assert host.check_output("find /etc -name '*gpulab*'") == ""


def test_again_changes_nothing(play: Callable[..., Any]) -> None:
    assert play("absent.yml").changed == {"debian": 0}
