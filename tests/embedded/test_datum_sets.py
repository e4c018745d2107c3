# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datums go to a worker at once."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pps

from pachd_embedded.pps.datum_sets import datum_sets
from pachd_embedded.pps.datums import Datum, InputFile


def datum(number: int) -> Datum:
    """Of one file of 10 bytes."""
    return Datum((InputFile("d", "default", "d", "master", "c", f"/{number}", b"", False, 10),))


@pytest.mark.parametrize(
    ("spec", "sizes"),
    [
        (None, [1] * 7),
        ({}, [1] * 7),
        ({"number": 3}, [3, 3, 1]),
        ({"number": 100}, [7]),
        ({"size_bytes": 20}, [2, 2, 2, 1]),
        ({"size_bytes": 21}, [3, 3, 1]),
        ({"size_bytes": 1}, [1] * 7),
        ({"size_bytes": 20, "number": 5}, [2, 2, 2, 1]),
        ({"per_worker": 1}, [3, 3, 1]),
        ({"per_worker": 9}, [1] * 7),
        ({"per_worker": 1, "number": 4}, [4, 3]),
    ],
)
def test_sets_of_seven_datums_for_two_workers(spec: dict[str, Any] | None, sizes: list[int]) -> None:
    datums = [datum(number) for number in range(7)]
    sets = list(datum_sets(datums, pps.DatumSetSpec(**spec) if spec is not None else None, workers=2))
    assert [len(each) for each in sets] == sizes
    assert [each for datum_set in sets for each in datum_set] == datums


def test_of_no_datums_there_is_no_set() -> None:
    assert list(datum_sets([], None, workers=2)) == []
