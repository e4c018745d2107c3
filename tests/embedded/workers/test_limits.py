# SPDX-License-Identifier: GPL-3.0-or-later
"""resource_limits of the process worker: by control groups where this user may make some, else by process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pachd_embedded.workers import cgroups
from pachd_embedded.workers.limits import NO_LIMITS, Limits, limits_of, parse_bytes
from pachd_embedded.workers.process import ProcessWorker

MEBI = 1 << 20
# Tells the groups of this run from those of others.
MARK = f"of-a-test-{os.getpid()}"
NO_GROUPS = "this user may make no control group for it"


def touch(mebibytes: int) -> tuple[str, ...]:
    """A program that uses so much memory, and says so."""
    return (sys.executable, "-c", f"x = bytearray({mebibytes} << 20); print(len(x) >> 20)")


@pytest.fixture
def grouped(datums: Any, tmp_path: Path) -> Iterator[Any]:
    """Datums of a worker that was started, as root of a machine whose control groups can be had."""
    datums.worker = ProcessWorker({}, mark=f"{MARK}-{tmp_path.name}")
    datums.worker.start(lambda: None)
    if datums.worker.notes("", Limits(1, 1)):
        pytest.skip("this user may make no control groups")
    yield datums
    datums.worker.stop()


def groups_of(directory: Path) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"**/pachd-embedded-{MARK}-{directory.name}-*"))


# --- quantities ---


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("128974848", 128974848),
        ("129e6", 129000000),
        ("129M", 129000000),
        ("123Mi", 123 << 20),
        ("1.5Gi", 3 << 29),
        (".5k", 500),
        ("1500m", 2),  # a part of a byte is a byte
        ("2E", 2 * 10**18),
        ("2Ei", 2 << 60),
        ("1E3", 1000),
        ("-1", -1),
    ],
)
def test_quantities_are_those_of_kubernetes(text: str, number: float) -> None:
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "1Q", "1 Gi", "Gi", "1gi", "1KB", "1e", "0x10", "1\n"])
def test_what_is_no_quantity(text: str) -> None:
    assert parse_bytes(text) is None


@pytest.mark.parametrize(
    ("memory", "cpu", "limits"),
    [
        ("", 0.0, NO_LIMITS),
        ("64Mi", 0.5, Limits(64 * MEBI, 0.5)),
        ("1Q", -1.0, NO_LIMITS),
        ("0", 0.0, NO_LIMITS),
        ("-1Gi", 2.0, Limits(None, 2.0)),
    ],
)
def test_limits_of_a_spec(memory: str, cpu: float, limits: Limits) -> None:
    assert limits_of(SimpleNamespace(memory=memory, cpu=cpu)) == limits


# --- control groups ---


def test_memory_up_to_the_limit_is_there(grouped: Any) -> None:
    datum = grouped.run(*touch(32), limits=Limits(memory=128 * MEBI))
    assert (datum.error, datum.lines) == ("", ["32"])


def test_more_memory_than_the_limit_is_killed_and_said(grouped: Any) -> None:
    datum = grouped.run(*touch(128), limits=Limits(memory=64 * MEBI))
    assert (datum.error, datum.lines) == (
        "signal: killed",
        ["the kernel killed a process of the code: it needs more memory than resource_limits.memory"],
    )


def test_the_limit_is_one_of_all_processes_together(grouped: Any) -> None:
    each = " ".join([f"'{word}'" for word in touch(40)])
    datum = grouped.script(f"{each} & {each} & {each} & wait", limits=Limits(memory=64 * MEBI))
    assert datum.lines.count("40") < 3


def test_a_datum_that_needs_too_much_does_not_harm_another(grouped: Any) -> None:
    assert grouped.run(*touch(128), limits=Limits(memory=64 * MEBI)).error == "signal: killed"
    assert grouped.run(*touch(128)).error == ""
    assert grouped.run(*touch(32), limits=Limits(memory=64 * MEBI)).error == ""


def test_cpu_is_a_share_of_a_core(grouped: Any, tmp_path: Path) -> None:
    """Measured seconds would tell how busy this machine is."""
    seen: list[tuple[str, int]] = []

    def look(line: str) -> None:
        for group in groups_of(tmp_path):
            names = ("cpu.max", "cpu.cfs_quota_us")
            texts = [(group / name).read_text() for name in names if (group / name).exists()]
            members = (group / "cgroup.procs").read_text().split()
            seen.extend((text.split()[0], len(members)) for text in texts)

    assert grouped.script("echo; sleep 0.1", log=look, limits=Limits(cpu=0.2)).error == ""
    assert seen[0][0] == "20000"
    assert seen[0][1] >= 1


def test_groups_are_gone_with_their_datums(grouped: Any, tmp_path: Path) -> None:
    seen: list[Path] = []
    grouped.script(
        "echo; sleep 0.1", log=lambda _: seen.extend(groups_of(tmp_path)), limits=Limits(64 * MEBI, 1)
    )
    assert seen
    assert groups_of(tmp_path) == []


def test_groups_of_a_killed_server_are_removed_by_the_next(grouped: Any, tmp_path: Path) -> None:
    groups = cgroups.find("x")
    assert groups is not None
    for parent in set(groups.parents.values()):
        (parent / f"pachd-embedded-{MARK}-{tmp_path.name}-7").mkdir()
    assert groups_of(tmp_path)
    ProcessWorker({}, mark=f"{MARK}-{tmp_path.name}").start(lambda: None)
    assert groups_of(tmp_path) == []


def test_code_cannot_leave_its_group(grouped: Any) -> None:
    """It would write itself into the group above."""
    script = "for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do echo 0 > $f; done; true"
    datum = grouped.script(script, *[" ".join(f"'{word}'" for word in touch(128))], limits=Limits(64 * MEBI))
    assert datum.error.startswith(("signal: killed", "exit status 137"))


def test_without_a_limit_there_is_no_group(grouped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups.Groups, "group", None)
    assert grouped.run("true").error == ""


def test_a_limit_that_the_kernel_does_not_take_is_the_error(
    grouped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups.Groups, "_settings", lambda *_: [("memory.none", "1")])
    assert grouped.run("true", limits=Limits(memory=MEBI)).error.startswith("cannot limit the user code: ")


# --- which groups can be had ---


class Tree:
    """Files as the kernel shows them, without a kernel behind them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files(
            {
                "proc/self/mountinfo": "30 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                "proc/self/cgroup": "0::/user.slice/app.scope\n",
                "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
                "sys/fs/cgroup/cgroup.subtree_control": "cpu memory pids",
                "sys/fs/cgroup/cgroup.procs": "1\n",
            }
        )

    def files(self, files: dict[str, str]) -> None:
        for name, content in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(content)

    def own(self, processes: str, controllers: str = "cpu memory", enabled: str = "") -> Path:
        place = "sys/fs/cgroup/user.slice/app.scope"
        self.files(
            {
                f"{place}/cgroup.type": "domain",
                f"{place}/cgroup.controllers": controllers,
                f"{place}/cgroup.subtree_control": enabled,
                f"{place}/cgroup.procs": processes,
            }
        )
        return self.root / place

    def find(self) -> cgroups.Groups:
        groups = cgroups.find("mark", self.root)
        assert groups is not None
        return groups


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_group_of_its_own_is_split_and_the_server_moves_aside(tree: Tree) -> None:
    own = tree.own(f"{os.getpid()}\n")
    groups = tree.find()
    assert groups == cgroups.Groups({"memory": own, "cpu": own}, 2, "mark")
    assert (own / "pachd-embedded-server/cgroup.procs").read_text() == "0"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +cpu"


