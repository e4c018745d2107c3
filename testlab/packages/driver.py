# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins of the programs and libraries of NVIDIA's driver, with Debian's names, relations and places.

What they carry is small and computes nothing: a library that knows the simulated GPUs, an nvidia-smi, daemons
that hold the device nodes. So roles can install, upgrade and break a driver in seconds. The real packages are
Debian's own, in non-free. The kernel's side is in `kernel`.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testlab.packages import kernel
from testlab.packages.deb import Content, Link, Package, stand_in

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "gpu/src"
VERSIONS = ("535.230.02", "535.261.03", "550.163.01")
LIBRARIES = ("libcuda", "libnvidia-ptxjitcompiler", "libnvidia-cfg")
TRIPLET = "/usr/lib/x86_64-linux-gnu"
UNIT = """\
[Unit]
Description={description} (stand-in)

[Service]
ExecStart=/usr/bin/{program}

[Install]
WantedBy=multi-user.target
"""


@contextmanager
def compiled() -> Iterator[Path]:
    """A directory with one subdirectory for each version, of modules, libraries and daemons."""
    with tempfile.TemporaryDirectory(prefix="testlab-driver-") as scratch:
        for version in VERSIONS:
            folder = Path(scratch) / version
            folder.mkdir()
            compile_version(folder, version)
        yield Path(scratch)


def compile_version(folder: Path, version: str) -> None:
    def gcc(source: str, target: str, *options: str, **defined: str) -> None:
        defines = [f'-D{name}="{text}"' for name, text in {"VERSION": version, **defined}.items()]
        command = ["gcc", "-O1", *options, *defines, "-o", str(folder / target), str(SOURCES / source)]
        subprocess.run(command, check=True)

    gcc("nvml.c", f"libnvidia-ml.so.{version}", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")
    for library in LIBRARIES:
        options = ("-shared", "-fPIC", f"-Wl,-soname,{library}.so.1")
        gcc("library.c", f"{library}.so.{version}", *options, NAME=library)
    for module, license_ in kernel.FLAVOURS.values():
        for part in kernel.PARTS:
            name = f"nvidia{part}".replace("-", "_")
            gcc("module.c", f"{module}{part}.ko", "-c", "-fno-ident", NAME=name, LICENSE=license_)
    gcc("daemon.c", "nvidia-persistenced")
    gcc("daemon.c", "nv-fabricmanager", "-DFABRIC_MANAGER")


def packages(files: Path) -> list[Package]:
    """The stand-ins of all versions; `files` is what `compiled` gives."""
    found = []
    for version in VERSIONS:
        found += libraries(version, files / version)
        found += kernel.modules(version, files / version)
        found += programs(version, files / version)
    return found


def libraries(version: str, files: Path) -> list[Package]:
    exact = f"(= {version}-1)"
    kernels = f"nvidia-kernel-dkms {exact} | nvidia-kernel-{version} | nvidia-open-kernel-{version}"
    more = {
        "libcuda": {
            "Provides": f"libcuda.so.1 (= {version}), libcuda1-any",
            "Depends": f"nvidia-alternative {exact}, libnvidia-ptxjitcompiler1 {exact}",
            "Recommends": f"{kernels}, nvidia-smi, libnvidia-cfg1 {exact}, {persistenced(version)}",
        },
        "libnvidia-ml": {"Provides": f"libnvidia-ml.so.1 (= {version})"},
    }
    provides = {"Provides": "nvidia-alternative--kmod-alias, nvidia-alternative-any"}
    found = [stand_in("nvidia-alternative", f"{version}-1", "NVIDIA alternatives", provides)]
    for library in (*LIBRARIES, "libnvidia-ml"):
        file = f"{library}.so.{version}"
        places: dict[str, Content] = {
            f"{TRIPLET}/nvidia/current/{file}": files / file,
            f"{TRIPLET}/nvidia/current/{library}.so.1": Link(file),
            # Debian leads here by way of its alternatives.
            f"{TRIPLET}/{library}.so.1": Link(f"nvidia/current/{file}"),
        }
        relations = {"Multi-Arch": "same", "Depends": f"nvidia-alternative {exact}", **more.get(library, {})}
        found.append(
            stand_in(
                f"{library}1", f"{version}-1", f"NVIDIA {library}", relations, places, triggers="ldconfig"
            )
        )
    return found


def programs(version: str, files: Path) -> list[Package]:
    exact = f"(= {version}-1)"
    kernels = f"nvidia-kernel-dkms {exact} | nvidia-kernel-{version} | nvidia-open-kernel-{version}"
    smi = (SOURCES / "nvidia-smi").read_text().replace("@VERSION@", version)
    cfg = "libnvidia-cfg1 | libnvidia-cfg.so.1 | libnvidia-cfg1-any"
    alternative = f"nvidia-alternative {exact}"
    rest = f"libnvidia-cfg1 {exact}, {persistenced(version)}, libcuda1 {exact}, nvidia-smi {exact}"
    return [
        stand_in(
            *("nvidia-smi", f"{version}-1", "NVIDIA System Management Interface"),
            {"Depends": f"{alternative}, libnvidia-ml1 {exact}", "Recommends": kernels},
            {
                "/usr/lib/nvidia/current/nvidia-smi": smi,
                "/usr/bin/nvidia-smi": Link("/usr/lib/nvidia/current/nvidia-smi"),
            },
        ),
        stand_in(
            *("nvidia-persistenced", f"{version}-1", "NVIDIA Persistence Daemon"),
            {"Depends": cfg},
            daemon("nvidia-persistenced", "nvidia-persistenced", "NVIDIA Persistence Daemon", files),
            units=("nvidia-persistenced.service",),
        ),
        # NVIDIA's own name for it, of its repository: Debian has none.
        stand_in(
            *(f"nvidia-fabricmanager-{kernel.major(version)}", f"{version}-1", "NVIDIA fabric manager"),
            {"Provides": "nvidia-fabricmanager", "Conflicts": "nvidia-fabricmanager"},
            daemon("nv-fabricmanager", "nvidia-fabricmanager", "NVIDIA fabric manager service", files),
        ),
        stand_in(
            *("nvidia-driver", f"{version}-1", "NVIDIA metapackage"),
            {
                "Provides": "nvidia-driver-any, nvidia-glx-any",
                "Depends": f"{alternative}, {kernels}",
                "Recommends": rest,
            },
        ),
    ]


def daemon(program: str, unit: str, description: str, files: Path) -> dict[str, Content]:
    return {
        f"/usr/bin/{program}": files / program,
        f"/lib/systemd/system/{unit}.service": UNIT.format(description=description, program=program),
    }


def persistenced(version: str) -> str:
    return f"nvidia-persistenced (>= {kernel.major(version)})"
