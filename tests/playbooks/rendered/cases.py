# SPDX-License-Identifier: GPL-3.0-or-later
"""All tables of cases by name; each is rendered in one run of Ansible (two if some are in check mode)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from . import cases_docker, cases_driver
from .bad_values import BAD, options
from .harness import Case
from .situations import REFUSED, SITUATIONS

# Nodes that each such option counts for, as far as it does anything by itself.
AS_TEXT: dict[str, Case] = {
    "replaced while in use": REFUSED["replaced while in use"][0],
    "older than installed": REFUSED["older than installed"][0],
    "rerun": SITUATIONS["rerun"],
    "usable": SITUATIONS["usable"],
    "no GPU": SITUATIONS["no GPU"],
    "docker: no GPU": SITUATIONS["docker: no GPU"],
    "docker: bare": cases_docker.ROWS["debian12 docker"].case(),
    "docker: older than installed": REFUSED["docker: older than installed"][0],
    "docker: usable": SITUATIONS["docker: usable"],
}


def spelled(case: Case, as_text: bool) -> Case:
    """With each boolean and number of its role as it is by default, or as the text of that."""
    values: dict[str, Any] = {
        name: option["default"]
        for name, option in options(case.role).items()
        if option.get("type") in ("bool", "int") and option.get("default") is not None
    }
    values |= {name: value for name, value in case.variables.items() if name in values}
    given = {name: str(value).lower() if as_text else value for name, value in values.items()}
    return dataclasses.replace(case, variables={**case.variables, **given})


TABLES: dict[str, Mapping[str, Case]] = {
    "driver": {name: row.case() for name, row in cases_driver.ROWS.items()},
    "driver in check mode": {name: cases_driver.ROWS[name].case(check=True) for name in cases_driver.CHECKED},
    "docker": {name: row.case() for name, row in cases_docker.ROWS.items()},
    "docker in check mode": {name: cases_docker.ROWS[name].case(check=True) for name in cases_docker.CHECKED},
    "bad variables": BAD,
    "texts": {
        f"{name}, {kind}": spelled(case, kind == "as text")
        for name, case in AS_TEXT.items()
        for kind in ("given", "as text")
    },
    "refused": {name: case for name, (case, _) in REFUSED.items()},
    "situations": SITUATIONS,
}
