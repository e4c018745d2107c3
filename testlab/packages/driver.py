# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins of NVIDIA's driver packages, with the names, relations and places of Debian's.

What they carry is small and computes nothing: a module that modinfo can read, a library that knows the simulated
GPUs, an nvidia-smi, daemons that hold the device nodes. So roles can install, upgrade and break a driver in
seconds. The real packages are Debian's own, in non-free.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testlab.packages.deb import Link, Package

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "gpu/src"
VERSIONS = ("535.230.02", "535.261.03", "550.163.01")
LIBRARIES = ("libcuda", "libnvidia-ptxjitcompiler", "libnvidia-cfg")
# Flavour in package names -> the name of its module file without .ko, what modinfo calls its licence.
FLAVOURS = {"": ("nvidia-current", "NVIDIA"), "open-": ("nvidia-current-open", "Dual MIT/GPL")}
PARTS = ("", "-uvm", "-modeset", "-drm")
TRIPLET = "/usr/lib/x86_64-linux-gnu"
NOTE = "\nStand-in for the tests, with the names and relations of Debian's package."
UNIT = """\
[Unit]
Description={description} (stand-in)

[Service]
ExecStart=/usr/bin/{program}

[Install]
WantedBy=multi-user.target
"""
# As Debian's nvidia-kernel-support has it: the module files have other names than the modules.
MODPROBE = "install nvidia modprobe -i {module} $CMDLINE_OPTS\nalias char-major-195* nvidia\n"
BLACKLIST = '# You need to run "update-initramfs -u" after editing this file.\nblacklist nouveau\n'


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
    for module, license_ in FLAVOURS.values():
        for part in PARTS:
            name = f"nvidia{part}".replace("-", "_")
            gcc("module.c", f"{module}{part}.ko", "-c", "-fno-ident", NAME=name, LICENSE=license_)
    gcc("daemon.c", "nvidia-persistenced")
    gcc("daemon.c", "nv-fabricmanager", "-DFABRIC_MANAGER")


def packages(files: Path) -> list[Package]:
    """All stand-ins; `files` is what `compiled` gives."""
    found = [dkms(), initramfs(), *kernel(os.uname().release), *kernel("6.1.0-99-stand-in")]
    for version in VERSIONS:
        found += [*libraries(version, files / version), *kernel_modules(version, files / version)]
        found += [*programs(version, files / version), driver(version)]
    return found


def package(name: str, version: str, what: str, **rest: object) -> Package:
    return Package(name, f"{version}-1", f"{what} (stand-in){NOTE}", **rest)  # type: ignore[arg-type]


def libraries(version: str, files: Path) -> list[Package]:
    exact = f"(= {version}-1)"
    alternative = {"Depends": f"nvidia-alternative {exact}"}
    more = {
        "libcuda": {
            "Provides": f"libcuda.so.1 (= {version}), libcuda1-any",
            "Depends": f"nvidia-alternative {exact}, libnvidia-ptxjitcompiler1 {exact}",
            "Recommends": f"nvidia-kernel-dkms {exact} | nvidia-kernel-{version} | nvidia-open-kernel-{version}, "
            f"nvidia-smi, libnvidia-cfg1 {exact}, nvidia-persistenced (>= {major(version)})",
        },
        "libnvidia-ml": {**alternative, "Provides": f"libnvidia-ml.so.1 (= {version})"},
    }
    provides = "nvidia-alternative--kmod-alias, nvidia-alternative-any"
    found = [package("nvidia-alternative", version, "NVIDIA alternatives", relations={"Provides": provides})]
    for library in (*LIBRARIES, "libnvidia-ml"):
        file = f"{library}.so.{version}"
        places: dict[str, str | Path | Link] = {
            f"{TRIPLET}/nvidia/current/{file}": files / file,
            f"{TRIPLET}/nvidia/current/{library}.so.1": Link(file),
            # Debian leads here by way of its alternatives.
            f"{TRIPLET}/{library}.so.1": Link(f"nvidia/current/{file}"),
        }
        relations = {"Multi-Arch": "same", **more.get(library, alternative)}
        scripts = {"postinst": "ldconfig\n", "postrm": "ldconfig\n"}
        found.append(
            package(
                f"{library}1",
                version,
                f"NVIDIA {library}",
                relations=relations,
                files=places,
                scripts=scripts,
            )
        )
    return found


