# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a machine that does not let datums be isolated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import refusal

REFUSED = "unshare of user, mount and pid namespaces: Operation not permitted"
MOUNTS = "22 27 0:21 / /proc rw - proc proc rw\n"
OWN_ROOT = MOUNTS + "27 1 254:0 / / rw - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"proc/sys/user/max_user_namespaces": "0\n"}, "sysctl user.max_user_namespaces is 0: allow some"),
        (
            {"proc/sys/kernel/unprivileged_userns_clone": "0\n"},
            "sysctl kernel.unprivileged_userns_clone is 0: set it to 1",
        ),
        (
            {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
            "sysctl kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0",
        ),
        ({"proc/self/mountinfo": MOUNTS}, "the server runs in a chroot"),
        ({"proc/self/mountinfo": OWN_ROOT, ".dockerenv": ""}, "the server runs in a container"),
        ({"run/.containerenv": ""}, "the server runs in a container"),
        ({"proc/self/status": "Name:\tx\nSeccomp:\t2\n"}, "the server runs in a container"),
        (
            {"proc/sys/user/max_user_namespaces": "9\n", "proc/self/mountinfo": OWN_ROOT},
            "the kernel, a chroot or a security module forbids",
        ),
    ],
)
def test_the_cause_and_the_way_out_are_in_one_line(tmp_path: Path, files: Any, cause: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    text = refusal.explain(REFUSED, tmp_path)
    assert text.startswith(f"this machine does not let pipelines run isolated: {REFUSED} ({cause}")
    assert "or run with --private-pfs" in text
    assert "\n" not in text
