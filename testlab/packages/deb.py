# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages written from a description, without debhelper."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

# A unit is enabled and started at its installation and stopped at its removal, as debhelper's snippets do it.
UNITS_POSTINST = """\
if [ "$1" = configure ]; then
    for unit in {units}; do deb-systemd-helper enable "$unit" >/dev/null || true; done
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload >/dev/null || true
        for unit in {units}; do deb-systemd-invoke {start} "$unit" >/dev/null || true; done
    fi
fi
"""
UNITS_PRERM = """\
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
    for unit in {units}; do deb-systemd-invoke stop "$unit" >/dev/null || true; done
fi
"""
UNITS_POSTRM = """\
if [ "$1" = remove ] || [ "$1" = purge ]; then
    for unit in {units}; do
        DPKG_MAINTSCRIPT_NAME=postrm deb-systemd-helper purge "$unit" >/dev/null || true
        deb-systemd-helper unmask "$unit" >/dev/null || true
    done
    if [ -d /run/systemd/system ]; then systemctl --system daemon-reload >/dev/null || true; fi
fi
"""


@dataclass(frozen=True)
class Link:
    """A symbolic link, for `Package.files`."""

    target: str


# What lies at a path: a text, a file of this machine (copied with its mode) or a link.
Content = str | Path | Link


@dataclass(frozen=True)
class Package:
    """A binary package of amd64.

    `relations` holds fields of the control file (Depends, Provides, ...). `files` says what lies at each
    absolute path; what lies under /etc is a conffile. `scripts` are bodies of maintainer scripts; `units` are
    systemd units that the package enables and starts; `triggers` is a trigger that it activates.
    """

    name: str
    version: str
    description: str
    relations: dict[str, str] = field(default_factory=dict)
    files: dict[str, Content] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    triggers: str = ""

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version}_amd64.deb"


def stand_in(
    name: str,
    version: str,
    what: str,
    relations: dict[str, str] | None = None,
    files: dict[str, Content] | None = None,
    *,
    scripts: dict[str, str] | None = None,
    units: tuple[str, ...] = (),
    triggers: str = "",
) -> Package:
    """A package that is a stand-in and says so."""
    text = f"{what} (stand-in)\nStand-in for the tests, with the name and relations of the real package."
    return Package(name, version, text, relations or {}, files or {}, scripts or {}, units, triggers)


def control(package: Package) -> str:
    fields = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": "amd64",
        "Maintainer": "testlab of gpulab.pachyderm <testlab@gpulab.invalid>",
        "Section": "misc",
        "Priority": "optional",
        **package.relations,
        "Description": "\n ".join(package.description.splitlines()),
    }
    return "".join(f"{name}: {text}\n" for name, text in fields.items())


def scripts(package: Package) -> dict[str, str]:
    """The maintainer scripts, with what the package's units need behind (prerm: before) its own."""
    bodies = dict(package.scripts)
    if package.units:
        # Written anew after an upgrade, so that a daemon of the old version does not stay.
        words = {"units": " ".join(package.units), "start": "restart"}
        bodies["postinst"] = bodies.get("postinst", "") + UNITS_POSTINST.format(**words)
        bodies["prerm"] = UNITS_PRERM.format(**words) + bodies.get("prerm", "")
        bodies["postrm"] = bodies.get("postrm", "") + UNITS_POSTRM.format(**words)
    return {
        name: body if body.startswith("#!") else f"#!/bin/sh\nset -e\n{body}" for name, body in bodies.items()
    }


def write(package: Package, directory: Path) -> Path:
    """Build the package into `directory`."""
    with tempfile.TemporaryDirectory(prefix="testlab-deb-") as scratch:
        root = Path(scratch) / "root"
        (root / "DEBIAN").mkdir(parents=True)
        root.chmod(0o755)
        for place, content in package.files.items():
            put(root / place.removeprefix("/"), content)
        (root / "DEBIAN/control").write_text(control(package))
        files = [place for place, content in package.files.items() if not isinstance(content, Link)]
        conffiles = [place for place in files if place.startswith("/etc/")]
        if conffiles:
            (root / "DEBIAN/conffiles").write_text("".join(f"{place}\n" for place in conffiles))
        if package.triggers:
            (root / "DEBIAN/triggers").write_text(f"activate-noawait {package.triggers}\n")
        for name, body in scripts(package).items():
            (root / "DEBIAN" / name).write_text(body)
            (root / "DEBIAN" / name).chmod(0o755)
        target = directory / package.file_name
        # Compression is not worth its time here.
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def put(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Link):
        path.symlink_to(content.target)
        return
    path.write_bytes(content.read_bytes() if isinstance(content, Path) else content.encode())
    executable = (
        bool(content.stat().st_mode & 0o100) if isinstance(content, Path) else content.startswith("#!")
    )
    path.chmod(0o755 if executable else 0o644)
