# SPDX-License-Identifier: GPL-3.0-or-later
"""A port forward that outlives the module. PRIVATE to the collection: it may change at any time.

A child process listens on loopback and opens a stream to a ready pod for each connection, so it survives that
pachd's pod is replaced. It holds a lock on its file: whether it lives is asked of the lock, never of a number
in a file. It ends `lifetime` seconds after it was last asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ._errors import PachydermError
from ._kubernetes import Kubernetes
from ._kubernetes_config import api_client
from ._kubernetes_pods import is_ready
from ._kubernetes_pods import select as select_by

_BYTES = 64 * 1024
_TICK = 1.0
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """The pods of `labels` in `namespace`, and the port of theirs."""

    namespace: str
    labels: Mapping[str, str]
    port: int

    @property
    def selector(self) -> str:
        return select_by(self.labels)


class Forward:
    """The forward whose file is `path`; it need not run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def port(self) -> int | None:
        """Where it listens, None if it does not run. Its life begins anew."""
        with self._file() as file:
            end = time.monotonic() + _PATIENCE
            while time.monotonic() < end:
                if _take(file):
                    self._remove(file)
                    return None
                # Another one that is just being started has not written it yet.
                with contextlib.suppress(ValueError, KeyError, OSError):
                    port = int(json.loads(self.path.read_text(encoding="utf-8"))["port"])
                    os.utime(self.path)
                    with socket.create_connection(("127.0.0.1", port), timeout=1):
                        return port
                time.sleep(0.05)
        raise PachydermError(f"port_forward: that of {self.path} does not answer; end it by state absent")

    def start(self, params: Mapping[str, Any], target: Target, port: int, lifetime: int) -> int:
        """Starts it; returns where it listens. Raises PachydermError."""
        for library in ("kubernetes.stream", "kubernetes.client"):
            importlib.import_module(library)
        with self._file() as file, socket.socket() as listener:
            if not _take(file) or not self._is(file):
                running = self.port()
                return self.start(params, target, port, lifetime) if running is None else running
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                self._remove(file)
                raise PachydermError(
                    f"port: {port} of 127.0.0.1: {error.strerror}; 0 takes a free one"
                ) from error
            listener.listen()
            taken = int(listener.getsockname()[1])
            # Of one that was killed it is old, and the child's life is counted from it.
            os.utime(self.path)
            pid = os.fork()
            if pid == 0:
                _serve(self.path, params, target, listener, lifetime)
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"pid": pid, "port": taken}))
            file.flush()
        return taken

    def stop(self) -> bool:
        """Ends it; whether it ran."""
        with self._file() as file:
            running = not _take(file)
            if running:
                with contextlib.suppress(ValueError, KeyError, OSError):
                    os.kill(int(json.loads(self.path.read_text(encoding="utf-8"))["pid"]), signal.SIGTERM)
                end = time.monotonic() + _PATIENCE
                while not _take(file):
                    if time.monotonic() > end:
                        raise PachydermError(f"port_forward: the process of {self.path} does not end")
                    time.sleep(0.02)
            self._remove(file)
        return running

    @contextlib.contextmanager
    def _file(self) -> Iterator[Any]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            yield file

    def _is(self, file: Any) -> bool:
        """Whether this is the file at `path` still. Only who has its lock removes it."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        return False

    def _remove(self, file: Any) -> None:
        """Takes away the file of one that does not run; its lock is held."""
        if self._is(file):
            self.path.unlink()


def _take(file: Any) -> bool:
    """Whether the lock could be had. It is shared with the child, and held as long as one of both has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serve(
    path: Path, params: Mapping[str, Any], target: Target, listener: socket.socket, lifetime: int
) -> NoReturn:
    """The child. It never returns into the module's code."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Ansible waits for these to be closed.
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        while time.time() < path.stat().st_mtime + lifetime:
            if select.select([listener], [], [], _TICK)[0]:
                connection, _address = listener.accept()
                threading.Thread(target=_carry, args=(params, target, connection), daemon=True).start()
        path.unlink()
    finally:
        os._exit(0)


def _carry(params: Mapping[str, Any], target: Target, connection: socket.socket) -> None:
    """One connection, to a pod that is ready now. Whatever fails ends it, and the client connects anew."""
    with connection, contextlib.suppress(Exception):
        pod = ready_pod(Kubernetes(params), target)
        # Of its own: the package hangs its stream on the client that it is given.
        client, _context = api_client(params)
        api = importlib.import_module("kubernetes.client").CoreV1Api(client)
        stream = importlib.import_module("kubernetes.stream").portforward(
            api.connect_get_namespaced_pod_portforward, pod, target.namespace, ports=str(target.port)
        )
        far = stream.socket(target.port)
        far.setblocking(True)
        ends = {connection: far, far: connection}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = end.recv(_BYTES)
                if not data:
                    stream.close()
                    return
                ends[end].sendall(data)


def ready_pod(client: Kubernetes, target: Target) -> str:
    """Name of a ready pod. Raises PachydermError."""
    pods = client.list(f"/api/v1/namespaces/{target.namespace}/pods", labelSelector=target.selector)
    for pod in pods:
        if is_ready(pod):
            return str(pod["metadata"]["name"])
    raise PachydermError(f"port_forward: no pod {target.selector} of namespace {target.namespace} is ready")
