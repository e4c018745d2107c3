# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that sandboxes (sandbox.py) are forked from, so that no datum waits for Python to start.

A child of the server that has none of its memory, variables and files. A message on its socket asks for a
sandbox and brings its files along, which nobody else holds a moment later. There is no answer: a sandbox
speaks for itself. When the server ends, the kernel closes the other end of the socket, and the nursery ends
as well. Sandboxes do not need it once they are there.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from pachd_embedded.workers import sandbox

# What each sandbox is given, in this order; the entrances of control groups come after it.
FILES = ("description", "life", "status", "stdin", "output")
_MAX_FILES = len(FILES) + 8


def main(socket_fd: int) -> None:
    """Serves until the server is gone. Each sandbox is made, and ends, in here."""
    os.set_inheritable(socket_fd, False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for sandboxes
    gc.freeze()  # what is there now is looked at, and so copied, in no sandbox
    with socket.socket(fileno=socket_fd) as server:
        while True:
            asked, fds, _flags, _address = socket.recv_fds(server, 1, _MAX_FILES)
            if not asked:
                return
            try:
                child = os.fork()
            except OSError as error:
                sandbox.say(fds[FILES.index("status")], f"setup {error}")
                child = -1
            if child == 0:
                break
            for fd in fds:
                os.close(fd)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    description, life, status, stdin, output, *entrances = fds
    for fd in fds:
        os.set_inheritable(fd, False)  # Python 3.11 drops the flag by which recv_fds would have done it
    for fd, standard in ((stdin, 0), (output, 1), (output, 2)):
        os.dup2(fd, standard)
    sandbox.main(description, life, status, entrances)
    os._exit(0)  # nothing is left to be tidied up, which would take longer than all of this
