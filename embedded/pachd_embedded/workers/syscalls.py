# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of Linux that Python 3.11 has no function for: namespaces, mounts, capabilities.

Every function raises OSError whose `filename` says what was asked for. Numbers are those of the
kernel's own headers (linux/mount.h, linux/sched.h, linux/prctl.h, linux/capability.h).
"""

from __future__ import annotations

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

# What user code may do in its own namespaces: what a container is given by default, without making
# device nodes, raw sockets and chroot (the way out of a root that pivot_root could not change).
# CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE,
# AUDIT_WRITE and SETFCAP.
_KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 29, 31})

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture; glibc has a function since 2.36
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SYS_LANDLOCK_CREATE_RULESET, _SYS_LANDLOCK_RESTRICT_SELF = 444, 446  # on every architecture as well
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1, 2
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def unshare(flags: int) -> None:
    what = "user, mount and pid namespaces" if flags & CLONE_NEWUSER else "mount and pid namespaces"
    _done(_libc.unshare(flags), f"unshare of {what}")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(kind), ctypes.c_ulong(flags), _bytes(data))
    _done(result, f"mount of {kind or source or 'nothing'} on {target}")


def detach(target: str) -> None:
    """Takes the mount at `target`, with all below it, out of this namespace."""
    _done(_libc.umount2(_bytes(target), MNT_DETACH), f"umount of {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    _done(_libc.pivot_root(_bytes(new_root), _bytes(put_old)), "pivot_root")


def restrict(target: str, flags: int) -> None:
    """Adds `flags` (MS_RDONLY, MS_NOSUID, MS_NODEV) to the mount at `target` and to all below it."""
    # The three flags have the same values as mount_setattr's own attributes.
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        _bytes(target),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result < 0:  # Linux before 5.12, or a container's filter that does not know the call
        for path, present in _mounts_under(target):
            mount(None, path, None, MS_REMOUNT | MS_BIND | flags | present)


def _mounts_under(target: str) -> list[tuple[str, int]]:
    """The mount points at and below `target` with the flags they have (a remount must keep these)."""
    known = {b"ro": MS_RDONLY, b"nosuid": MS_NOSUID, b"nodev": MS_NODEV, b"noexec": MS_NOEXEC}
    known |= {b"noatime": 1024, b"nodiratime": 2048, b"relatime": 1 << 21}
    wanted = os.fsencode(os.path.realpath(target))
    found = []
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields = line.split(b" ")
            point = fields[4]
            for escaped, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
                point = point.replace(escaped, plain)
            if point == wanted or point.startswith(wanted + b"/"):
                flags = sum(known.get(option, 0) for option in fields[5].split(b","))
                found.append((os.fsdecode(point), flags))
    return found


def die_with_parent() -> None:
    _done(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent has ended."""
    _done(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1)), "prctl(PR_SET_CHILD_SUBREAPER)")


def default_signals() -> None:
    """Undoes what Python does to signals at its start: programs expect them as a shell leaves them."""
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        _libc.signal(ctypes.c_int(number), ctypes.c_void_p(0))


def drop_capabilities() -> None:
    """Leaves this process, and all that it will start, only the capabilities of user code."""
    number = 0
    while number in _KEPT_CAPABILITIES or _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number)) == 0:
        number += 1  # ends at the first number that this kernel has no capability for
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    kept = sum(1 << capability for capability in _KEPT_CAPABILITIES)
    sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)  # effective, permitted, inheritable; then 32-63
    _done(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset")


def keep_to_itself() -> None:
    """Keeps this process from what no namespace of its own separates: sockets by name, keys, signals.

    Abstract sockets, such as those of a desktop, belong to the network, which is the machine's own. Linux
    6.12 can forbid all that were made outside; an older one cannot, and nothing is lost but that.
    """
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number is not None:
        _libc.syscall(ctypes.c_long(number), ctypes.c_int(_KEYCTL_JOIN_SESSION_KEYRING), None)
    rules = (ctypes.c_uint64 * 3)(0, 0, _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL)
    create = ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET)
    fd = _libc.syscall(create, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    if fd < 0:
        return
    _done(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), *[ctypes.c_ulong(0)] * 3), "no new privileges")
    restrict_self = ctypes.c_long(_SYS_LANDLOCK_RESTRICT_SELF)
    _done(_libc.syscall(restrict_self, ctypes.c_int(fd), ctypes.c_uint32(0)), "landlock")
    os.close(fd)
