# SPDX-License-Identifier: GPL-3.0-or-later
"""The SDK's own stubs on servicers of this process: no port and no token, so for the operator alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pachyderm_sdk.api import pfs, pps

from ..calls import served
from ..core import Core
from ..servicers.pfs import PfsServicer
from ..servicers.pps import PpsServicer


class _Context:
    """As much of a call's context as servicers ask for. Its client never goes away."""

    def is_active(self) -> bool:
        return True

    def send_initial_metadata(self, metadata: object) -> None:
        """There is nobody to send it to."""


class _Channel:
    """Looks like a gRPC channel to a stub; what is called is the servicer's function, errors included."""

    def __init__(self, core: Core) -> None:
        self._functions = served(((pfs, PfsServicer(core.pfs)), (pps, PpsServicer(core.pps))))

    def unary_unary(self, path: str, **_options: Any) -> Callable[[Any], Any]:
        return lambda request: self._functions[path](_received(request), _Context())

    def stream_unary(self, path: str, **_options: Any) -> Callable[[Any], Any]:
        return lambda requests: self._functions[path](map(_received, requests), _Context())

    unary_stream = unary_unary
    stream_stream = stream_unary


def _received(message: Any) -> Any:
    """A message as it is at the other end of a wire, where what was left out is a default."""
    return type(message).FromString(bytes(message))


class LocalPachd:
    """`pfs` and `pps` as the SDK's client has them. Calls raise PachError."""

    def __init__(self, core: Core) -> None:
        channel = _Channel(core)
        self.pfs = pfs.ApiStub(channel)
        self.pps = pps.ApiStub(channel)
