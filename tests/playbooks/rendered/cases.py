# SPDX-License-Identifier: GPL-3.0-or-later
"""All tables of cases by name; each is rendered in one run of Ansible (two if some are in check mode)."""

from __future__ import annotations

from collections.abc import Mapping

from . import cases_docker, cases_driver
from .bad_values import BAD
from .harness import Case
from .situations import REFUSED, SITUATIONS

TABLES: dict[str, Mapping[str, Case]] = {
    "driver": {name: row.case() for name, row in cases_driver.ROWS.items()},
    "driver in check mode": {name: cases_driver.ROWS[name].case(check=True) for name in cases_driver.CHECKED},
    "docker": {name: row.case() for name, row in cases_docker.ROWS.items()},
    "docker in check mode": {name: cases_docker.ROWS[name].case(check=True) for name in cases_docker.CHECKED},
    "bad variables": BAD,
    "refused": {name: case for name, (case, _) in REFUSED.items()},
    "situations": SITUATIONS,
}
