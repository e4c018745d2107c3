# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the machine a datum sees: its system and the Python that runs the server, nobody's files.

Worked out once in the server, where Python is at hand, for the sandboxes to mount (rootfs.py).
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_SYSTEM = ("/bin", "/etc", "/opt", "/sbin", "/usr")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def search_path() -> str:
    """PATH of user code: first where the server's own `python` is (Debian itself has only `python3`)."""
    return f"{os.path.dirname(os.path.abspath(sys.executable))}:{_PATH}"


def places(private: Iterable[Path]) -> list[tuple[str, str]]:
    """(path, source) as rootfs.build takes them: what is shown read-only, and what is hidden in it.

    `private` are directories that no datum may see, such as the server's data. Hidden as well are the
    user's home and, where the server runs as root, what of /etc other users may not read.
    """
    shown = dict(_shown())
    hidden = {os.path.realpath(path) for path in private} | _home()
    if os.geteuid() == 0:
        hidden.update(_unreadable("/etc"))
    shown = {path: source for path, source in shown.items() if path not in hidden}
    both = [*shown.items(), *((path, "") for path in hidden if any(_is_below(path, top) for top in shown))]
    return sorted(both, key=lambda place: place[0].split("/"))


def _shown() -> Iterator[tuple[str, str]]:
    tops = [*_SYSTEM, *sorted(f"/{name}" for name in os.listdir("/") if name.startswith("lib"))]
    for path in tops:
        if os.path.islink(path):
            yield path, path  # as on most systems now: /bin is a link to usr/bin, and stays one
        elif os.path.isdir(path):
            yield path, os.path.realpath(path)
    for path in _python():
        if path != "/":
            yield path, os.path.realpath(path)
    # Often a link to a file in /run, which datums have their own of.
    resolver = os.path.normpath(os.path.join("/etc", _link("/etc/resolv.conf")))
    if os.path.isfile(resolver):
        yield resolver, os.path.realpath(resolver)


def _python() -> set[str]:
    """The directories that the running Python needs, by every name that a link on the way gives them."""
    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    program = os.path.abspath(sys.executable)
    while os.path.islink(program):
        program = os.path.normpath(os.path.join(os.path.dirname(program), _link(program)))
        found.add(os.path.dirname(os.path.dirname(program)))
    found |= {os.path.realpath(path) for path in found}
    return {path for path in found if not any(_is_below(path, other) for other in found)}


def _link(path: str) -> str:
    return os.readlink(path) if os.path.islink(path) else path


def _home() -> set[str]:
    """The home of the user that runs the server; none for the users whose home is the system itself."""
    try:
        home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return set()  # a user id that the machine has no name for, as in many containers
    return set() if home in _SYSTEM or _is_below(home, "/usr") else {home}


def _unreadable(top: str) -> Iterator[str]:
    """The files and directories under `top` that only their owner or group may read."""
    for entry in os.scandir(top):
        mode = entry.stat(follow_symlinks=False).st_mode
        if entry.is_symlink():
            continue
        needed = 0o005 if entry.is_dir() else 0o004
        if mode & needed != needed:
            yield entry.path
        elif entry.is_dir():
            yield from _unreadable(entry.path)


def _is_below(path: str, top: str) -> bool:
    return path.startswith(top + "/")
