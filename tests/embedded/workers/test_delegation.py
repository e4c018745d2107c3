# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group (version 2) of the server's own, on the kernel's real tree, as systemd would delegate one.

Which controllers are in that tree is the machine's matter, and does not matter here: all obey the same rules.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pachd_embedded.workers import cgroups

# Enters the group that its argument names, finds what can be made there, and has a child enter such a group.
PROGRAM = """
import json, os, sys
from pachd_embedded.workers import cgroups
from pachd_embedded.workers.limits import Limits
own, controllers = sys.argv[1], sys.argv[2].split()
with open(own + "/cgroup.procs", "w") as file:
    file.write("0")
cgroups.CONTROLLERS = tuple(controllers)
where = lambda pid: next(l[3:] for l in open(f"/proc/{pid}/cgroup").read().split() if l.startswith("0::"))
groups = cgroups.find("mark")
again = cgroups.find("mark")
with groups.group(1, Limits()) as group, group.entrances() as entrances:
    alive, told = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        for fd in entrances:
            os.write(fd, b"0")
        os.write(told[1], b".")
        os.read(alive[0], 1)
        os._exit(0)
    os.read(told[0], 1)
    answer = {"version": groups.version, "same": groups == again}
    answer |= {"server": where("self"), "child": where(child)}
    os.write(alive[1], b".")
    os.waitpid(child, 0)
answer["left"] = [entry for entry in os.listdir(own) if entry.startswith("pachd-embedded-mark")]
print(json.dumps(answer))
"""


@pytest.fixture
def own() -> Iterator[Path]:
    """A group at the top of the tree, of this test's own."""
    mounts = cgroups._mounts(Path("/"))
    top, _ = mounts.get("cgroup2", (Path("/nowhere"), "/"))
    if not os.access(top, os.W_OK):
        pytest.skip("needs root, and a machine that has control groups of version 2")
    if not (top / "cgroup.controllers").read_text().split():
        pytest.skip("no controller is in the tree of version 2")
    group = top / f"pachd-embedded-test-{os.getpid()}"
    group.mkdir()
    yield group
    for directory in sorted(group.glob("*/"), reverse=True):
        directory.rmdir()
    group.rmdir()


def test_a_delegated_group_is_split_between_the_server_and_its_datums(own: Path) -> None:
    enabled = (own / "cgroup.controllers").read_text().split()
    controllers = (own.parent / "cgroup.controllers").read_text().split()[:1]
    if controllers[0] not in enabled:
        (own.parent / "cgroup.subtree_control").write_text(f"+{controllers[0]}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(own), " ".join(controllers)],
        env=os.environ | {"PYTHONPATH": str(Path(cgroups.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer == {
        "version": 2,
        "same": True,
        "server": f"/{own.name}/pachd-embedded-server",
        "child": f"/{own.name}/pachd-embedded-mark-1",
        "left": [],
    }
    assert (own / "cgroup.subtree_control").read_text().split() == controllers
