# SPDX-License-Identifier: GPL-3.0-or-later
"""The server as one object: storage, PFS, PPS and the gRPC port. Starts in-process as well as by __main__."""

from __future__ import annotations

import ipaddress
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from pachyderm_sdk.api import admin, auth, pfs, pps, version

from .journal import Journal
from .pfs.service import Pfs
from .pps.service import Pps
from .rpc import handler_for
from .servicers.cluster import AdminServicer, AuthServicer, VersionServicer
from .servicers.pfs import PfsServicer
from .servicers.pps import PpsServicer
from .store.db import Database
from .workers.gpus import GpuPool
from .workers.process import ProcessWorker

# Calls that wait (inspect with wait, subscribe) each hold a thread for as long as they wait, and what they
# wait for needs one too. A thread is made when a call finds none idle.
CALL_THREADS = 1000
# As the real pachd: 20 MiB a message.
MESSAGE_BYTES = 20 << 20


class StartError(Exception):
    """The server cannot start; the text names the setting and says what to do."""


@dataclass(frozen=True)
class Settings:
    """`gpus`: a number of simulated devices, None for the real ones. Port 0 in `address` picks a free one."""

    data_dir: Path
    address: str = "127.0.0.1:30650"
    gpus: int | None = 0
    images: dict[str, Path] = field(default_factory=dict)
    journal: Path | None = None
    private_pfs: bool = False
    insecure: bool = False


class Server:
    """Running from the moment it is made until `stop`."""

    def __init__(self, settings: Settings) -> None:
        host, port = split_address(settings.address)
        if not settings.insecure and not is_loopback(host):
            raise StartError(
                f"--address {settings.address}: only loopback is served, because a pipeline is a command"
                " that runs on this machine; add --insecure to listen there all the same"
            )
        worker = ProcessWorker(settings.images, settings.private_pfs, [settings.data_dir])
        missing = worker.check()
        if missing:
            raise StartError(missing)
        self._db = Database(settings.data_dir)
        self._journal = Journal(settings.journal)
        self._pfs = Pfs(self._db, settings.data_dir)
        self._gpus = GpuPool(settings.gpus)
        self._pps = Pps(self._db, self._pfs, worker, self._gpus, settings.data_dir)
        self._grpc = grpc.server(
            ThreadPoolExecutor(CALL_THREADS, "call"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
            ],
        )
        self._grpc.add_generic_rpc_handlers(self._handlers())
        try:
            self.port = self._grpc.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            self._close_storage()
            raise StartError(
                f"--address {settings.address}: cannot listen there, probably because another program does"
            ) from None
        self.address = f"{host}:{self.port}"
        self._pps.start()
        self._grpc.start()

    def stop(self, grace: float = 1.0) -> None:
        """Refuse new calls, give running ones `grace` seconds, stop the workers, close the storage."""
        stopped = self._grpc.stop(grace)
        self._pps.stop()
        self._db.close_waiters()
        stopped.wait()
        self._close_storage()

    def _close_storage(self) -> None:
        self._journal.close()
        self._db.close()

    def _handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        servicers = (
            (pfs, PfsServicer(self._pfs)),
            (pps, PpsServicer(self._pps)),
            (version, VersionServicer()),
            (admin, AdminServicer(self._cluster_id(), self._gpus.total)),
            (auth, AuthServicer()),
        )
        return tuple(handler_for(module, servicer, self._journal) for module, servicer in servicers)

    def _cluster_id(self) -> str:
        """An id that stays with the data directory, so that clients notice when it is another one."""
        with self._db.transaction():
            self._db.execute("INSERT OR IGNORE INTO setting VALUES ('cluster_id', ?)", uuid.uuid4().hex)
            row = self._db.row("SELECT value FROM setting WHERE name = 'cluster_id'")
        assert row is not None
        return str(row["value"])


def split_address(address: str) -> tuple[str, int]:
    """("127.0.0.1", 30650) for "127.0.0.1:30650"; an IPv6 host stands in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise StartError(
            f"--address {address}: give HOST:PORT, for instance 127.0.0.1:30650 (port 0 picks one)"
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
