# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker that the settings ask for."""

from __future__ import annotations

import hashlib
import os

from pachd_embedded.settings import Settings
from pachd_embedded.workers.container import ContainerWorker
from pachd_embedded.workers.process import ProcessWorker
from pachd_embedded.workers.worker import Worker


def make_worker(settings: Settings) -> Worker:
    data_dir = os.path.realpath(settings.data_dir)
    # What it makes outside of the data directory has this in its name, and is found again after a crash.
    mark = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    if settings.worker == "container":
        return ContainerWorker(settings.container_engine, mark, settings.container_network, settings.data_dir)
    return ProcessWorker(settings.images, settings.private_pfs, [settings.data_dir], mark)
