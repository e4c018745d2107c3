# SPDX-License-Identifier: GPL-3.0-or-later
"""What users of other roles complain about, each by its name, as far as it shows in what a node is asked."""

from __future__ import annotations

import pytest

from .cases_driver import ROWS
from .conftest import Rendering
from .harness import Rendered
from .situations import REFUSED
from .tables import acts, contents, held_by_dpkg, installed, removed, repositories, versions


def position(done: Rendered, module: str, words: str) -> int:
    """Which call it was: the first of a module with these words."""
    return next(
        number
        for number, call in enumerate(done.calls)
        if call.module == module and words in f"{call.command} {call.args}"
    )


# --- Driver


@pytest.mark.parametrize(("table", "name"), [("driver", "debian13 B200"), ("docker", "debian12 docker")])
def test_key_ring_is_not_fetched_again_on_a_rerun(table: str, name: str, rendering: Rendering) -> None:
    (fetched,) = rendering(table)[name].of("get_url")
    # get_url asks for nothing where the file is there, unless it is forced.
    assert fetched.args["force"] is False


def test_a_rotated_key_is_another_file(rendering: Rendering) -> None:
    first, second = (rendering("docker")[name] for name in ("debian12 docker", "ubuntu22 docker, mirror"))
    assert first.of("get_url")[0].args["dest"] != second.of("get_url")[0].args["dest"]
    first, second = rendering("driver")["ubuntu24 V100, nvidia"], rendering("situations")["a mirror for apt"]
    assert first.of("get_url")[0].args["dest"] != second.of("get_url")[0].args["dest"]


@pytest.mark.parametrize("table", ["driver", "docker", "situations"])
def test_key_rotation_breaks_no_install_since_apt_key_is_not_used(table: str, rendering: Rendering) -> None:
    for done in rendering(table).values():
        assert done.of("apt_key", "rpm_key", "apt_repository") == []
        for text in done.written:
            assert ("Types: deb" in text) <= ("Signed-By: /" in text)
        for found in repositories(done):
            assert found["gpgkey"]


@pytest.mark.parametrize("name", ["debian12 T4", "ubuntu22 T4, dkms", "rocky9 HGX"])
def test_headers_are_those_of_the_running_kernel(name: str, rendering: Rendering) -> None:
    calls = rendering("driver")[name].of("apt", "dnf")
    prefix = "kernel-devel" if ROWS[name].dnf else "linux-headers"
    wanted = [package for call in calls for package in call.items("name") if package.startswith(prefix)]
    assert wanted == [f"{prefix}-{ROWS[name].kernel}"]


def test_dkms_or_precompiled_is_as_declared(rendering: Rendering) -> None:
    done = rendering("driver")
    assert "nvidia-dkms-580-server-open" in installed(done["ubuntu22 T4, dkms"])
    for name in ("ubuntu22 T4", "rhel9 T4, precompiled"):
        assert not [
            package for package in installed(done[name]) if package.startswith(("nvidia-dkms", "kmod"))
        ]


def test_the_machine_that_runs_ansible_is_not_rebooted(rendering: Rendering) -> None:
    done = rendering("situations")["nouveau on the controller"]
    assert done.failure == ""
    assert done.of("shutdown") == []
    assert "reboot it yourself, since this machine runs Ansible" in done.said
    assert done.facts["nvidia_driver_result"]["reboot_needed"] is True


def test_a_node_is_rebooted_when_needed_and_only_then(rendering: Rendering) -> None:
    done = rendering("situations")["nouveau"]
    assert len(done.of("shutdown")) == 1
    assert done.facts["nvidia_driver_result"]["reboot_needed"] is False
    assert rendering("situations")["nouveau, reboot forbidden"].of("shutdown") == []


@pytest.mark.parametrize("table", ["driver", "docker"])
def test_no_reboot_when_not_needed(table: str, rendering: Rendering) -> None:
    for done in rendering(table).values():
        assert done.of("shutdown") == []
    assert rendering("situations")["rerun"].of("shutdown") == []


@pytest.mark.parametrize("name", ["debian12 T4", "rocky9 HGX"])
def test_nouveau_does_not_stay_in_the_initramfs(name: str, rendering: Rendering) -> None:
    done, row = rendering("driver")[name], ROWS[name]
    (text,) = [text for path, text in contents(done).items() if path.startswith("/etc/modprobe.d/")]
    assert "blacklist nouveau" in text
    assert position(done, "copy", "/etc/modprobe.d/") < position(done, "command", row.initramfs)


def test_the_initramfs_is_rebuilt_only_where_it_is_stale(rendering: Rendering) -> None:
    assert acts(rendering("situations")["stale initramfs"]) == [ROWS["debian12 T4"].initramfs]
    assert acts(rendering("situations")["rerun"]) == []


