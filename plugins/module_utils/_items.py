# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of declared things, or a single one. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def items(
    params: Mapping[str, Any], name: str, inherited: Sequence[str]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Each declared thing, and what precedes its options in messages: "", or "repos[1].".

    `name` is the option that takes a list. Of the options `inherited`, what an item leaves out is as outside
    of the list.
    """
    if params[name] is None:
        yield dict(params), ""
        return
    for index, item in enumerate(params[name]):
        outside = {key: params[key] for key in inherited if item.get(key) is None}
        yield {**item, **outside}, f"{name}[{index}]."
