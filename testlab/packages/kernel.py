# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins of the kernel's side of a driver: its modules, and kernel, headers, dkms and initramfs.

The modules are ELF files that modinfo reads and nobody can load. They lie where Debian's dkms puts them,
under the names that Debian gives them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from testlab.packages.deb import Content, Link, Package, stand_in

HERE = Path(__file__).resolve().parent
# Flavour in package names -> the name of its module file without .ko, what modinfo calls its licence.
FLAVOURS = {"": ("nvidia-current", "NVIDIA"), "open-": ("nvidia-current-open", "Dual MIT/GPL")}
PARTS = ("", "-uvm", "-modeset", "-drm")
# A kernel that the nodes do not run; they run that of the machine that carries them.
OTHER_KERNEL = "6.1.0-99-stand-in"
# As in Debian's nvidia-kernel-support: the module files have other names than the modules.
MODPROBE = "install nvidia modprobe -i {module} $CMDLINE_OPTS\nalias char-major-195* nvidia\n"
BLACKLIST = '# You need to run "update-initramfs -u" after editing this file.\nblacklist nouveau\n'
LINKS = {
    "nvidia.conf": "nvidia-modprobe.conf",
    "nvidia-blacklists-nouveau.conf": "nvidia-blacklists-nouveau.conf",
}
SUPPORT_SCRIPT = """\
if [ "$1" = {when} ]; then
{lines}if command -v update-initramfs >/dev/null; then update-initramfs -u; fi
fi
"""
HEADERS_SCRIPT = """\
if [ "$1" = configure ] && [ -d /etc/kernel/header_postinst.d ]; then
    run-parts --arg={release} /etc/kernel/header_postinst.d
fi
"""
HEADERS_HOOK = '#!/bin/sh\n[ ! -x /usr/sbin/dkms ] || exec dkms autoinstall -k "$1"\n'


def major(version: str) -> str:
    return version.split(".")[0]


def packages() -> list[Package]:
    """What does not depend on the driver's version."""
    return [dkms(), initramfs(), *kernel(os.uname().release), *kernel(OTHER_KERNEL)]


def modules(version: str, files: Path) -> list[Package]:
    """The module packages of both flavours; `files` holds the compiled modules."""
    gsp = {f"/lib/firmware/nvidia/{version}/{name}.bin": "stand-in\n" for name in ("gsp_ga10x", "gsp_tu10x")}
    firmware = {"Provides": f"firmware-nvidia-gsp-{version}"}
    modprobe = "#!/bin/sh\n# Stand-in: loads the driver.\nexec modprobe nvidia\n"
    found = [
        stand_in("firmware-nvidia-gsp", f"{version}-1", "NVIDIA GSP firmware", firmware, {**gsp}),
        stand_in("nvidia-modprobe", f"{version}-1", "loader", files={"/usr/bin/nvidia-modprobe": modprobe}),
    ]
    for prefix, (module, _) in FLAVOURS.items():
        support = f"nvidia-{prefix}kernel-support"
        source = f"/usr/src/{module}-{version}"
        relations = {
            "Provides": f"nvidia-{prefix}kernel-{version}, nvidia-{prefix}kernel-dkms-any (= {version})",
            # Debian's asks for dkms. apt would choose the real one, which has nothing to compile here.
            "Depends": f"firmware-nvidia-gsp (= {version}-1) | firmware-nvidia-gsp-{version}, "
            f"{support}--v1, dkms-stand-in",
        }
        if not prefix:
            relations["Recommends"] = f"nvidia-driver (>= {version}) | libcuda1 (>= {version})"
        content: dict[str, Content] = {
            f"{source}/{module}{part}.ko": files / f"{module}{part}.ko" for part in PARTS
        }
        content[f"{source}/dkms.conf"] = f'PACKAGE_NAME="{module}"\nPACKAGE_VERSION="{version}"\n'
        scripts = {
            "postinst": f'if [ "$1" = configure ]; then dkms autoinstall -m {module} -v {version}; fi\n',
            "prerm": f"dkms remove -m {module} -v {version} --all\n",
        }
        name, what = f"nvidia-{prefix}kernel-dkms", "NVIDIA kernel module"
        found.append(stand_in(name, f"{version}-1", what, relations, content, scripts=scripts))
        found.append(kernel_support(support, version, module))
    return found


