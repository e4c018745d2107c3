# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver and the packages of a node: from small trees like its own, and from stand-ins of commands."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _nvidia_node_run
from ansible_collections.gpulab.pachyderm.plugins.module_utils._nvidia_node_driver import (
    module_file,
    read_driver,
    read_smi,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._nvidia_node_packages import read_packages
from tests.unit.machine import link, write

KERNEL = "6.1.0-35-amd64"
PROPRIETARY = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.261.03  Thu Jun  5 17:52:55 UTC 2025\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14+deb12u1)\n"
)
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)  "
    "Tue Sep 23 09:55:41 UTC 2025\nGCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04.2)\n"
)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stand-ins of commands; the machine's own are out of reach, but for a shell's."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(_nvidia_node_run, "SYSTEM_PATHS", ())
    return folder


def stand_in(commands: Path, name: str, output: str = "", code: int = 0, error: str = "") -> None:
    """A command that keeps its arguments in NAME.arguments."""
    write(commands / f"{name}.output", output)
    write(commands / f"{name}.error", error)
    script = (
        f'#!/bin/sh\nPATH=/usr/bin:/bin\nhere="{commands}"\nprintf "%s\\n" "$@" >"$here/{name}.arguments"\n'
        f'cat "$here/{name}.output"\ncat "$here/{name}.error" >&2\nexit {code}\n'
    )
    write(commands / name, script).chmod(0o755)


def arguments(commands: Path, name: str) -> list[str]:
    return (commands / f"{name}.arguments").read_text().splitlines()


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (PROPRIETARY, ("535.261.03", "proprietary")),
        (OPEN, ("580.95.05", "open")),
        (OPEN.replace("x86_64", "aarch64"), ("580.95.05", "open")),
        (PROPRIETARY.replace("x86_64", "aarch64"), ("535.261.03", "proprietary")),
        (None, ("560.35.03", None)),
    ],
)
def test_loaded_driver(tmp_path: Path, version: str | None, expected: tuple[str, str | None]) -> None:
    write(tmp_path / "sys/module/nvidia/version", "560.35.03\n")
    (tmp_path / "proc").mkdir()
    if version:
        write(tmp_path / "proc/driver/nvidia/version", version)
    driver = read_driver(tmp_path, KERNEL, 5)
    assert (driver["loaded_version"], driver["loaded_flavour"]) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["updates/dkms/nvidia.ko.xz", "kernel/nvidia-535srv/nvidia.ko"], "updates/dkms/nvidia.ko.xz"),
        (["kernel/nvidia-535srv/nvidia.ko.zst"], "kernel/nvidia-535srv/nvidia.ko.zst"),
        (["extra/nvidia.ko.xz", "extra/nvidia-uvm.ko.xz"], "extra/nvidia.ko.xz"),
        (["updates/dkms/nvidia-current.ko"], "updates/dkms/nvidia-current.ko"),
        (["updates/dkms/nvidia-current-open.ko"], "updates/dkms/nvidia-current-open.ko"),
        (
            ["updates/dkms/nvidia-current-open.ko", "updates/dkms/nvidia-current.ko"],
            "updates/dkms/nvidia-current.ko",
        ),
        (["updates/dkms/nvidia-current-drm.ko", "updates/dkms/nvidia-current-open-uvm.ko"], None),
        (["kernel/drivers/video/fbdev/nvidia/nvidiafb.ko"], None),
        (["kernel/drivers/platform/x86/nvidia-wmi-ec-backlight.ko"], None),
    ],
)
def test_module_file(tmp_path: Path, files: list[str], expected: str | None) -> None:
    modules = tmp_path / "lib/modules" / KERNEL
    for name in files:
        write(modules / name, "")
    write(tmp_path / "lib/modules/6.1.0-34-amd64/updates/dkms/nvidia.ko", "")
    assert module_file(tmp_path, KERNEL) == (modules / expected if expected else None)


