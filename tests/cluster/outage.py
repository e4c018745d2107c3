# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that goes away in the middle of a run: for one kubeconfig only, so that others go on."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.cluster.clusters import until


class Server:
    """Carries connections to the API server of a kubeconfig until `end`, or so many of them."""

    def __init__(self, kubeconfig: Path, target: Path, connections: int | None) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        where = content["clusters"][0]["cluster"]
        address = urlsplit(where["server"])
        self.kubeconfig = target
        self._far = (str(address.hostname), int(address.port or 443))
        self._left = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended, self._ending = socket.socketpair()
        content["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{self._listener.getsockname()[1]}",
            "insecure-skip-tls-verify": True,
        }
        target.write_text(yaml.safe_dump(content))

    def end(self) -> None:
        """All at once, as when a machine goes."""
        self._ending.close()

    def carry(self) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        while self._ended not in (ready := select.select([self._ended, self._listener, *pairs], [], [])[0]):
            for one in ready:
                if one is self._listener:
                    near, _ = one.accept()
                    if self._left == 0:
                        self.end()
                        near.close()
                        continue
                    self._left = None if self._left is None else self._left - 1
                    far = socket.create_connection(self._far)
                    pairs |= {near: far, far: near}
                elif one in pairs:
                    _pass_on(one, pairs)
        for end in (self._ended, self._listener, *pairs):
            end.close()


def _pass_on(one: socket.socket, pairs: dict[socket.socket, socket.socket]) -> None:
    """What one end says, to the other; the end of one is that of both."""
    data = b""
    with suppress(OSError):
        data = one.recv(65536)
        pairs[one].sendall(data)
    if not data:
        other = pairs.pop(one)
        del pairs[other]
        one.close()
        other.close()


@contextmanager
def behind(kubeconfig: Path, target: Path, connections: int | None = None) -> Iterator[Server]:
    """A kubeconfig at `target` whose API server goes at `end`, or at the connection after so many."""
    server = Server(kubeconfig, target, connections)
    thread = threading.Thread(target=server.carry, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.end()
        thread.join(10)


@contextmanager
def once(truth: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `act` as soon as `truth` is. It must come to that."""

    def watch() -> None:
        until(truth, "what is waited for", pause=0.02)
        act()

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        yield
        watching.result()