@pytest.mark.parametrize("name", ["rerun", "rerun, HGX"])
def test_a_rerun_does_not_upgrade(name: str, rendering: Rendering) -> None:
    done = rendering("situations")[name]
    assert done.failure == ""
    assert acts(done) == []
    assert done.changed == []
    assert done.of("apt") == []
    assert done.facts["nvidia_driver_result"]["reboot_needed"] is False


def test_a_rerun_sees_a_precompiled_module(rendering: Rendering) -> None:
    assert "would be installed" not in rendering("situations")["rerun, precompiled"].said


@pytest.mark.parametrize("table", ["driver", "docker", "situations"])
def test_nothing_is_ever_asked_for_in_its_latest_version(table: str, rendering: Rendering) -> None:
    for done in rendering(table).values():
        for call in done.of("apt", "dnf", "package"):
            assert call.args.get("state", "present") in ("present", "absent")
            assert not call.args.get("upgrade")


def test_unattended_upgrades_cannot_split_module_and_library(rendering: Rendering) -> None:
    done = rendering("driver")["debian12 T4"]
    assert {"nvidia-kernel-dkms", "libnvidia-ml1", "libcuda1", "nvidia-smi"} <= held_by_dpkg(done)
    line = next(line for line in rendering("driver")["alma9 V100"].commands if "versionlock add" in line)
    assert {"kmod-nvidia-latest-dkms", "nvidia-driver-cuda"} <= set(line.split())


def test_a_library_of_another_version_than_the_module_is_named(rendering: Rendering) -> None:
    done = rendering("situations")["library upgraded alone"]
    assert "the module on disk is 535.261.03, the library is 535.288.01" in done.failure
    assert "535.261.03 is loaded, the library is 535.288.01" in done.failure


@pytest.mark.parametrize("name", ["ubuntu24 HGX", "ubuntu22 HGX, nvidia 580", "rocky9 HGX", "alma9 HGX, 570"])
def test_fabric_manager_comes_with_nvswitch_in_the_same_version(name: str, rendering: Rendering) -> None:
    pins = versions(rendering("driver")[name])
    (fabric,) = [package for package in pins if "fabric" in package]
    driver = [package for package in pins if "utils" in package or "cuda" in package]
    assert {pins[package] for package in driver} == {pins[fabric]}


def test_a_fabric_manager_of_another_version_is_named(rendering: Rendering) -> None:
    failure = rendering("situations")["fabric manager upgraded alone"].failure
    assert "fabric manager is 580.105.08, the driver 580.95.05" in failure


def test_a_missing_module_says_why_it_was_not_built(rendering: Rendering) -> None:
    assert "no NVIDIA module for kernel 6.1.0-39-amd64: bad gcc" in (
        rendering("situations")["no module after all"].failure
    )


def test_a_run_that_was_killed_amid_apt_is_finished(rendering: Rendering) -> None:
    done = rendering("situations")["dpkg cut off"]
    assert (done.failure, acts(done)) == ("", ["dpkg --configure -a"])


def test_the_key_of_modules_built_here_is_enrolled_under_secure_boot(rendering: Rendering) -> None:
    done = rendering("situations")["Secure Boot"]
    (enrol,) = [call for call in done.of("command") if "--import" in call.command]
    assert enrol.args["stdin"] == "a password\na password"
    assert "confirm the new key at its console" in done.said


def test_parameters_reach_each_name_of_debians_module(rendering: Rendering) -> None:
    text = "\n".join(rendering("situations")["parameters"].written)
    for module in ("nvidia", "nvidia-current", "nvidia-current-open"):
        assert f"options {module} NVreg_EnableStreamMemOPs=1" in text.splitlines()


def test_gpu_nodes_without_a_gpu_are_left_alone(rendering: Rendering) -> None:
    for name in ("no GPU", "passed through", "docker: no GPU"):
        done = rendering("situations")[name]
        assert (done.failure, done.writes(), done.changed) == ("", [], [])
        assert "has no NVIDIA GPU" in done.said


def test_absent_takes_all_back(rendering: Rendering) -> None:
    done = rendering("situations")["absent"]
    assert done.failure == ""
    assert {"nvidia-kernel-dkms", "nvidia-smi", "libcuda1"} <= removed(done)
    assert "rmmod nvidia" in done.commands
    assert ROWS["debian12 T4"].initramfs in done.commands
    assert "versionlock delete" in "\n".join(rendering("situations")["absent, RHEL"].commands)
    for name in ("absent, RHEL", "absent, Ubuntu"):
        stopped = {call.args["name"] for call in rendering("situations")[name].of("systemd_service")}
        assert stopped == {"nvidia-persistenced", "nvidia-fabricmanager"}
    used = rendering("situations")["absent, in use"]
    assert (used.failure.split(": ", 1)[1].split(":")[0], used.writes()) == (
        "driver 535.261.03 is in use by 4711 python", [],
    )  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_touched(name: str, rendering: Rendering) -> None:
    done = rendering("refused")[name]
    assert REFUSED[name][1] in done.failure
    assert "\n" not in done.failure
    assert done.writes() == []


