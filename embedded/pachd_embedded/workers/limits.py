# SPDX-License-Identifier: GPL-3.0-or-later
"""resource_limits of a pipeline, as numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# Kubernetes' quantities: a number with one of these, or with an exponent.
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?")
_FACTORS = {"m": Decimal("0.001")}
_FACTORS |= {letter: Decimal(1000**power) for power, letter in enumerate("kMGTPE", 1)}
_FACTORS |= {f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", 1)}


@dataclass(frozen=True)
class Limits:
    """`memory` in bytes, `cpu` in cores; None where the spec sets none."""

    memory: int | None = None
    cpu: float | None = None


NO_LIMITS = Limits()


def limits_of(resource_limits: Any) -> Limits:
    """Of a pps.ResourceSpec. What Kubernetes could not read is no limit: pachd leaves it out of the pod."""
    memory, cpu = parse_bytes(resource_limits.memory), float(resource_limits.cpu)
    return Limits(memory if memory and memory > 0 else None, cpu if cpu > 0 else None)


def parse_bytes(text: str) -> int | None:
    """Bytes of a quantity such as "256Mi", "1.5G" or "1e9", rounded up; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, unit = Decimal(found[1]), found[2] or ""
    factor = _FACTORS.get(unit) or (Decimal(f"1{unit}") if unit else Decimal(1))
    return int((number * factor).to_integral_value("ROUND_CEILING"))
