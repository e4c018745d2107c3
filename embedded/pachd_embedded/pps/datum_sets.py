# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datums a worker takes at once: datum_set_spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .datums import Datum


def datum_sets(datums: list[Datum], spec: Any, workers: int) -> Iterator[list[Datum]]:
    """Sets in the order of the datums: of `size_bytes` of input each, else of `number`; else of one datum.

    `per_worker` is how many sets each worker is to get, where neither of the others is given.
    """
    size_bytes = spec.size_bytes if spec else 0
    number = spec.number if spec else 0
    if spec and spec.per_worker and not number and not size_bytes:
        number = len(datums) // (spec.per_worker * workers)
    batch: list[Datum] = []
    read = 0
    for datum in datums:
        full = read >= size_bytes if size_bytes > 0 else len(batch) >= max(1, number)
        if batch and full:
            yield batch
            batch, read = [], 0
        batch.append(datum)
        read += sum(file.size for file in datum.files)
    if batch:
        yield batch
