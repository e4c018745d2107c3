# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/nodes.yml over a lab, from bare nodes on. The tests are in the order of the lab's life."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nodes import labs

GPU_NODES = ("n1", "n2")
CONTAINER = (
    "docker run --rm --network=none --runtime=nvidia -e NVIDIA_DRIVER_CAPABILITIES=utility"
    " -e NVIDIA_VISIBLE_DEVICES=GPUS localhost/testlab:1"
)
# Tasks that change something in one of the two only, and why.
ONLY_PREDICTED = {
    # In place of the tasks that install, whose packages apt cannot look up before the repository is there.
    "Say what would be installed, or what it waits for",
    "Say what would be installed and removed",
    # In place of the reboot, and of nvidia-ctk, which a bare node does not have.
    "Say that a reboot is needed",
    "Say that the driver is not there yet, or what would be written",
    # One mirror has both: the driver's role has fetched the key by then.
    "Fetch the repository's key, once",
}
ONLY_DONE = {
    # Announced by those above.
    "Install the driver; a build by DKMS takes minutes",
    "Install by apt",
    "Write it for the driver that is loaded",
    # What these have to do shows in what was installed: how it is held, built, restarted.
    "Hold the driver's packages, or let them go",
    "Hold them, or let go of them",
    "Rebuild the initramfs",
    "Load the driver",
    "Run NVIDIA's daemons",
    "Reload Docker",
    "Restart the engines that have to be",
    "Refresh it at boot and when the driver changes",
}


@pytest.fixture(scope="session")
def lab() -> Iterator[labs.Nodes]:
    with labs.nodes("test-playbook", "n1=bookworm:2", "n2=trixie:2", "nogpu=trixie", "own=trixie:1") as nodes:
        yield nodes


@pytest.fixture(scope="session")
def failing(lab: labs.Nodes) -> tuple[dict[str, str], labs.Run]:
    """What the nodes were, and a run whose first node cannot get its packages."""
    before = {name: state(lab, name) for name in lab.names}
    lab.sh("n1", "mount -t tmpfs -o ro tmpfs /srv/testlab/apt")
    run = lab.run(labs.PLAYBOOK, "--limit", "n1,n2,nogpu")
    lab.sh("n1", "umount /srv/testlab/apt")
    return before, run


@pytest.fixture(scope="session")
def checked(lab: labs.Nodes, failing: object) -> tuple[dict[str, str], labs.Run, dict[str, str]]:
    before = {name: state(lab, name) for name in lab.names}
    run = lab.run(labs.PLAYBOOK, "--check", "--limit", "n2")
    return before, run, {name: state(lab, name) for name in lab.names}


@pytest.fixture(scope="session")
def boots(lab: labs.Nodes, checked: object) -> dict[str, str]:
    """Of the bare nodes."""
    return {name: lab.boot_id(name) for name in lab.names}


@pytest.fixture(scope="session")
def converged(lab: labs.Nodes, boots: object) -> labs.Run:
    return lab.run(labs.PLAYBOOK, "--limit", "n1,n2,nogpu")


@pytest.fixture(scope="session")
def again(lab: labs.Nodes, converged: object) -> tuple[dict[str, str], labs.Run]:
    before = {name: lab.boot_id(name) for name in lab.names}
    return before, lab.run(labs.PLAYBOOK, "--limit", "n1,n2,nogpu")


def state(lab: labs.Nodes, name: str) -> str:
    return lab.sh(name, "dpkg-query -W | sha256sum; find /etc -type f -exec sha256sum {} + | sort -k 2")


def test_a_first_node_that_fails_stops_the_rest_untouched(
    lab: labs.Nodes, failing: tuple[dict[str, str], labs.Run]
) -> None:
    before, run = failing
    assert run.status == 2, run.output
    assert "/srv/testlab/apt" in run.failure("n1")
    assert not [event for event in run.events if event.host != "n1"]
    for name in ("n2", "nogpu"):
        assert state(lab, name) == before[name]


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("nvidia_driver_reboot=perhaps", "value of nvidia_driver_reboot must be one of"),
        ("nvidia_docker_restart=perhaps", "value of nvidia_docker_restart must be one of"),
        ("nvidia_driver_reboots=never", "nvidia_driver_reboots: this role has no such variable"),
        # Of the role that comes second.
        ("nvidia_docker_cdi_spec=/tmp/nvidia.yaml", "nvidia_docker_cdi_spec must be a .yaml or .json file"),
    ],
)
def test_a_bad_value_of_either_role_is_refused_before_a_node_is_touched(
    variable: str, message: str, lab: labs.Nodes, failing: tuple[dict[str, str], labs.Run]
) -> None:
    run = lab.run(labs.PLAYBOOK, "--limit", "n2", "--extra-vars", variable)
    assert message in run.failure("n2")
    assert state(lab, "n2") == failing[0]["n2"]


