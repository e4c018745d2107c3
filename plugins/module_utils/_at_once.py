# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calls at a time, where pachd has to be asked for each thing. PRIVATE: it may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_CALLS = 8


def at_once(call: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """What `call` returns for each item, in their order."""
    with ThreadPoolExecutor(_CALLS) as pool:
        return list(pool.map(call, items))


def for_each(read: Callable[[Item], Iterable[Answer]], items: Iterable[Item]) -> list[Answer]:
    """The same, where `read` returns several, as one list."""
    return [answer for answers in at_once(lambda item: list(read(item)), items) for answer in answers]
