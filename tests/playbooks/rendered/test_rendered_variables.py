# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad variables: each is refused by its name before a node is touched."""

from __future__ import annotations

import pytest

from .bad_values import BAD
from .conftest import Rendering


@pytest.mark.parametrize("name", BAD)
def test_a_bad_variable_is_refused_by_name_before_a_node_is_touched(name: str, rendering: Rendering) -> None:
    done = rendering("bad variables")[name]
    variable = name.split(": ", 1)[0]
    assert variable in done.failure, done.said
    assert done.writes() == []