def test_check_mode_touches_nothing(
    checked: tuple[dict[str, str], labs.Run, dict[str, str]],
) -> None:
    before, run, after = checked
    assert run.status == 0, run.output
    assert after == before


def test_check_mode_predicts_what_a_run_changes(
    checked: tuple[dict[str, str], labs.Run, dict[str, str]], converged: labs.Run
) -> None:
    predicted = set(checked[1].changed("n2"))
    # Its name says why.
    done = {task for task in converged.changed("n2") if not task.startswith("Reboot, since")}
    assert predicted - done <= ONLY_PREDICTED
    assert done - predicted <= ONLY_DONE
    # What is announced is done.
    assert {
        "Say what would be installed, or what it waits for",
        "Say what would be installed and removed",
    } <= predicted
    assert {"Install the driver; a build by DKMS takes minutes", "Install by apt"} <= done


@pytest.mark.parametrize("name", GPU_NODES)
def test_a_run_makes_bare_nodes_usable(name: str, lab: labs.Nodes, converged: labs.Run) -> None:
    """A container gets all GPUs, those that it asks for, or none."""
    assert converged.status == 0, converged.output
    assert len(lab.sh(name, f"{CONTAINER} nvidia-smi --list-gpus".replace("GPUS", "all")).splitlines()) == 2
    one = set(lab.sh(name, f"{CONTAINER} ls /dev".replace("GPUS", "0")).split())
    assert {"nvidia0", "nvidia1"} & one == {"nvidia0"}
    none = lab.sh(name, "docker run --rm --network=none localhost/testlab:1 ls /dev").split()
    assert not [device for device in none if device.startswith("nvidia")]


def test_nodes_are_rebooted_in_batches_and_only_once(
    lab: labs.Nodes, boots: dict[str, str], again: tuple[dict[str, str], labs.Run], converged: labs.Run
) -> None:
    """The first node is verified before the second is touched; a node without a GPU is not rebooted."""
    rebooted = [event.host for event in converged.events if "Reboot, since" in event.task]
    assert rebooted == ["n1", "n2"]
    hosts = [event.host for event in converged.events]
    assert max(n for n, host in enumerate(hosts) if host == "n1") < hosts.index("n2")
    assert {name for name in lab.names if again[0][name] != boots[name]} == {"n1", "n2"}


def test_a_second_run_changes_nothing(again: tuple[dict[str, str], labs.Run], lab: labs.Nodes) -> None:
    before, run = again
    assert run.status == 0, run.output
    assert {name: run.changed(name) for name in lab.names} == {name: [] for name in lab.names}
    assert {name: lab.boot_id(name) for name in lab.names} == before


def test_a_node_without_a_gpu_is_skipped_with_a_word(
    lab: labs.Nodes, converged: labs.Run, failing: tuple[dict[str, str], labs.Run]
) -> None:
    assert converged.changed("nogpu") == []
    assert "nogpu has no NVIDIA GPU: nothing to do" in converged.said("nogpu")
    assert "nogpu has no NVIDIA GPU for containers: nothing is installed" in converged.said("nogpu")
    assert state(lab, "nogpu") == failing[0]["nogpu"]


def test_the_machine_that_runs_ansible_is_not_rebooted(lab: labs.Nodes) -> None:
    """A node that is the controller under another name: reached by ssh, and of its machine id."""
    with open("/etc/machine-id") as file:
        lab.sh("own", f"echo {file.read().strip()} >/etc/machine-id")
    before = lab.boot_id("own")
    run = lab.run(labs.PLAYBOOK, "--limit", "own")
    assert run.status == 0, run.output
    assert "nouveau has the GPUs: reboot it yourself, since this machine runs Ansible" in run.said("own")
    assert lab.boot_id("own") == before