def test_module_that_alternatives_choose(tmp_path: Path) -> None:
    dkms = tmp_path / "lib/modules" / KERNEL / "updates/dkms"
    write(dkms / "nvidia-current.ko", "")
    configuration = write(
        tmp_path / "etc/modprobe.d/nvidia.conf",
        "install nvidia modprobe -i nvidia-current-open $CMDLINE_OPTS\n",
    )
    link(tmp_path / "etc/modprobe.d/a.conf", "nowhere")
    assert module_file(tmp_path, KERNEL) is None  # modprobe would find nothing, too
    write(dkms / "nvidia-current-open.ko", "")
    assert module_file(tmp_path, KERNEL) == dkms / "nvidia-current-open.ko"
    # What is said of a companion is not said of the module.
    (dkms / "nvidia-current-open.ko").unlink()
    configuration.write_text("install nvidia-drm modprobe -i nvidia-current-open-drm $CMDLINE_OPTS\n")
    assert module_file(tmp_path, KERNEL) == dkms / "nvidia-current.ko"


def test_module_on_disk(tmp_path: Path, commands: Path) -> None:
    module = write(tmp_path / "lib/modules" / KERNEL / "updates/dkms/nvidia.ko", "")
    (tmp_path / "proc").mkdir()
    text = f"filename:       {module}\nversion:        580.95.05\nlicense:        Dual MIT/GPL\n"
    stand_in(
        commands, "modinfo", text + "parm:           NVreg_X: a: b (int)\nsigner:         DKMS module key\n"
    )
    driver = read_driver(tmp_path, KERNEL, 5)
    assert arguments(commands, "modinfo") == [str(module)]
    assert (driver["module_version"], driver["module_flavour"]) == ("580.95.05", "open")
    assert driver["module_signer"] == "DKMS module key"
    stand_in(commands, "modinfo", "version:        535.261.03\nlicense:        NVIDIA\nsigner:\n")
    driver = read_driver(tmp_path, KERNEL, 5)
    assert (driver["module_flavour"], driver["module_signer"]) == ("proprietary", None)


@pytest.mark.usefixtures("commands")
def test_a_module_that_modinfo_cannot_tell_of(tmp_path: Path) -> None:
    write(tmp_path / "lib/modules" / KERNEL / "updates/dkms/nvidia.ko", "")
    (tmp_path / "proc").mkdir()
    assert read_driver(tmp_path, KERNEL, 5)["module_version"] is None


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("folder", ["usr/lib64", f"usr/lib/{os.uname().machine}-linux-gnu", "usr/lib"])
def test_library(tmp_path: Path, folder: str) -> None:
    (tmp_path / "proc").mkdir()
    link(tmp_path / "usr/lib/i386-linux-gnu/libnvidia-ml.so.1", "libnvidia-ml.so.470.1")
    library = tmp_path / folder / "libnvidia-ml.so.1"
    link(library, "nvidia/current/libnvidia-ml.so.1")  # as alternatives do
    assert read_driver(tmp_path, KERNEL, 5)["library_version"] is None  # to nowhere
    link(tmp_path / folder / "nvidia/current/libnvidia-ml.so.1", "libnvidia-ml.so.535.261.03")
    write(tmp_path / folder / "nvidia/current/libnvidia-ml.so.535.261.03", "")
    assert read_driver(tmp_path, KERNEL, 5)["library_version"] == "535.261.03"


@pytest.mark.usefixtures("commands")
def test_users(tmp_path: Path) -> None:
    def process(pid: int, command: str, *files: str) -> None:
        write(tmp_path / f"proc/{pid}/comm", f"{command}\n")
        (tmp_path / f"proc/{pid}/fd").mkdir()
        for number, file in enumerate(files):
            (tmp_path / f"proc/{pid}/fd/{number}").symlink_to(file)

    process(1, "systemd", "/dev/null")
    process(711, "nvidia-persiste", "/dev/nvidiactl")
    process(712, "nv-fabricmanage", "/dev/nvidia-caps/nvidia-cap1")
    process(4711, "python3", "/dev/null", "/dev/nvidia0", "/dev/nvidia-uvm")
    process(815, "Xorg", "socket:[1]", "/dev/nvidiactl")
    (tmp_path / "proc/9999").mkdir()  # ends while we look
    write(tmp_path / "proc/meminfo", "")
    assert read_driver(tmp_path, KERNEL, 5)["users"] == [
        {"pid": 815, "command": "Xorg"},
        {"pid": 4711, "command": "python3"},
    ]