def kernel_modules(version: str, files: Path) -> list[Package]:
    exact = f"(= {version}-1)"
    gsp = {f"/lib/firmware/nvidia/{version}/{name}.bin": "stand-in\n" for name in ("gsp_ga10x", "gsp_tu10x")}
    firmware = {"Provides": f"firmware-nvidia-gsp-{version}"}
    modprobe = {
        "/usr/bin/nvidia-modprobe": "#!/bin/sh\n# Stand-in: loads the driver.\nexec modprobe nvidia\n"
    }
    found = [
        package("firmware-nvidia-gsp", version, "NVIDIA GSP firmware", relations=firmware, files=dict(gsp)),
        package("nvidia-modprobe", version, "utility to load NVIDIA kernel modules", files=dict(modprobe)),
    ]
    for prefix, (module, _) in FLAVOURS.items():
        support = f"nvidia-{prefix}kernel-support"
        source = f"/usr/src/{module}-{version}"
        relations = {
            "Provides": f"nvidia-{prefix}kernel-{version}, nvidia-{prefix}kernel-dkms-any (= {version})",
            # Debian's asks for dkms. apt would choose the real one, which has nothing to compile here.
            "Depends": f"firmware-nvidia-gsp (= {version}-1) | firmware-nvidia-gsp-{version}, {support}--v1, "
            "dkms-stand-in",
        }
        if not prefix:
            relations["Recommends"] = f"nvidia-driver (>= {version}) | libcuda1 (>= {version})"
        content: dict[str, str | Path | Link] = {
            f"{source}/{module}{part}.ko": files / f"{module}{part}.ko" for part in PARTS
        }
        content[f"{source}/dkms.conf"] = f'PACKAGE_NAME="{module}"\nPACKAGE_VERSION="{version}"\n'
        scripts = {
            "postinst": f'if [ "$1" = configure ]; then dkms autoinstall -m {module} -v {version}; fi\n',
            "prerm": f"dkms remove -m {module} -v {version} --all\n",
        }
        found.append(
            package(
                *(f"nvidia-{prefix}kernel-dkms", version, "NVIDIA kernel module"),
                **{"relations": relations, "files": content, "scripts": scripts},
            )
        )
        found.append(kernel_support(support, version, module, exact))
    return found


def kernel_support(name: str, version: str, module: str, exact: str) -> Package:
    """modprobe's configuration. In Debian it reaches /etc/modprobe.d through alternatives, here by plain links."""
    folder = f"/etc/nvidia/{module.removeprefix('nvidia-')}"
    files: dict[str, str | Path | Link] = {
        f"{folder}/nvidia-modprobe.conf": MODPROBE.format(module=module),
        f"{folder}/nvidia-blacklists-nouveau.conf": BLACKLIST,
    }
    # Both flavours may be installed, but a file belongs to one package.
    script = 'if [ "$1" = {when} ]; then\n{lines}command -v update-initramfs >/dev/null && update-initramfs -u\nfi\n:\n'
    targets = {
        "nvidia.conf": "nvidia-modprobe.conf",
        "nvidia-blacklists-nouveau.conf": "nvidia-blacklists-nouveau.conf",
    }
    make = "".join(f"ln -sf {folder}/{file} /etc/modprobe.d/{link}\n" for link, file in targets.items())
    drop = "".join(f"find /etc/modprobe.d/{link} -lname '{folder}/*' -delete\n" for link in targets)
    return package(
        *(name, version, "NVIDIA kernel module support files"),
        relations={
            "Provides": f"{name}--v1, nvidia-kernel-support-any",
            "Depends": f"nvidia-alternative {exact}, nvidia-alternative--kmod-alias, nvidia-modprobe (>= {major(version)})",
        },
        files=files,
        scripts={
            "postinst": script.format(when="configure", lines=make),
            "postrm": script.format(when="remove", lines=drop),
        },
    )


