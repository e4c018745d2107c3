# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of lists that requests ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from ..errors import unknown

T = TypeVar("T")


def at_most(number: int) -> int | None:
    """The `number` of a request for the first so many of a list, where 0 means all of it."""
    if number < 0:
        raise unknown("number must be non-negative")
    return number or None


def page_of(items: Iterable[T], page: Any) -> Iterator[T]:
    """The part of a list that a request's page, if it has one, asks for."""
    if not page or not page.page_size:
        return iter(items)
    if page.page_size < 0 or page.page_index < 0:
        raise unknown("page size and page index must be non-negative")
    return islice(
        items, *(min(page.page_size * n, sys.maxsize) for n in (page.page_index, page.page_index + 1))
    )
