# SPDX-License-Identifier: GPL-3.0-or-later
"""All tables of cases by name; each is rendered in one run of Ansible (two if some are in check mode)."""

from __future__ import annotations

from collections.abc import Mapping

from .cases_driver import ROWS as DRIVER_ROWS
from .harness import Case

TABLES: dict[str, Mapping[str, Case]] = {
    "driver": {name: row.case() for name, row in DRIVER_ROWS.items()},
    "driver in check mode": {name: row.case(check=True) for name, row in DRIVER_ROWS.items()},
}