def programs(version: str, files: Path) -> list[Package]:
    exact = f"(= {version}-1)"
    smi = (SOURCES / "nvidia-smi").read_text().replace("@VERSION@", version)
    units = {
        program: UNIT.format(description=description, program=program)
        for program, description in {
            "nvidia-persistenced": "NVIDIA Persistence Daemon",
            "nv-fabricmanager": "NVIDIA fabric manager service",
        }.items()
    }
    return [
        package(
            *("nvidia-smi", version, "NVIDIA System Management Interface"),
            relations={
                "Depends": f"nvidia-alternative {exact}, libnvidia-ml1 {exact}",
                "Recommends": f"nvidia-kernel-dkms {exact} | nvidia-kernel-{version} | nvidia-open-kernel-{version}",
            },
            files={
                "/usr/lib/nvidia/current/nvidia-smi": smi,
                "/usr/bin/nvidia-smi": Link("/usr/lib/nvidia/current/nvidia-smi"),
            },
        ),
        package(
            *(
                "nvidia-persistenced",
                version,
                "daemon to maintain persistent software state in the NVIDIA driver",
            ),
            relations={"Depends": "libnvidia-cfg1 | libnvidia-cfg.so.1 | libnvidia-cfg1-any"},
            files={
                "/usr/bin/nvidia-persistenced": files / "nvidia-persistenced",
                "/lib/systemd/system/nvidia-persistenced.service": units["nvidia-persistenced"],
            },
            units=("nvidia-persistenced.service",),
        ),
        # NVIDIA's own name for it, of its repository: Debian has none.
        package(
            *(f"nvidia-fabricmanager-{major(version)}", version, "Fabric Manager for NVSwitch based systems"),
            relations={"Provides": "nvidia-fabricmanager"},
            files={
                "/usr/bin/nv-fabricmanager": files / "nv-fabricmanager",
                "/lib/systemd/system/nvidia-fabricmanager.service": units["nv-fabricmanager"],
            },
        ),
    ]


def driver(version: str) -> Package:
    exact = f"(= {version}-1)"
    return package(
        *("nvidia-driver", version, "NVIDIA metapackage"),
        relations={
            "Provides": "nvidia-driver-any, nvidia-glx-any",
            "Depends": f"nvidia-alternative {exact}, nvidia-kernel-dkms {exact} | nvidia-kernel-{version} | "
            f"nvidia-open-kernel-{version}",
            "Recommends": f"libnvidia-cfg1 {exact}, nvidia-persistenced (>= {major(version)}), libcuda1 {exact}, nvidia-smi {exact}",
        },
    )


def major(version: str) -> str:
    return version.split(".")[0]


def dkms() -> Package:
    return Package(
        "dkms-stand-in",
        "3.0.13",
        f"Dynamic Kernel Module System (stand-in): copies ready-made modules, compiles none{NOTE}",
        {"Provides": "dkms (= 3.0.13)", "Conflicts": "dkms", "Replaces": "dkms", "Depends": "kmod"},
        {
            "/usr/sbin/dkms": (HERE / "files/dkms"),
            "/etc/kernel/header_postinst.d/dkms": '#!/bin/sh\nexec dkms autoinstall -k "$1"\n',
        },
    )


def initramfs() -> Package:
    return Package(
        "initramfs-tools-stand-in",
        "0.142",
        f"generic initramfs generator (stand-in): an initramfs is the text of modprobe's configuration{NOTE}",
        {"Provides": "initramfs-tools (= 0.142), linux-initramfs-tool", "Conflicts": "initramfs-tools"},
        {"/usr/sbin/update-initramfs": (HERE / "files/update-initramfs")},
    )


def kernel(release: str) -> list[Package]:
    """A kernel and its headers, by name only. A lower version than any real one, which wins where there is one."""
    name = re.sub("[^a-z0-9.+-]", "-", release.lower())
    return [
        Package(
            f"linux-image-{name}",
            "0~stand-in",
            f"Linux {release} (stand-in){NOTE}",
            {"Depends": "initramfs-tools-stand-in | initramfs-tools | linux-initramfs-tool"},
            {f"/boot/vmlinuz-{release}": "stand-in\n", f"/lib/modules/{release}/modules.order": ""},
            {
                "postinst": f'if [ "$1" = configure ]; then depmod {release} 2>/dev/null; update-initramfs -c -k {release}; fi\n',
                "postrm": f'if [ "$1" = remove ]; then rm -f /boot/initrd.img-{release}; fi\n',
            },
        ),
        Package(
            f"linux-headers-{name}",
            "0~stand-in",
            f"Header files for Linux {release} (stand-in){NOTE}",
            {},
            {
                f"/usr/src/linux-headers-{release}/Makefile": "# stand-in\n",
                f"/lib/modules/{release}/build": Link(f"/usr/src/linux-headers-{release}"),
            },
            {
                "postinst": 'if [ "$1" = configure ] && [ -d /etc/kernel/header_postinst.d ]; then\n'
                f"run-parts --arg={release} /etc/kernel/header_postinst.d\nfi\n"
            },
        ),
    ]
