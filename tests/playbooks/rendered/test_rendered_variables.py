# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad variables: each is refused by its name before a node is touched."""

from __future__ import annotations

import re

import pytest

from .bad_values import BAD
from .cases import AS_TEXT
from .conftest import Rendering
from .harness import Rendered


@pytest.mark.parametrize("name", BAD)
def test_a_bad_variable_is_refused_by_name_before_a_node_is_touched(name: str, rendering: Rendering) -> None:
    done = rendering("bad variables")[name]
    variable = name.split(": ", 1)[0]
    assert variable in done.failure, done.said
    assert done.writes() == []


def told(done: Rendered) -> str:
    """What a node was asked and why it failed, without its name; modules read booleans out of texts."""
    return re.sub(r"node\d+|'", "", f"{done.failure} {done.calls}".lower())


@pytest.mark.parametrize("name", AS_TEXT)
def test_a_boolean_or_number_that_is_a_text_is_that_one(name: str, rendering: Rendering) -> None:
    """`-e nvidia_driver_replace_in_use=false` is a text, which is true in itself."""
    given, texts = (rendering("texts")[f"{name}, {kind}"] for kind in ("given", "as text"))
    assert given.calls
    assert told(texts) == told(given)
