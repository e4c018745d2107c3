# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/compatibility.md lists as refused is refused, and with that code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import grpc
import pytest

from pachd_embedded.rpc import SERVICES, Method, methods_of
from pachd_embedded.server import Server

TABLE = Path(__file__).resolve().parents[2] / "docs/compatibility/rpcs.toml"
STATES = tomllib.loads(TABLE.read_text(encoding="utf-8"))
METHODS = {method.path[1:]: method for module in SERVICES for method in methods_of(module)}
REFUSED = [
    (f"{service}/{name}", found[1])
    for service, methods in STATES.items()
    for name, state in methods.items()
    if (found := re.match(r"refused ([A-Z_]+)", state))
]


def call(address: str, method: Method) -> list[Any]:
    """The answers to an empty request."""
    request = b""
    with grpc.insecure_channel(address) as channel:
        if method.request_streams:
            kind = channel.stream_stream if method.response_streams else channel.stream_unary
            answer = kind(method.path)(iter([request]), timeout=10)
        else:
            kind = channel.unary_stream if method.response_streams else channel.unary_unary
            answer = kind(method.path)(request, timeout=10)
        return list(answer) if method.response_streams else [answer]


@pytest.mark.parametrize(("path", "code"), REFUSED)
def test_refused_methods_answer_as_the_table_says(pachd: Server, path: str, code: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(pachd.address, METHODS[path])
    assert caught.value.code().name == code
    assert re.fullmatch(r"[^\n]+", caught.value.details())
