# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests at the edge of what the API takes, of which no measurement says what pachd makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps


@pytest.mark.parametrize("name", ["master^" + "9" * 5_000, "master." + "9" * 5_000, "master^\u0663"])
def test_an_offset_that_is_no_integer_of_pachd(data: Any, refused: Any, name: str) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "invalid commit "):
        data.info(name)


def test_a_file_that_is_copied_to_the_root_is_not_seen(data: Any) -> None:
    """As with one that is added there; the commit stays readable."""
    data.put({"/a": b"1", "/d/b": b"2"})
    data.modify([pfs.CopyFile(dst="/", src=data.file("/a"))])
    assert (data.info().error, data.walk()) == ("", ["/", "/a", "/d/", "/d/b"])


@pytest.mark.parametrize("node", [pps.Input(cross=[pps.Input()]), pps.Input(union=[pps.Input()])])
def test_datums_of_an_input_without_a_kind(client: Client, refused: Any, node: pps.Input) -> None:
    with refused(StatusCode.UNKNOWN, "unrecognized input type"):
        list(client.pps.list_datum(input=node))


def test_a_trigger_of_more_bytes_than_there_are_numbers(data: Any, refused: Any) -> None:
    data.put({"/a": b"1"})
    with refused(StatusCode.UNKNOWN, "invalid trigger size: invalid size: '9+k'"):
        data.api.create_branch(
            branch=data.branch("later"), trigger=pfs.Trigger(branch="master", size="9" * 400 + "k")
        )
