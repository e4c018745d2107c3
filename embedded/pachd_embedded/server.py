# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as one object: what is in the core, on a gRPC port. Starts in-process as well as by `serve`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from .calls import Calls
from .control.client import SOCKET
from .control.door import Door, open_port, open_socket
from .control.routes import Routes
from .core import Core
from .credentials import server_credentials
from .faults import Faults
from .journal import Journal
from .operations import Operations
from .settings import Settings, StartError, is_loopback, split_address

__all__ = ["Server", "Settings", "StartError"]

# Calls that wait (inspect with wait, subscribe) each hold a thread for as long as they wait, and what they
# wait for needs one too. A thread is made when a call finds none idle.
CALL_THREADS = 1000
# As the real pachd: 20 MiB a message.
MESSAGE_BYTES = 20 << 20


class Server:
    """Running from the moment it is made until `stop`. `control` is the control API's address, or ""."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        host, port = split_address(settings.address)
        control = _control_address(settings)
        credentials = server_credentials(settings)
        exposed = not settings.insecure and not is_loopback(host)
        if exposed and credentials is None:
            raise _not_exposed(settings, "--tls-cert, --tls-key and --auth-root-token-file")
        self.core = Core(settings)
        if exposed and not self.core.auth.active:
            self.core.close()
            raise _not_exposed(settings, "--auth-root-token-file")
        try:
            self.journal = Journal(settings.journal)
        except OSError as error:
            self.core.close()
            raise StartError(f"--journal {settings.journal}: {error.strerror}") from None
        self.faults = Faults()
        self._grpc = grpc.server(
            ThreadPoolExecutor(CALL_THREADS, "call"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
            ],
        )
        self.calls = Calls(self.journal, self.faults)
        self.calls.serve(self.core.servicers())
        self._grpc.add_generic_rpc_handlers((self.calls,))
        try:
            place = f"{host}:{port}"
            self.port = (
                self._grpc.add_secure_port(place, credentials)
                if credentials
                else self._grpc.add_insecure_port(place)
            )
        except RuntimeError:
            self._close_storage()
            raise StartError(
                f"--address {settings.address}: cannot listen there, probably because another program does"
            ) from None
        self.address = f"{host}:{self.port}"
        self.control = ""
        self._doors: list[Door] = []
        self._routes = Routes(Operations(self))
        if control is not None:
            self._open_control(*control)
        self.core.start()
        self._grpc.start()

    def open_to_owner(self) -> None:
        """Let commands of the data directory's owner reach this process, which `stop` ends."""
        self._doors.append(open_socket(self.settings.data_dir / SOCKET, self._routes.owner))

    def _open_control(self, host: str, port: int) -> None:
        try:
            door, port = open_port(host, port, self._routes.control)
        except OSError as error:
            self._grpc.stop(0)
            self._close_storage()
            raise StartError(
                f"--control {self.settings.control}: cannot listen there: {error.strerror}"
            ) from None
        self._doors.append(door)
        self.control = f"{host}:{port}"

    def stop(self, grace: float = 1.0) -> None:
        """Refuse new calls, give running ones `grace` seconds, stop the workers, close the storage."""
        for door in self._doors:
            door.close()
        stopped = self._grpc.stop(grace)
        self.core.stop()
        stopped.wait()
        self._close_storage()

    def _close_storage(self) -> None:
        self.journal.close()
        self.core.close()


def _control_address(settings: Settings) -> tuple[str, int] | None:
    if settings.control is None:
        return None
    host, port = split_address(settings.control, "--control")
    if not is_loopback(host):
        raise StartError(
            f"--control {settings.control}: only loopback, for whoever reaches it may delete everything"
        )
    return host, port


def _not_exposed(settings: Settings, options: str) -> StartError:
    return StartError(
        f"--address {settings.address}: only loopback is served without TLS and auth, because a pipeline is"
        f" a command that runs on this machine; give {options}, or --insecure to listen there all the same"
    )
