# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that carries the nodes: what it must have installed, and how it reaches Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from testlab.cache import TestlabError

# Command (or file) -> the Debian package that brings it.
NEEDED = {
    "podman": "podman",
    "crun": "crun",
    "/usr/lib/podman/netavark": "netavark",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "ssh-keygen": "openssh-client",
    # To build and sign the package repository. dpkg-deb is everywhere where debootstrap is.
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgconf": "gpgconf",
}
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
WATCHERS = 8192
DEBIAN = {"debian": "http://deb.debian.org/debian", "security": "http://deb.debian.org/debian-security"}
# Settings of apt that decide how the archive is reached. Credentials are not among them.
REACH = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")

# Settings of pip that decide how a package index is reached.
PIP = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
)


def refusal(directory: Path) -> str | None:
    """Why this machine cannot run nodes that lie in `directory`, as one line; None if it can."""
    if os.uname().sysname != "Linux":
        return "test nodes need Linux"
    if os.geteuid() != 0:
        return "test nodes need root: systemd runs in privileged containers"
    probe = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "mount",
        "-t",
        "cgroup2",
        "cgroup2",
        "/sys/fs/cgroup",
    ]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        return "test nodes need a kernel with cgroup2, and the right to mount it"
    there = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if _output("stat", "--file-system", "--format", "%T", str(there)) == "overlayfs\n":
        return f"test nodes cannot lie on an overlayfs: TESTLAB_CACHE is {directory}; choose a disk"
    missing = missing_packages()
    if missing and not shutil.which("apt-get"):
        return f"test nodes need {' '.join(missing)}; install what your system calls these"
    return None


def missing_packages() -> list[str]:
    return sorted({package for name, package in NEEDED.items() if not shutil.which(name, os.F_OK, path())})


def install_packages() -> None:
    """Install what is missing from the host's own package sources."""
    if not (missing := missing_packages()):
        return
    print(f"testlab: installing on this machine: {' '.join(missing)}", flush=True)
    for command in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *command], env=environment(), capture_output=True, text=True)
        if done.returncode != 0:
            raise TestlabError(f"apt-get {command[0]} failed: {last_line(done.stderr)}")


def lift_limits(parameters: Path = Path("/proc/sys")) -> None:
    """Have the kernel allow as many watchers of files as a dozen systemds take; never fewer than it does.

    All nodes are root's, who has 128 by default. With one node more units fail, and do not tell why.
    """
    file = parameters / "fs/inotify/max_user_instances"
    if int(file.read_text()) < WATCHERS:
        file.write_text(f"{WATCHERS}\n")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["(it said nothing)"])[-1]


def mirrors(uris: list[str]) -> dict[str, str]:
    """The addresses of Debian's archive ("debian") and of its security updates ("security").

    `uris` are those of the host's package sources: nodes work behind a mirror as their host does. What a host
    that is no Debian does not name has Debian's own address.
    """
    found = dict(DEBIAN)
    for uri in uris:
        name = uri.rstrip("/").rsplit("/", 1)[-1]
        if uri.startswith(("http://", "https://")) and name in ("debian", "debian-security"):
            found["security" if name == "debian-security" else "debian"] = uri.rstrip("/")
    return found


def apt_sources() -> dict[str, str]:
    """The mirrors that this machine itself uses."""
    return mirrors(_output("apt-get", "indextargets", "--format", "$(REPO_URI)").split())


def apt_settings() -> str:
    """Proxy and the like, as lines of an apt.conf."""
    dump = _output("apt-config", "dump").splitlines()
    return "".join(f"{line}\n" for line in dump if line.startswith(REACH) and not line.endswith('"";'))


def path() -> str:
    """PATH with the directories of an administrator, which an ordinary PATH may lack."""
    return f"{os.environ.get('PATH', os.defpath)}:{SBIN}"


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": path(), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def certificates() -> list[Path]:
    """Certificate authorities that this machine trusts beside its system's own."""
    return sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt"))


def pip_settings() -> list[Path]:
    """pip's configuration on this machine: how a package index is reached."""
    files = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf")
    return [path for path in files if path.exists()]


def _output(*command: str) -> str:
    """What a command says; nothing where there is none, as apt's on a machine that is no Debian."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, env=environment()).stdout
