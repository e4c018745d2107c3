# SPDX-License-Identifier: GPL-3.0-or-later
"""The root directory of a datum: the machine's system read-only, /pfs, and private writable places.

Runs inside the datum's own mount namespace, so nothing of it is ever seen, or left, outside.
The new root is a tmpfs; while it is built the machine's root is at HOST below it.
"""

from __future__ import annotations

import errno
import os

from pachd_embedded.workers import syscalls
from pachd_embedded.workers.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC

HOST = "/.host"
READ_ONLY = MS_RDONLY | MS_NOSUID | MS_NODEV
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
# Where root of the machine could change the kernel: read-only in a datum, as in a container.
_KERNEL_SETTINGS = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_NOT_OF_AN_IMAGE = frozenset({".host", "dev", "pfs", "proc", "sys"})


def build(
    scratch: str,
    image: str,
    places: list[tuple[str, str]],
    mounts: list[tuple[str, str]],
    devices: list[str],
    own_users: bool,
) -> None:
    """Builds the root on the empty directory `scratch`/root and makes it this process's root.

    `scratch`/pfs becomes /pfs and `scratch`/tmp becomes /tmp; `image` ("" = none) is laid over the root;
    `places` are (path, source), parents before children: the machine's `source` is seen read-only at
    `path`, or, where `source` is "", what is at `path` is hidden; `mounts` are (path, source) as well, on
    top of all; `devices` are device nodes of the
    machine to be seen as well; `own_users` says that this is a user namespace of its own. All paths but
    those of `places` and `devices` are absolute and free of symbolic links. Raises OSError.
    """
    os.umask(0o022)
    _enter(scratch + "/root")
    for path, mode in (("/root", 0o700), ("/run", 0o755), ("/var", 0o755)):
        os.mkdir(path, mode)
    _put(HOST + scratch + "/tmp", "/tmp", MS_NOSUID | MS_NODEV)
    os.symlink("/tmp", "/var/tmp")
    os.symlink("/run", "/var/run")
    _mount_proc(own_users)
    _make_devices(devices)
    if os.path.isdir(HOST + "/sys"):
        _put(HOST + "/sys", "/sys")
    for path, source in places:
        if source:
            _put(HOST + source, path)
        else:
            _hide(path)
    if image:
        _lay(HOST + image, "/")
    _put(HOST + scratch + "/pfs", "/pfs", MS_NOSUID | MS_NODEV)
    for path, source in mounts:
        _mount_over(HOST + source, os.path.normpath(path))
    syscalls.detach(HOST)
    os.rmdir(HOST)


def _enter(mount_point: str) -> None:
    """Makes a tmpfs at `mount_point` the root of this process, with the machine's root at HOST."""
    try:
        syscalls.mount(None, "/", None, MS_REC | syscalls.MS_PRIVATE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # In a chroot "/" may be no mount, so it cannot be made private, and what is mounted somewhere
        # below it may show outside. /proc is a mount that can, and is not needed any more.
        syscalls.mount(None, "/proc", None, MS_REC | syscalls.MS_PRIVATE)
        mount_point = "/proc"
    syscalls.mount("tmpfs", mount_point, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    os.chdir(mount_point)
    os.mkdir("." + HOST)
    try:
        syscalls.pivot_root(".", "." + HOST)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The server runs in a chroot, or from an initramfs.
        syscalls.mount("/", "." + HOST, None, MS_BIND | MS_REC)
        syscalls.mount(None, "." + HOST, None, MS_REC | syscalls.MS_PRIVATE)
        os.chroot(".")
    os.chdir("/")


def _put(source: str, target: str, flags: int = READ_ONLY) -> None:
    """Shows the file or directory `source`, and all mounts in it, at `target`; a link is copied."""
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    syscalls.mount(source, target, None, MS_BIND | MS_REC)
    if flags:
        syscalls.restrict(target, flags)


def _mount_over(source: str, path: str) -> None:
    """Shows the directory `source` at `path`, which is made where there is none, in the system too."""
    missing = path
    while not os.path.isdir(os.path.dirname(missing)):
        missing = os.path.dirname(missing)
    parent = os.path.dirname(missing)
    if not os.path.lexists(missing) and not os.access(parent, os.W_OK):
        _open_up(parent, [])
    _put(source, path)


def _hide(path: str) -> None:
    if os.path.isdir(path):
        syscalls.mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    elif os.path.exists(path):
        syscalls.mount("/dev/null", path, None, MS_BIND)


def _mount_proc(own_users: bool) -> None:
    os.mkdir("/proc")
    try:
        syscalls.mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        # In a container parts of /proc are covered and the kernel refuses to show a fresh one. Then
        # the processes around are listed, but not what they have open: they are of other users.
        if not own_users:
            raise
        _put(HOST + "/proc", "/proc", READ_ONLY | MS_NOEXEC)
        return
    for name in _KERNEL_SETTINGS:
        if os.path.exists("/proc/" + name):
            _put("/proc/" + name, "/proc/" + name)


def _make_devices(devices: list[str]) -> None:
    os.mkdir("/dev")
    for path in [*("/dev/" + name for name in _DEVICES), *devices]:
        if os.path.exists(HOST + path):
            _put(HOST + path, path, 0)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, "/dev/" + name)
    os.mkdir("/dev/shm")
    os.chmod("/dev/shm", 0o1777)
    os.mkdir("/dev/pts")
    try:
        syscalls.mount(
            "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"
        )
    except OSError:
        os.unlink("/dev/ptmx")  # this kernel gives no terminals to a namespace; few programs want one


def _lay(image: str, target: str) -> None:
    """Lays the directory `image` over the directory `target`: directories merge, the image's files win."""
    fresh = []
    for name in sorted(os.listdir(image)):
        above, below = os.path.join(image, name), os.path.join(target, name)
        if target == "/" and name in _NOT_OF_AN_IMAGE:
            continue
        is_directory = os.path.isdir(above) and not os.path.islink(above)
        if is_directory and os.path.isdir(below):
            _lay(above, below)
        elif is_directory or os.path.islink(above) or os.path.islink(below) or not os.path.isfile(below):
            fresh.append(name)
        else:
            _put(above, below)
    if fresh and not os.access(target, os.W_OK):
        _open_up(target, fresh)
    for name in fresh:
        below = os.path.join(target, name)
        if os.path.islink(below):
            os.unlink(below)
        _put(os.path.join(image, name), below)


def _open_up(target: str, without: list[str]) -> None:
    """Turns the read-only directory `target` into a tmpfs that shows the same entries, but for `without`."""
    before = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    names = os.listdir(target)
    syscalls.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name in names:
        if name not in without:
            _put(f"/proc/self/fd/{before}/{name}", os.path.join(target, name))
    os.close(before)