def kernel_support(name: str, version: str, module: str) -> Package:
    """modprobe's configuration. In Debian it reaches /etc/modprobe.d by alternatives, here by plain links."""
    folder = f"/etc/nvidia/{module.removeprefix('nvidia-')}"
    # Both flavours may be installed, but a file belongs to one package: so scripts make the links.
    make = "".join(f"ln -sf {folder}/{file} /etc/modprobe.d/{link}\n" for link, file in LINKS.items())
    drop = "".join(f"find /etc/modprobe.d -name {link} -lname '{folder}/*' -delete\n" for link in LINKS)
    return stand_in(
        *(name, f"{version}-1", "NVIDIA kernel module support files"),
        {
            "Provides": f"{name}--v1, nvidia-kernel-support-any",
            "Depends": f"nvidia-alternative (= {version}-1), nvidia-alternative--kmod-alias, "
            f"nvidia-modprobe (>= {major(version)})",
        },
        {
            f"{folder}/nvidia-modprobe.conf": MODPROBE.format(module=module),
            f"{folder}/nvidia-blacklists-nouveau.conf": BLACKLIST,
        },
        scripts={
            "postinst": SUPPORT_SCRIPT.format(when="configure", lines=make),
            "postrm": SUPPORT_SCRIPT.format(when="remove", lines=drop),
        },
    )


def dkms() -> Package:
    return stand_in(
        *(
            "dkms-stand-in",
            "3.0.13",
            "Dynamic Kernel Module System: copies ready-made modules, compiles none",
        ),
        {"Provides": "dkms (= 3.0.13)", "Conflicts": "dkms", "Replaces": "dkms", "Depends": "kmod"},
        {"/usr/sbin/dkms": HERE / "files/dkms", "/etc/kernel/header_postinst.d/dkms": HEADERS_HOOK},
    )


def initramfs() -> Package:
    return stand_in(
        *(
            "initramfs-tools-stand-in",
            "0.142",
            "initramfs generator: keeps modprobe's configuration, no more",
        ),
        {"Provides": "initramfs-tools (= 0.142), linux-initramfs-tool", "Conflicts": "initramfs-tools"},
        {"/usr/sbin/update-initramfs": HERE / "files/update-initramfs"},
    )


def kernel(release: str) -> list[Package]:
    """A kernel and its headers, by name only. Of a lower version than any real one, which so wins."""
    name = re.sub("[^a-z0-9.+-]", "-", release.lower())
    ready = f"depmod {release} 2>/dev/null; update-initramfs -c -k {release}"
    return [
        stand_in(
            *(f"linux-image-{name}", "0~stand-in", f"Linux {release}"),
            {"Depends": "initramfs-tools-stand-in | initramfs-tools | linux-initramfs-tool"},
            {f"/boot/vmlinuz-{release}": "stand-in\n", f"/lib/modules/{release}/modules.order": ""},
            scripts={
                "postinst": f'if [ "$1" = configure ]; then {ready}; fi\n',
                "postrm": f'if [ "$1" = remove ]; then rm -f /boot/initrd.img-{release}; fi\n',
            },
        ),
        stand_in(
            *(f"linux-headers-{name}", "0~stand-in", f"Header files for Linux {release}"),
            files={
                f"/usr/src/linux-headers-{release}/Makefile": "# stand-in\n",
                f"/lib/modules/{release}/build": Link(f"/usr/src/linux-headers-{release}"),
            },
            scripts={"postinst": HEADERS_SCRIPT.format(release=release)},
        ),
    ]