# --- Runtime


def test_daemon_json_is_not_overwritten(rendering: Rendering) -> None:
    for table in ("docker", "situations"):
        for done in rendering(table).values():
            for call in done.of("copy", "template"):
                assert call.args["dest"] != "/etc/docker/daemon.json"


def test_daemon_json_does_not_leave_with_nvidia_docker2(rendering: Rendering) -> None:
    done = rendering("situations")["docker: from nvidia-docker2"]
    assert done.failure == ""
    assert removed(done) == {"nvidia-docker2"}
    (kept,) = [call for call in done.of("copy") if call.args.get("src") == "/etc/docker/daemon.json"]
    order = [
        position(done, "copy", kept.args["dest"]),
        position(done, "apt", "nvidia-docker2"),
        position(done, "command", f"{kept.args['dest']} /etc/docker/daemon.json"),
        position(done, "nvidia_container_runtime", "docker"),
    ]
    assert order == sorted(order)


def test_systemd_reads_a_changed_unit_before_the_engine_is_told(rendering: Rendering) -> None:
    done = rendering("situations")["docker: unit changed"]
    told = [call for call in done.of("systemd_service") if call.args.get("name") == "docker.service"]
    assert told
    assert all(call.args["daemon_reload"] is True for call in told)


def test_a_runtime_that_a_cluster_tool_wiped_is_put_back(rendering: Rendering) -> None:
    done = rendering("situations")["docker: runtime wiped"]
    assert [call.args["runtime"] for call in done.of("nvidia_container_runtime")] == ["containerd"]
    assert "restarted" in [call.args.get("state") for call in done.of("systemd_service")]


def test_running_containers_are_not_stopped_without_leave(rendering: Rendering) -> None:
    done = rendering("situations")["docker: containers run"]
    assert "restarted" not in [call.args.get("state") for call in done.of("systemd_service")]
    assert "would stop running containers" in done.said
    assert done.facts["nvidia_docker_result"]["pending"] == ["docker"]


def test_an_expired_key_is_named(rendering: Rendering) -> None:
    done = rendering("situations")["docker: key expired"]
    assert "the key https://nvidia.github.io/libnvidia-container/gpgkey" in done.said
    assert "has expired" in done.said


def test_the_expired_key_of_another_repository_is_not_taken_for_ours(rendering: Rendering) -> None:
    done = rendering("situations")["docker: another repository's key expired"]
    assert "has expired" not in done.said
    assert "from https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) failed: " in done.said
    assert "https://packages.example.org/debian bookworm InRelease" in done.said


def test_a_second_run_of_the_toolkit_does_nothing(rendering: Rendering) -> None:
    done = rendering("situations")["docker: rerun"]
    assert (done.failure, done.changed, acts(done)) == ("", [], [])
    assert done.of("apt", "systemd_service") == []


def test_absent_takes_the_toolkit_back(rendering: Rendering) -> None:
    done = rendering("situations")["docker: absent"]
    assert [call.args["state"] for call in done.of("nvidia_container_runtime")] == ["absent"]
    assert "nvidia-container-toolkit" in removed(done)
    assert not {"docker.io", "containerd"} & removed(done)
    assert "nvidia-container-toolkit" in removed(rendering("situations")["docker: absent, RHEL"])


def test_a_verify_can_fail(rendering: Rendering) -> None:
    done = rendering("situations")
    assert "has no runtime named nvidia in effect" in done["docker: unusable"].failure
    broken = done["docker: its file is no JSON"].failure
    assert "daemon.json: line 2, column 1: not valid JSON" in broken
    assert "run this role" not in broken
    assert "sees 0 of 1 GPUs" in done["docker: container sees none"].failure
    assert "2 GPUs are expected" in done["fewer GPUs than expected"].failure
    assert done["docker: usable"].failure == ""
    assert done["usable"].failure == ""


# --- Cluster


@pytest.mark.parametrize("name", ["a mirror", "a mirror for apt"])
def test_every_url_and_key_can_be_a_mirrors(name: str, rendering: Rendering) -> None:
    asked = "".join(str(call.args) for call in rendering("situations")[name].calls if call.module != "setup")
    assert "mirror.example.com" in asked
    for host in ("nvidia.com", "github.io", "fedoraproject.org"):
        assert host not in asked
    asked = "".join(str(call.args) for call in rendering("docker")["ubuntu22 docker, mirror"].writes())
    assert "nvidia.github.io" not in asked
