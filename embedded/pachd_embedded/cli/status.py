# SPDX-License-Identifier: GPL-3.0-or-later
"""status: what a data directory holds and, where a server has it, how that is doing. Changes nothing."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .common import CommandError, add_data_dir, ask_server


def add(commands: Any) -> None:
    parser = commands.add_parser("status", help="what a data directory holds, and who serves it")
    parser.set_defaults(run=run)
    add_data_dir(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    from ..figures import NoDataError, figures_at_rest
    from ..operations import versions

    status = ask_server(options.data_dir, "GET", "/status")
    if status is None:
        try:
            found = figures_at_rest(options.data_dir)
        except NoDataError as error:
            raise CommandError(str(error)) from None
        idle = {"address": "", "control": "", "pid": None, "started": None, "worker": "", "gpus": None}
        status = {
            "state": "stopped",
            "data_dir": str(options.data_dir.absolute()),
            **versions(),
            **idle,
            **found,
        }
    print(json.dumps(status, indent=2) if options.json else table(status))
    return 0


def table(status: dict[str, Any]) -> str:
    """For people: a line for each thing."""
    gpus = status["gpus"]
    lines = {
        "state": status["state"],
        "address": status["address"] or "-",
        "process": status["pid"] or "-",
        "data": status["data_dir"],
        "version": f"{status['version']}, as Pachyderm {status['pachyderm']}",
        "worker": status["worker"] or "-",
        "GPUs": f"{gpus['in_use']} of {gpus['total']} in use" if gpus else "-",
        "repos": f"{status['repos']} in {status['projects']} projects",
        "commits": f"{status['commits']}, {status['open_commits']} of them open",
        "pipelines": _states(status["pipelines"]),
        "jobs": _states(status["jobs"]),
        "disk": f"{_size(status['disk']['content_bytes'])} content,"
        f" {_size(status['disk']['metadata_bytes'])} metadata",
    }
    return "\n".join(f"{name:<10} {value}" for name, value in lines.items())


def _states(counts: dict[str, int]) -> str:
    """{"JOB_SUCCESS": 3} -> "3 success"."""
    return ", ".join(f"{n} {state.partition('_')[2].lower()}" for state, n in counts.items()) or "none"


def _size(count: float) -> str:
    """In powers of 1000: 391.4 kB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
