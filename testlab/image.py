# SPDX-License-Identifier: GPL-3.0-or-later
"""Node images: a bare Debian, and on top of it what makes a container pass for a machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from testlab import cache, host
from testlab.cache import TestlabError
from testlab.engine import Engine

HERE = Path(__file__).resolve().parent
RELEASES = ("bookworm", "trixie")
# What a machine has after Debian's installer and Ansible needs; no compiler, kernel, initramfs or gnupg.
PACKAGES = (
    *("ca-certificates", "dbus", "iproute2", "kmod", "libpam-systemd", "openssh-server", "procps", "python3"),
    *("python3-apt", "sudo", "systemd", "systemd-sysv"),
)
SOURCES = """\
Types: deb
URIs: {debian}
Suites: {release} {release}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {security}
Suites: {release}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
# systemd-sysctl would set kernel parameters of the machine that carries the node. The timers would install
# packages while a test does, and the consoles are not there.
MASKED = (
    *("systemd-sysctl.service", "apt-daily.timer", "apt-daily-upgrade.timer", "getty.target"),
    "console-getty.service",
)
FINISH = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
update-ca-certificates >/dev/null
apt-get update -qq
apt-get upgrade -qq
apt-get clean
systemctl mask --quiet {" ".join(MASKED)}
# Each node makes its own.
: >/etc/machine-id
"""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what begins, and when it is done how long it took."""
    print(f"testlab: {what}", flush=True)
    started = time.monotonic()
    yield
    print(f"testlab: {what}: done ({time.monotonic() - started:.0f} s)", flush=True)


def build(engine: Engine) -> dict[str, str]:
    """Make the ssh key and the images that are not there yet, side by side. The image of each release."""
    ssh_key(engine.directory)
    with ThreadPoolExecutor(len(RELEASES)) as pool:
        return dict(zip(RELEASES, pool.map(lambda release: _build(engine, release), RELEASES), strict=True))


def ssh_key(directory: Path) -> Path:
    """The private key of this cache, by which root of every node is reached."""
    key = directory / "ssh/id_ed25519"
    with cache.lock(directory / "locks/ssh"):
        if not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            key.parent.mkdir(mode=0o700, exist_ok=True)
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testlab", "-f", str(key))
    return key


def base(engine: Engine, release: str) -> str:
    """The image of a bare Debian, made where it is missing."""
    with cache.lock(engine.directory / f"locks/{release}"):
        name = base_name(release)
        if not _exists(engine, name):
            _build_base(engine, release, name)
    return name


def _build(engine: Engine, release: str) -> str:
    below = base(engine, release)
    with cache.lock(engine.directory / f"locks/{release}"):
        layers = (HERE / "rootfs", HERE / "gpu/rootfs", engine.directory / "ssh/id_ed25519.pub")
        image = f"localhost/testlab-{release}:{cache.key(below, *layers)}"
        if not _exists(engine, image):
            with step(f"{release}: image"):
                _build_layer(engine, below, image)
        return image


def _exists(engine: Engine, image: str) -> bool:
    return engine.podman("image", "exists", image, check=False).returncode == 0


def base_name(release: str) -> str:
    """The image of a bare Debian, under a key of all that it is made of."""
    texts = (release, *PACKAGES, _sources(release), host.apt_settings(), FINISH)
    return f"localhost/testlab-base-{release}:{cache.key(*texts, *host.certificates())}"


def _sources(release: str) -> str:
    return SOURCES.format(release=release, **host.apt_sources())


def _build_base(engine: Engine, release: str, base: str) -> None:
    """debootstrap, made ready in a directory that a later build deletes if this one is killed."""
    root = engine.directory / f"unfinished-{release}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with step(f"{release}: debootstrap"):
        include = f"--include={','.join(PACKAGES)}"
        mirror = host.apt_sources()["debian"]
        _run(*CAGE, "debootstrap", "--variant=minbase", include, release, str(root), mirror)
    with step(f"{release}: updates"):
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        (root / "etc/apt/sources.list.d/debian.sources").write_text(_sources(release))
        (root / "etc/apt/apt.conf.d/90testlab-host").write_text(host.apt_settings())
        for certificate in host.certificates():
            shutil.copy(certificate, root / "usr/local/share/ca-certificates")
        _run(*CAGE, "chroot", str(root), "sh", "-c", "mount -t proc proc /proc && exec sh -s", text=FINISH)
        # What debootstrap took over from this machine; podman writes a node's own.
        for left in ("etc/resolv.conf", "etc/hostname"):
            (root / left).unlink(missing_ok=True)
    with step(f"{release}: base image"):
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            command = engine.command("import", "--quiet", "-", base)
            done = subprocess.run(command, stdin=tar.stdout, capture_output=True, text=True)
        if done.returncode != 0 or tar.returncode != 0:
            raise TestlabError(f"podman import failed: {host.last_line(done.stderr)}")
        shutil.rmtree(root)


def _build_layer(engine: Engine, base: str, image: str) -> None:
    with tempfile.TemporaryDirectory(prefix="testlab-") as scratch:
        layer = Path(scratch) / "layer"
        shutil.copytree(HERE / "rootfs", layer, symlinks=True)
        shutil.copytree(HERE / "gpu/rootfs", layer, symlinks=True, dirs_exist_ok=True)
        keys = layer / "root/.ssh"
        keys.mkdir(parents=True, mode=0o700)
        shutil.copy(engine.directory / "ssh/id_ed25519.pub", keys / "authorized_keys")
        file = Path(scratch) / "Containerfile"
        # systemd ends in order by this signal, in place of SIGTERM.
        file.write_text(
            f'FROM {base}\nCOPY --chown=0:0 layer/ /\nSTOPSIGNAL SIGRTMIN+3\nCMD ["/usr/lib/testlab/boot"]\n'
        )
        engine.podman("build", "--quiet", "--pull-never", "--file", str(file), "--tag", image, scratch)


# What runs in a cage ends with it, and so do its mounts; and a cage ends with a build that is killed.
CAGE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=host.environment())
    if done.returncode != 0:
        what = next(word for word in command if not word.startswith("-") and word not in CAGE)
        raise TestlabError(f"{Path(what).name} failed: {host.last_line(done.stderr or done.stdout)}")