def test_nvidia_smi_sees_gpus(commands: Path) -> None:
    lines = [
        "0, GPU-2a5b0c0e-0000-0000-0000-000000000000, NVIDIA H100 80GB HBM3, 81559, 535.261.03",
        "1, GPU-2a5b0c0e-0000-0000-0000-000000000001, NVIDIA GB10, [N/A], 535.261.03",
    ]
    stand_in(commands, "nvidia-smi", "\n".join(lines) + "\n", error="a library warns\n")
    seen = read_smi(True, 5)
    assert seen["error"] is None
    assert [gpu["memory_mib"] for gpu in seen["gpus"]] == [81559, None]
    assert seen["gpus"][0] == {
        "index": 0,
        "uuid": "GPU-2a5b0c0e-0000-0000-0000-000000000000",
        "name": "NVIDIA H100 80GB HBM3",
        "memory_mib": 81559,
        "driver_version": "535.261.03",
    }
    assert arguments(commands, "nvidia-smi")[1] == "--format=csv,noheader,nounits"


@pytest.mark.parametrize(
    ("output", "code", "error", "gpus"),
    [
        (
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.288\n",
            18,
            "Failed to initialize NVML: Driver/library version mismatch NVML library version: 535.288",
            0,
        ),
        ("No devices were found\n", 6, "No devices were found", 0),
        (
            "0, GPU-1, NVIDIA A100, 40960, 535.261.03\n"
            "Unable to determine the device handle for GPU0000:5D:00.0: Unknown Error\n",
            0,
            "Unable to determine the device handle for GPU0000:5D:00.0: Unknown Error",
            1,
        ),
        ("", 12, "nvidia-smi ended with status 12", 0),
    ],
)
def test_nvidia_smi_complains(commands: Path, output: str, code: int, error: str, gpus: int) -> None:
    stand_in(commands, "nvidia-smi", output, code)
    seen = read_smi(True, 5)
    assert (seen["error"], len(seen["gpus"])) == (error, gpus)


@pytest.mark.usefixtures("commands")
def test_nvidia_smi_is_missing() -> None:
    assert read_smi(True, 5) == {"gpus": [], "error": "nvidia-smi is not installed"}


def test_nvidia_smi_does_not_start(commands: Path) -> None:
    write(commands / "nvidia-smi", "#!/nowhere\n").chmod(0o755)
    assert read_smi(True, 5)["error"] == f"{commands}/nvidia-smi does not start: No such file or directory"


def test_nvidia_smi_that_hangs_is_given_up(commands: Path) -> None:
    """With all that it started, which would hold the pipe open."""
    write(commands / "nvidia-smi", f"#!/bin/sh\n/bin/sleep 600 &\necho $! >{commands}/pid\nwait\n").chmod(
        0o755
    )
    started = time.monotonic()
    assert read_smi(True, 0.5) == {"gpus": [], "error": "nvidia-smi did not answer within 0.5 s"}
    assert time.monotonic() - started < 30
    sleeper = Path("/proc", (commands / "pid").read_text().strip(), "stat")
    deadline = time.monotonic() + 30
    while sleeper.exists() and sleeper.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < deadline


def test_nvidia_smi_is_not_run_where_it_would_load_the_driver(commands: Path) -> None:
    stand_in(commands, "nvidia-smi")
    assert read_smi(False, 5) == {"gpus": [], "error": "the driver is not loaded"}
    assert not (commands / "nvidia-smi.arguments").exists()


