# SPDX-License-Identifier: GPL-3.0-or-later
"""From servicers to gRPC handlers: each call is logged and journalled, its error becomes a status.

A servicer is any object with methods named as those of the API, in snake case: `create_repo(request,
context)`. Streams are iterators. What no servicer has is answered UNIMPLEMENTED, with a line that names it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import grpc

from .errors import PachError, resource_exhausted, unavailable, unimplemented
from .faults import Faults
from .journal import Journal
from .rpc import SERVICES, Method, is_mutating, methods_of
from .store.full import is_full

log = logging.getLogger(__name__)

_MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Calls(grpc.GenericRpcHandler):
    """What the port serves. `serve` exchanges the servicers while it runs."""

    def __init__(self, journal: Journal, faults: Faults) -> None:
        self._journal = journal
        self._faults = faults
        self._handlers = {
            method.path: self._handler(method) for module in SERVICES for method in methods_of(module)
        }
        self._served: dict[str, Callable[..., Any]] = {}
        self._refusal: PachError | None = None
        self._running: set[grpc.ServicerContext] = set()
        self._changed = threading.Condition()

    def serve(self, servicers: Iterable[tuple[ModuleType, object]]) -> None:
        self._served = served(servicers)
        self._refusal = None

    def refuse(self, why: str) -> None:
        """Answer every new call UNAVAILABLE until `serve` is called again."""
        self._refusal = unavailable(why)

    def drain(self, grace: float) -> None:
        """Wait until no call runs; those that still do after `grace` seconds are ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, grace)
            for context in self._running:
                context.cancel()
            self._changed.wait_for(lambda: not self._running, grace)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(details.method)

    def _handler(self, method: Method) -> grpc.RpcMethodHandler:
        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            with _Call(self, method, request, context):
                fault = self._faults.draw(method)
                fault.arrive(context.is_active)
                answer = self._function(method)(fault.received(request), context)
                fault.lose_answer()
                return answer

        def streaming(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with _Call(self, method, request, context):
                fault = self._faults.draw(method)
                fault.arrive(context.is_active)
                yield from fault.sent(self._function(method)(fault.received(request), context))
                fault.lose_answer()

        return _MAKERS[method.request_streams, method.response_streams](
            streaming if method.response_streams else unary,
            request_deserializer=method.request_class.FromString,
            response_serializer=bytes,
        )

    def _function(self, method: Method) -> Callable[..., Any]:
        if self._refusal is not None:
            raise self._refusal
        function = self._served.get(method.path)
        if function is None:
            raise unimplemented(f"the embedded pachd does not serve {method.path[1:]}")
        return function

    def begin(self, context: grpc.ServicerContext) -> None:
        with self._changed:
            self._running.add(context)

    def end(self, context: grpc.ServicerContext, call: dict[str, Any], mutating: bool) -> None:
        with self._changed:
            self._running.discard(context)
            self._changed.notify_all()
        self._journal.record(call["method"], mutating, call["code"], call["ms"])
        quiet = call["code"] == "OK" and not mutating
        log.log(logging.DEBUG if quiet else logging.INFO, "call", extra=call)


def served(servicers: Iterable[tuple[ModuleType, object]]) -> dict[str, Callable[..., Any]]:
    """The functions that serve methods, by the method's path."""
    return {
        method.path: getattr(servicer, method.attribute)
        for module, servicer in servicers
        for method in methods_of(module)
        if hasattr(servicer, method.attribute)
    }


class _Call:
    """One call, from the moment that its first message is there."""

    def __init__(self, calls: Calls, method: Method, request: Any, context: grpc.ServicerContext) -> None:
        self._calls = calls
        self._method = method
        self._mutating = is_mutating(method, request)
        self._context = context
        self._start = time.monotonic()

    def __enter__(self) -> None:
        self._calls.begin(self._context)

    def __exit__(self, kind: Any, error: BaseException | None, _trace: Any) -> None:
        code = grpc.StatusCode.OK
        if is_full(error):
            log.error("%s: %s", self._method.path, error)
            error = resource_exhausted(f"no space is left for the data of the embedded pachd: {error}")
        if isinstance(error, PachError):
            code = error.code
        elif isinstance(error, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
        elif error is not None:
            code = grpc.StatusCode.INTERNAL
        ms = round((time.monotonic() - self._start) * 1000, 1)
        self._calls.end(
            self._context, {"method": self._method.path, "code": code.name, "ms": ms}, self._mutating
        )
        if isinstance(error, PachError):
            self._context.abort(error.code, error.text)
        elif code is grpc.StatusCode.INTERNAL and self._context.is_active():
            log.error("%s failed", self._method.path, exc_info=error)
            self._context.abort(code, f"the embedded pachd failed in {self._method.name}: {error}")
