# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything between a data directory and the wire: storage, PFS, PPS, workers, and their servicers."""

from __future__ import annotations

import uuid
from types import ModuleType

from pachyderm_sdk.api import admin, auth, enterprise, metadata, pfs, pps, transaction, version
from pachyderm_sdk.api import license as license_api

from .auth.guard import Guard
from .auth.service import Auth
from .credentials import root_token
from .metadata import Metadata
from .pfs.service import Pfs
from .pps.access import PipelineAccess
from .pps.service import Pps
from .servicers.auth import AuthServicer, PfsAuthServicer, PpsAuthServicer
from .servicers.cluster import AdminServicer, DeprecatedServicer, LicenseServicer, VersionServicer
from .servicers.metadata import MetadataServicer
from .servicers.pfs import PfsServicer
from .servicers.pps import PpsServicer
from .servicers.transactions import InTransaction, RequestRunner, TransactionServicer
from .settings import Settings, StartError, is_loopback, split_address
from .store.db import Database
from .transactions import Transactions
from .workers.choice import make_worker
from .workers.gpus import GpuPool


class Core:
    """Has the data directory alone until `close`. Pipelines run between `start` and `stop`.

    `offline`: it is only looked at and will never be started, so nothing that jobs need is asked for.
    """

    def __init__(self, settings: Settings, offline: bool = False) -> None:
        self._worker = make_worker(settings)
        if not offline and (missing := self._worker.check()):
            raise StartError(missing)
        self.db = Database(settings.data_dir)
        self.pfs = Pfs(self.db, settings.data_dir, settings.egress_dirs, settings.source_dirs)
        self.gpus = GpuPool(settings.gpus)
        self._gc_period = settings.gc_period
        self.pps = Pps(self.db, self.pfs, self._worker, self.gpus, settings.data_dir)
        token = "" if offline else root_token(settings)
        exposed = not settings.insecure and not is_loopback(split_address(settings.address)[0])
        self.auth = Auth(self.db, pinned=bool(token), required=exposed)
        if token:
            with self.db.transaction():
                self.auth.start_with(token)
                PipelineAccess(self.db, self.pps.records).activate()

    def servicers(self) -> tuple[tuple[ModuleType, object], ...]:
        """Each module of the SDK that has a service, and what serves it. A service is added here."""
        check = Guard(self.auth).guarded
        files, pipelines = check(pfs, PfsServicer(self.pfs)), check(pps, PpsServicer(self.pps))
        annotations = Metadata(self.db, self.pfs.lookup, self.pps.records)
        transactions = Transactions(self.db, self.pfs.branches)
        runner = RequestRunner(files, pipelines)
        servicers = (
            (transaction, TransactionServicer(transactions, runner)),
            (metadata, MetadataServicer(annotations)),
            (pfs, PfsAuthServicer(self.auth)),
            (pps, PpsAuthServicer(PipelineAccess(self.db, self.pps.records))),
            (version, VersionServicer()),
            (admin, AdminServicer(self._cluster_id(), self.gpus.total, annotations.cluster)),
            (auth, AuthServicer(self.auth)),
            (enterprise, DeprecatedServicer(enterprise, "enterprise")),
            (license_api, LicenseServicer()),
        )
        return (
            (pfs, InTransaction(files, transactions, runner)),
            (pps, InTransaction(pipelines, transactions, runner)),
            *((module, check(module, servicer)) for module, servicer in servicers),
        )

    def start(self) -> None:
        self._worker.start(self.db.wake)
        self.pps.start()
        self.pfs.cron_triggers.start()
        self.pfs.storage.start(self._gc_period)

    def stop(self) -> None:
        """Stop the workers and let waiting calls end; the storage can still be read."""
        self.pps.stop()
        self._worker.stop()
        self.pfs.cron_triggers.stop()
        self.pfs.storage.stop()
        self.db.close_waiters()

    def close(self) -> None:
        self.db.close()

    def _cluster_id(self) -> str:
        """An id that stays with the data directory, so that clients notice when it is another one."""
        with self.db.transaction():
            self.db.execute("INSERT OR IGNORE INTO setting VALUES ('cluster_id', ?)", uuid.uuid4().hex)
            row = self.db.row("SELECT value FROM setting WHERE name = 'cluster_id'")
        assert row is not None
        return str(row["value"])