def test_packages_of_dpkg(tmp_path: Path, commands: Path) -> None:
    write(tmp_path / "var/lib/dpkg/status", "")
    lines = [
        "ii \tnvidia-smi\t535.261.03-1",
        "hi \tlibcuda1\t535.261.03-1",
        "rc \tnvidia-docker2\t2.14.0-1",
        "un \tnvidia-driver-any\t",
        "iU \tnvidia-kernel-dkms\t535.261.03-1",
        "iF \tnvidia-persistenced\t535.171.04-1",
        "ii \tlibcuda1\t535.261.03-2",  # of a second architecture
    ]
    stand_in(commands, "dpkg-query", "\n".join(lines) + "\n", 1, "dpkg-query: no packages found matching x\n")
    assert read_packages(tmp_path, 5) == {
        "packages": {
            "nvidia-smi": {"version": "535.261.03-1", "held": False},
            "libcuda1": {"version": "535.261.03-1", "held": True},
        },
        "packages_unfinished": True,
    }
    assert arguments(commands, "dpkg-query")[-2:] == ["*nvidia*", "*libcuda*"]
    stand_in(commands, "dpkg-query", "", 2, "dpkg-query: error: parsing file\n")
    assert read_packages(tmp_path, 5) == {"packages": None, "packages_unfinished": False}


def test_dpkg_was_cut_off(tmp_path: Path, commands: Path) -> None:
    write(tmp_path / "var/lib/dpkg/status", "")
    lines = ["ii \tnvidia-smi\t535.261.03-1", "rc \tnvidia-docker2\t2.14.0-1", "un \tlibcuda.so.1\t"]
    stand_in(commands, "dpkg-query", "\n".join(lines) + "\n")
    assert not read_packages(tmp_path, 5)["packages_unfinished"]
    stand_in(commands, "dpkg-query", "\n".join([*lines, "iF \tnvidia-kernel-dkms\t535.261.03-1"]) + "\n")
    assert read_packages(tmp_path, 5)["packages_unfinished"]
    stand_in(commands, "dpkg-query", "\n".join(lines) + "\n")
    (tmp_path / "var/lib/dpkg/updates").mkdir()
    assert not read_packages(tmp_path, 5)["packages_unfinished"]
    write(tmp_path / "var/lib/dpkg/updates/0001", "")
    assert read_packages(tmp_path, 5)["packages_unfinished"]


@pytest.mark.parametrize(
    ("locks", "held"),
    [
        ("", []),
        ("# added by hand\nnvidia-driver-3:575.57.08-1.el9.*\n", ["nvidia-driver"]),
        ("nvidia-driver-575.57.08-1.el9.x86_64\n", ["nvidia-driver"]),
        ("kmod-nvidia-latest-dkms  # all of them\n", ["kmod-nvidia-latest-dkms"]),
        ("*nvidia*-3:575.*\n", ["kmod-nvidia-latest-dkms", "nvidia-driver"]),
        ("!nvidia-driver-3:580.*\n", []),
        ("nvidia-driver-3:570.*\n", []),
    ],
)
def test_packages_of_rpm(tmp_path: Path, commands: Path, locks: str, held: list[str]) -> None:
    write(tmp_path / "etc/dnf/plugins/versionlock.list", locks)
    lines = [
        "nvidia-driver\t3:575.57.08-1.el9\t3\t575.57.08-1.el9.x86_64",
        "kmod-nvidia-latest-dkms\t3:575.57.08-1.el9\t3\t575.57.08-1.el9.x86_64",
        "nvidia-container-toolkit\t1.17.8-1\t0\t1.17.8-1.x86_64",
    ]
    stand_in(commands, "rpm", "\n".join(lines) + "\n")
    packages = read_packages(tmp_path, 5)["packages"]
    assert {name: package["version"] for name, package in packages.items()} == {
        "nvidia-driver": "3:575.57.08-1.el9",
        "kmod-nvidia-latest-dkms": "3:575.57.08-1.el9",
        "nvidia-container-toolkit": "1.17.8-1",
    }
    assert sorted(name for name, package in packages.items() if package["held"]) == held