def test_a_group_with_others_in_it_is_left_alone(tree: Tree) -> None:
    own = tree.own(f"{os.getpid()}\n4711\n")
    groups = tree.find()
    assert groups.parents["memory"] == tree.root / "sys/fs/cgroup"
    assert sorted(entry.name for entry in own.iterdir()) == [
        "cgroup.controllers",
        "cgroup.procs",
        "cgroup.subtree_control",
        "cgroup.type",
    ]


def test_a_server_that_moved_before_does_not_move_again(tree: Tree) -> None:
    own = tree.own("", enabled="cpu memory")
    tree.files({"proc/self/cgroup": "0::/user.slice/app.scope/pachd-embedded-server\n"})
    assert tree.find().parents["cpu"] == own


def test_controllers_that_are_not_delegated_are_not_counted_on(tree: Tree) -> None:
    tree.own(f"{os.getpid()}\n", controllers="memory pids")
    assert set(tree.find().parents) == {"memory"}


def test_a_container_that_shows_a_part_of_the_tree(tree: Tree) -> None:
    tree.files(
        {
            "proc/self/mountinfo": "30 1 0:2 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "proc/self/cgroup": "0::/docker/x\n",
        }
    )
    assert tree.find().parents["memory"] == tree.root / "sys/fs/cgroup"


def test_version_2_gives_its_limits_to_the_kernel(tree: Tree) -> None:
    groups = tree.find()
    with groups.group(1, Limits(64 * MEBI, 0.5)) as group:
        (directory,) = group.directories
        written = {file.name: file.read_text() for file in directory.iterdir()}
    assert written == {"memory.max": "67108864", "cpu.max": "50000 100000"}


@pytest.mark.parametrize(("events", "short"), [("oom 1\noom_kill 1\n", True), ("oom 0\noom_kill 0\n", False)])
def test_version_2_tells_who_was_killed(tmp_path: Path, events: str, short: bool) -> None:
    (tmp_path / "memory.events").write_text(events)
    assert cgroups.Group((tmp_path,), 2).was_short_of_memory() == short


def test_a_machine_without_groups(tmp_path: Path) -> None:
    assert cgroups.find("mark", tmp_path) is None


# --- without them ---


def test_without_groups_each_process_is_limited_and_that_is_said(datums: Any) -> None:
    limits = Limits(memory=64 * MEBI, cpu=0.5)
    assert datums.worker.notes("", limits) == [
        f"resource_limits.memory holds for each process, not for the datum: {NO_GROUPS}",
        f"resource_limits.cpu is not enforced: {NO_GROUPS}",
    ]
    assert datums.run(*touch(16), limits=limits).lines == ["16"]
    datum = datums.run(*touch(128), limits=limits)
    assert (datum.error, datum.lines[-1]) == ("exit status 1", "MemoryError")


def test_without_groups_address_space_may_be_reserved(datums: Any) -> None:
    """As CUDA and others do: a limit on it would end them."""
    code = "from mmap import *; print(len(mmap(-1, 1 << 36, MAP_PRIVATE, PROT_READ)) >> 30)"
    datum = datums.run(sys.executable, "-c", code, limits=Limits(memory=64 * MEBI))
    assert datum.lines == ["64"]


def test_no_limit_no_note(datums: Any) -> None:
    assert datums.worker.notes("", NO_LIMITS) == []
