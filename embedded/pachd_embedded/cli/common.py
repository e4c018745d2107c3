# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands share: how they fail, and how they get at a data directory."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core import Core


class CommandError(Exception):
    """Ends a command with exit code 1; the text is one line for the user."""


def add_data_dir(parser: Any, required: bool = True) -> None:
    parser.add_argument("--data-dir", type=Path, required=required, help="as it was given to serve")


def seconds(text: str) -> float:
    """An option's value, none of which is below 0, "nan" or "inf"."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def ask_server(data_dir: Path, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
    """What the server of a data directory answers, None where none runs."""
    from ..control.client import AskError, ask

    try:
        return ask(data_dir, method, path, fields)
    except AskError as error:
        raise CommandError(str(error)) from None


@contextmanager
def opened(data_dir: Path) -> Iterator[Core]:
    """A data directory that no server has; none can start meanwhile."""
    from ..core import Core
    from ..figures import DATABASE
    from ..settings import Settings
    from ..store.db import DataDirError

    if not (data_dir / DATABASE).is_file():
        raise CommandError(f"{data_dir} holds no data of an embedded pachd")
    try:
        core = Core(Settings(data_dir, private_pfs=True), offline=True)
    except DataDirError as error:
        raise CommandError(str(error)) from None
    try:
        yield core
    finally:
        core.close()
