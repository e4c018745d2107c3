# SPDX-License-Identifier: GPL-3.0-or-later
"""For each option of each module that talks to pachd: set, again, changed, omitted, absent, absent again."""

from __future__ import annotations

from . import (
    branch,
    commit,
    connection,
    defaults,
    fetch,
    file,
    info,
    job,
    pipeline,
    prune,
    repo,
    role_binding,
    secret,
    sync,
)
from .case import Case, Left, Step, Table

OF_MODULES: list[Table] = [
    *branch.TABLES,
    *commit.TABLES,
    *defaults.TABLES,
    *fetch.TABLES,
    *file.TABLES,
    *info.TABLES,
    *job.TABLES,
    *pipeline.TABLES,
    *prune.TABLES,
    *repo.TABLES,
    *role_binding.TABLES,
    *secret.TABLES,
    *sync.TABLES,
]
OF_ALL: list[Table] = connection.TABLES

__all__ = ["OF_ALL", "OF_MODULES", "Case", "Left", "Step", "Table"]
