# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated GPUs: their nvidia-smi, their kernel, and what the stand-in packages are made of."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GPU = ROOT / "testlab/gpu"
PROGRAM = GPU / "rootfs/opt/simulated-gpu/simulated-gpu"
VERSION = "550.163.01"


class Node:
    """A directory that stands for a node, and its nvidia-smi."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.smi = root / "nvidia-smi"
        text = (GPU / "src/nvidia-smi").read_text().replace("@VERSION@", VERSION)
        for place in ("/dev/nvidia", "/proc/driver", "/usr/lib/x86_64-linux-gnu"):
            text = text.replace(place, f"{root}{place}")
        self.smi.write_text(text)

    def add(self, place: str, text: str = "") -> Path:
        path = self.root / place.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def has(self, gpus: int) -> None:
        for name in ("ctl", *range(gpus)):
            self.add(f"/dev/nvidia{name}")

    def loads(self, version: str, library: str = VERSION) -> None:
        self.add(
            "/proc/driver/nvidia/version",
            f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  (stand-in)\n",
        )
        real = self.add(f"/usr/lib/x86_64-linux-gnu/nvidia/current/libnvidia-ml.so.{library}")
        (self.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").symlink_to(real)

    def run(self, *arguments: str, shell: str = "sh") -> tuple[int, list[str]]:
        done = subprocess.run([*shell.split(), str(self.smi), *arguments], capture_output=True, text=True)
        assert not done.stderr
        return done.returncode, done.stdout.splitlines()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_smi_lists_and_queries_the_gpus(node: Node) -> None:
    node.has(gpus=2)
    node.loads(VERSION)
    uuid = "GPU-51a1a7ed-0000-4000-8000-00000000000"
    assert node.run("-L") == (0, [f"GPU {n}: NVIDIA simulated GPU (UUID: {uuid}{n})" for n in (0, 1)])
    fields = "--query-gpu=index,uuid,memory.total,driver_version,pci.bus_id"
    assert node.run(fields, "--format=csv,noheader") == (
        0,
        [f"{n}, {uuid}{n}, 81920 MiB, {VERSION}, 00000000:4{n + 1}:00.0" for n in (0, 1)],
    )
    assert node.run("--query-gpu=name,memory.total", "--format=csv,nounits") == (
        0,
        ["name, memory.total", "NVIDIA simulated GPU, 81920", "NVIDIA simulated GPU, 81920"],
    )
    assert node.run()[0] == 0


def test_smi_refuses_what_the_real_one_refuses(node: Node) -> None:
    node.has(gpus=1)
    assert node.run("--query-gpu=index,nonsense", "--format=csv")[0] == 2
    assert node.run("--nonsense")[0] == 2
    # Without a format the real one refuses as well.
    assert node.run("--query-gpu=index")[0] == 2


def test_smi_without_a_driver(node: Node) -> None:
    code, lines = node.run("-L")
    assert code == 9
    assert lines[0].startswith(
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    )


def test_smi_with_a_library_of_another_version(node: Node) -> None:
    node.has(gpus=1)
    node.loads("535.261.03")
    mismatch = ["Failed to initialize NVML: Driver/library version mismatch", "NVML library version: 550.163"]
    assert node.run("-L") == (18, mismatch)


def test_smi_without_the_library(node: Node) -> None:
    node.has(gpus=1)
    node.add("/proc/driver/nvidia/version", f"NVRM version: NVIDIA  {VERSION}  (stand-in)\n")
    assert node.run("-L")[0] == 12


def test_smi_when_all_gpus_are_gone(node: Node) -> None:
    node.has(gpus=0)
    assert node.run("-L") == (6, ["No devices were found"])


def test_smi_in_a_container_has_nothing_but_device_nodes(node: Node) -> None:
    # The container got the second GPU of its node: it is number 0 there, with its own uuid.
    node.add("/dev/nvidiactl")
    node.add("/dev/nvidia1")
    expected = "0, GPU-51a1a7ed-0000-4000-8000-000000000001, " + VERSION
    assert node.run("--query-gpu=index,uuid,driver_version", "--format=csv,noheader") == (0, [expected])


def compile_source(name: str, target: Path, *options: str) -> Path:
    command = ["gcc", "-Wall", "-Wextra", "-Werror", *options, "-o", str(target), str(GPU / "src" / name)]
    subprocess.run(command, check=True)
    return target


def test_modinfo_finds_version_and_licence_in_the_module(tmp_path: Path) -> None:
    defines = (f'-DVERSION="{VERSION}"', '-DLICENSE="Dual MIT/GPL"', '-DNAME="nvidia"')
    module = compile_source("module.c", tmp_path / "nvidia.ko", "-c", *defines)
    section = tmp_path / "modinfo"
    subprocess.run(
        ["objcopy", "-O", "binary", "--only-section=.modinfo", str(module), str(section)], check=True
    )
    # What modinfo reads: texts one behind the other, each with its end.
    assert {b"license=Dual MIT/GPL", b"version=550.163.01", b"name=nvidia"} <= set(
        section.read_bytes().split(b"\0")
    )


def test_the_library_answers_as_nvml(tmp_path: Path) -> None:
    if Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a real driver")
    options = ("-shared", "-fPIC", f'-DVERSION="{VERSION}"')
    library = ctypes.CDLL(str(compile_source("nvml.c", tmp_path / "libnvidia-ml.so", *options)))
    assert library.nvmlInit_v2() == 9
    library.nvmlErrorString.restype = ctypes.c_char_p
    assert library.nvmlErrorString(9) == b"Driver Not Loaded"
    text = ctypes.create_string_buffer(80)
    assert library.nvmlSystemGetDriverVersion(text, 80) == 0
    assert text.value == VERSION.encode()
    assert library.nvmlSystemGetDriverVersion(text, 3) != 0


class Kernel:
    """simulated-gpu, with its state in a directory and nothing laid over this machine."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loader = SourceFileLoader("simulated_gpu", str(PROGRAM))
        spec = spec_from_loader("simulated_gpu", loader)
        assert spec
        self.program: Any = module_from_spec(spec)
        monkeypatch.setattr("sys.dont_write_bytecode", True)
        monkeypatch.syspath_prepend(str(PROGRAM.parent))
        loader.exec_module(self.program)
        self.root = root
        self.module: dict[str, str] | None = {"version": VERSION, "license": "NVIDIA"}
        (root / "modprobe.d").mkdir()
        (root / "nvidia.ko").touch()
        replaced: dict[str, Any] = {
            "STATE": root / "state.json",
            "MODPROBE_DIRECTORIES": (str(root / "modprobe.d"),),
            "module_files": lambda kernel: [str(root / "nvidia.ko")] if self.module else [],
            "modinfo": lambda path, field: (self.module or {})[field],
            "memory": lambda: dict(self.loaded),
            "show": self.show,
            "users": lambda: self.users,
        }
        for name, replacement in replaced.items():
            monkeypatch.setattr(self.program, name, replacement)
        self.loaded: dict[str, Any] = {}
        self.users: list[int] = []

    def show(self, state: dict[str, Any], loaded: dict[str, Any]) -> None:
        self.loaded = loaded

    def plug(self, **hardware: object) -> None:
        self.program.save_state({**self.program.HARDWARE, "gpus": 1, **hardware})

    def configure(self, text: str) -> None:
        (self.root / "modprobe.d/test.conf").write_text(text)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def test_a_start_loads_nouveau_which_keeps_the_driver_out(
    kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.plug()
    kernel.program.boot()
    assert kernel.loaded == {"nouveau": {}}
    assert kernel.program.modprobe("modprobe", ["nvidia"]) == 1
    assert "could not insert 'nvidia': No such device" in capsys.readouterr().err
    assert kernel.program.modprobe("modprobe", ["-r", "nouveau"]) == 0
    assert kernel.program.modprobe("modprobe", ["nvidia"]) == 0
    assert kernel.loaded == {"nvidia": {"version": VERSION, "open": False}}


def test_a_start_loads_the_driver_where_nouveau_is_blacklisted(kernel: Kernel) -> None:
    kernel.plug()
    kernel.configure("# blacklist nvidia\nblacklist nouveau\n")
    kernel.program.boot()
    assert kernel.loaded == {"nvidia": {"version": VERSION, "open": False}}


def test_a_blacklist_that_is_not_in_the_initramfs_does_not_count_at_a_start(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug()
    kernel.configure("blacklist nouveau\n")
    image = kernel.root / "initrd"
    image.write_text("options something=1\n")
    monkeypatch.setattr(kernel.program, "initramfs", lambda: image)
    kernel.program.boot()
    assert kernel.loaded == {"nouveau": {}}
    image.write_text("blacklist nouveau\n")
    kernel.program.boot()
    assert "nvidia" in kernel.loaded


def test_install_lines_block_a_module(kernel: Kernel) -> None:
    kernel.plug()
    kernel.configure("install nouveau /bin/false\ninstall nvidia modprobe -i nvidia-current $CMDLINE_OPTS\n")
    assert kernel.program.modprobe("modprobe", ["nouveau"]) == 1
    # Debian's own line leads to the module under its other name.
    assert kernel.program.modprobe("modprobe", ["nvidia"]) == 0


@pytest.mark.parametrize(
    ("hardware", "licence", "reason"),
    [
        ({"gpus": 0}, "NVIDIA", "No such device"),
        ({"device": "0x1b06"}, "Dual MIT/GPL", "No such device"),
        ({"device": "0x1b06"}, "NVIDIA", None),
        ({"device": "0x2335"}, "Dual MIT/GPL", None),
        ({"broken": ["load"]}, "NVIDIA", "No such device"),
        ({"broken": ["secure-boot"]}, "NVIDIA", "Key was rejected by service"),
    ],
)
def test_what_keeps_a_driver_from_loading(
    kernel: Kernel, hardware: dict[str, object], licence: str, reason: str | None
) -> None:
    kernel.plug(**hardware)
    kernel.module = {"version": VERSION, "license": licence}
    problem = kernel.program.insert("nvidia", "6.1")
    assert (problem is None) if reason is None else (problem or "").endswith(reason)
    assert bool(kernel.loaded) == (reason is None)


def test_a_signed_module_loads_under_secure_boot(kernel: Kernel) -> None:
    kernel.plug(broken=["secure-boot"])
    (kernel.root / "nvidia.ko").write_bytes(b"module~Module signature appended~\n")
    assert kernel.program.insert("nvidia", "6.1") is None


def test_a_driver_in_use_stays(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.plug()
    kernel.program.insert("nvidia", "6.1")
    kernel.users = [4711]
    assert kernel.program.modprobe("rmmod", ["nvidia"]) == 1
    assert "Module nvidia is in use" in capsys.readouterr().err
    kernel.users = []
    assert kernel.program.modprobe("rmmod", ["nvidia"]) == 0
    assert not kernel.loaded


def test_a_kernel_without_a_module(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.plug()
    kernel.module = None
    assert kernel.program.modprobe("modprobe", ["-S", "6.1.0-99-stand-in", "nvidia"]) == 1
    assert "Module nvidia not found in directory /lib/modules/6.1.0-99-stand-in" in capsys.readouterr().err


def test_faults_are_kept_until_they_are_mended(kernel: Kernel) -> None:
    kernel.plug()
    kernel.program.main(["break", "gpu"])
    assert json.loads((kernel.root / "state.json").read_text())["broken"] == ["gpu"]
    kernel.program.main(["plug", "--gpus", "2"])
    kernel.program.main(["mend", "gpu"])
    assert json.loads((kernel.root / "state.json").read_text()) == {**kernel.program.HARDWARE, "gpus": 2}


def test_modprobe_leaves_other_modules_to_the_real_one(tmp_path: Path) -> None:
    text = (GPU / "rootfs/usr/local/sbin/modprobe").read_text()
    script = tmp_path / "modprobe"
    script.write_text(
        text.replace("/usr/sbin/", f"{tmp_path}/real-").replace(
            "/opt/simulated-gpu/simulated-gpu", f"{tmp_path}/ours"
        )
    )
    for name in ("real-modprobe", "ours"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $*\n")
        (tmp_path / name).chmod(0o755)
    script.chmod(0o755)

    def run(*arguments: str) -> str:
        return subprocess.run([script, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    assert run("-a", "overlay", "br_netfilter") == "real-modprobe -a overlay br_netfilter"
    assert run("nvidia-uvm") == "ours modprobe nvidia-uvm"
    assert run("-r", "nouveau") == "ours modprobe -r nouveau"


def test_the_programs_of_a_node_can_be_run() -> None:
    for path in (
        PROGRAM,
        *(GPU / "rootfs/usr/local/sbin").iterdir(),
        *(ROOT / "testlab/packages/files").iterdir(),
    ):
        assert path.is_symlink() or os.access(path, os.X_OK), path
