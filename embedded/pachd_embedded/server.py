# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as one object: what is in the core, on a gRPC port. Starts in-process as well as by `serve`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc

from .calls import Calls
from .core import Core
from .credentials import server_credentials
from .faults import Faults
from .journal import Journal
from .settings import Settings, StartError, is_loopback, split_address

__all__ = ["Server", "Settings", "StartError"]

# Calls that wait (inspect with wait, subscribe) each hold a thread for as long as they wait, and what they
# wait for needs one too. A thread is made when a call finds none idle.
CALL_THREADS = 1000
# As the real pachd: 20 MiB a message.
MESSAGE_BYTES = 20 << 20


class Server:
    """Running from the moment it is made until `stop`."""

    def __init__(self, settings: Settings) -> None:
        host, port = split_address(settings.address)
        credentials = server_credentials(settings)
        exposed = not settings.insecure and not is_loopback(host)
        if exposed and credentials is None:
            raise _not_exposed(settings, "--tls-cert, --tls-key and --auth-root-token-file")
        self._core = Core(settings)
        if exposed and not self._core.auth.active:
            self._core.close()
            raise _not_exposed(settings, "--auth-root-token-file")
        self._journal = Journal(settings.journal)
        self.faults = Faults()
        self._grpc = grpc.server(
            ThreadPoolExecutor(CALL_THREADS, "call"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
            ],
        )
        self._calls = Calls(self._journal, self.faults)
        self._calls.serve(self._core.servicers())
        self._grpc.add_generic_rpc_handlers((self._calls,))
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
        self._core.start()
        self._grpc.start()

    def stop(self, grace: float = 1.0) -> None:
        """Refuse new calls, give running ones `grace` seconds, stop the workers, close the storage."""
        stopped = self._grpc.stop(grace)
        self._core.stop()
        stopped.wait()
        self._close_storage()

    def _close_storage(self) -> None:
        self._journal.close()
        self._core.close()


def _not_exposed(settings: Settings, options: str) -> StartError:
    return StartError(
        f"--address {settings.address}: only loopback is served without TLS and auth, because a pipeline is"
        f" a command that runs on this machine; give {options}, or --insecure to listen there all the same"
    )
