# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes when pachd is away for a moment. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable

from ._connection import pause
from ._errors import PachdError, PachydermError
from ._plan import Plan

_ATTEMPTS = 4


def converge(plan: Plan, apply: Callable[[Plan], None], again: Callable[[], Plan]) -> None:
    """Applies `plan`. Where pachd does not answer, `again` reads and plans anew, and what is left is applied.

    A write is never simply sent again: it may have been carried out, and only its answer be lost. Raises
    PachydermError.
    """
    attempt = 1
    while True:
        try:
            apply(plan)
        except PachydermError as error:
            if not _is_away(error) or attempt == _ATTEMPTS:
                raise
        else:
            return
        pause(attempt)
        attempt += 1
        plan = again()


def _is_away(error: BaseException | None) -> bool:
    """Whether pachd gave no answer; services put what they were doing around its error."""
    while error is not None and not isinstance(error, PachdError):
        error = error.__context__
    return error is not None and error.code == "UNAVAILABLE"
