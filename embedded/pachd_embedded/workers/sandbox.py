# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that runs one datum's user code: forked from the nursery, once for each datum.

Three processes, so that each can die and take the rest along:

- the keeper, child of the nursery: makes the namespaces and waits. It ends the datum when the code has
  ended, or when the server closes the `life` pipe, by a decision or by its own death;
- the init, first process of the pid namespace: builds the root directory, starts the code, collects
  orphans. When it ends, the kernel ends all that is left in the namespace, background processes too;
- the user code.

With `private_paths` there are no namespaces, and the keeper ends what is left itself.

What happens is written to the `status` pipe, one line each: `keeper PID`, `setup TEXT` (the sandbox could not
be made), `started`, `exec TEXT` (the code could not be started), `exit CODE`, `signal NUMBER`.
"""

from __future__ import annotations

import errno
import marshal
import os
import resource
import select
import signal
from typing import Any, NoReturn

from pachd_embedded.workers import rootfs, syscalls
from pachd_embedded.workers.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
)

# Why a kernel may refuse a user namespace to root as well: a chroot or a container's filter (EPERM),
# a limit of zero (ENOSPC), a kernel built without them (EINVAL).
_REFUSALS = (errno.EPERM, errno.ENOSPC, errno.EINVAL)


def main(description_fd: int, life_fd: int, status_fd: int, entrances: list[int]) -> None:
    """Runs the datum that the file `description_fd` describes: a marshalled dict, see process.py.

    `entrances` are files of the control groups that the code is to enter.
    """
    with os.fdopen(description_fd, "rb") as file:
        description: dict[str, Any] = marshal.load(file)  # the server's own words
    description["entrances"] = entrances
    say(status_fd, f"keeper {os.getpid()}")
    syscalls.default_signals()
    own_users = False
    try:
        if description["private_paths"]:
            syscalls.adopt_orphans()
        else:
            own_users = _new_namespaces()
        alive, init_alive = os.pipe()
        init = os.fork()
    except OSError as error:
        say(status_fd, f"setup {_text(error)}")
        return
    if init == 0:
        os.close(alive)
        _be_init(description, status_fd, own_users)
    os.close(init_alive)
    _wait_for_end(alive, life_fd)
    os.kill(init, signal.SIGKILL)
    os.waitpid(init, 0)  # of a pid namespace: returns when every process in it is gone
    if description["private_paths"]:
        _end_children()


def _new_namespaces() -> bool:
    """Leaves the server's namespaces; True when with a user namespace, in which this user is root."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
    try:
        syscalls.unshare(flags | CLONE_NEWUSER)
    except OSError as error:
        if uid != 0 or error.errno not in _REFUSALS:
            raise
        try:
            syscalls.unshare(flags)
        except OSError:
            raise error from None  # the refusal that somebody can do something about
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    return True


def _wait_for_end(alive: int, life_fd: int) -> None:
    """Returns when the process that holds the other end of `alive` has ended or the server wants an end."""
    poll = select.poll()
    poll.register(alive, select.POLLHUP)
    poll.register(life_fd, select.POLLHUP)
    poll.poll()


def _end_children() -> None:
    """Kills every child, among them the orphans that came to this process, until there is none."""
    own = str(os.getpid())
    while True:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    parent = file.read().rpartition(")")[2].split()[1]
            except OSError:
                continue  # it has ended meanwhile
            if parent == own:
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _be_init(description: dict[str, Any], status_fd: int, own_users: bool) -> NoReturn:
    """The first process of the pid namespace."""
    try:
        syscalls.die_with_parent()
        if not description["private_paths"]:
            rootfs.build(
                description["scratch"],
                description["image"],
                description["places"],
                description["mounts"],
                description["devices"],
                own_users,
            )
        say(status_fd, "started")
        code = os.fork()
        if code == 0:
            _become_code(description, status_fd)
        ended, status = os.wait()
        while ended != code:
            ended, status = os.wait()
        if os.WIFSIGNALED(status):
            say(status_fd, f"signal {os.WTERMSIG(status)}")
        else:
            say(status_fd, f"exit {os.WEXITSTATUS(status)}")
    except (OSError, ValueError, RecursionError) as error:  # a path with a zero byte, or as deep as none is
        say(status_fd, f"setup {_text(error)}")
    finally:
        os._exit(0)


def _become_code(description: dict[str, Any], status_fd: int) -> NoReturn:
    """Executes the transform's cmd in this process; the texts of errors are those of Go's os/exec."""
    cmd: list[str] = description["cmd"]
    env: dict[str, str] = description["env"]
    what = f"chdir {description['working_dir']}"
    try:
        _limit(description["entrances"], description["data_bytes"])
        os.setsid()
        os.chdir(description["working_dir"])
        program = _find(cmd[0], env.get("PATH", ""))
        what = f"fork/exec {program}"
        if description["private_paths"]:
            syscalls.die_with_parent()
        else:
            syscalls.drop_capabilities()
            syscalls.keep_to_itself()
        os.execve(program, cmd, env)
    except FileNotFoundError as error:
        say(status_fd, f"exec {error}" if error.errno is None else f"exec {what}: {_reason(error)}")
    except OSError as error:
        say(status_fd, f"exec {what}: {_reason(error)}")
    except ValueError:  # a zero byte in a word, or a variable's name with "="
        say(status_fd, f"exec {what}: invalid argument")
    finally:
        os._exit(127)


def _limit(entrances: list[int], data_bytes: int | None) -> None:
    """Enters control groups by their open files, and sets what a process can limit by itself."""
    for fd in entrances:
        os.write(fd, b"0")
        os.close(fd)
    if data_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def _find(name: str, path: str) -> str:
    """The program that `name` means; a name without a slash is looked for in PATH.

    Raises FileNotFoundError without an errno, its text complete, where no directory of PATH has it.
    """
    if "/" in name:
        return name
    for directory in path.split(":"):
        program = os.path.join(directory, name)
        if directory and os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    raise FileNotFoundError(f'exec: "{name}": executable file not found in $PATH')


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def say(status_fd: int, text: str) -> None:
    """A line for the server."""
    os.write(status_fd, os.fsencode(text.replace("\n", " ")) + b"\n")
