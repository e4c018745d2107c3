# SPDX-License-Identifier: GPL-3.0-or-later
"""From the SDK's generated stubs to gRPC handlers: which methods exist, what goes in and comes out.

The SDK has no server classes. Its stubs name every method with its message types, so a stub made on a
channel that only records gives the table of methods, and a servicer is any object with methods of those
names in snake case: `create_repo(request, context)`. Streams are iterators. What a servicer lacks is
answered UNIMPLEMENTED.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
from betterproto.lib.google.protobuf import Empty

from .errors import PachError
from .journal import Journal

log = logging.getLogger(__name__)

_READS = ("Inspect", "List", "Get", "Glob", "Walk", "Diff", "Subscribe", "Find", "WhoAmI", "Check", "Render")

# The request is named after its method, or is Empty; but for these.
_REQUEST_OF = {"GetFileTAR": "GetFileRequest", "CreateFileSet": "ModifyFileRequest"}


@dataclass(frozen=True)
class Method:
    path: str
    request_streams: bool
    response_streams: bool
    request_class: Any

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def attribute(self) -> str:
        """CreatePipelineV2 -> create_pipeline_v2, GetFileTAR -> get_file_tar."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.name).lower()


class _RecordingChannel:
    """Looks like a gRPC channel to a stub; keeps what the stub asks for."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.methods: list[Method] = []

    def _record(self, path: str, request_streams: bool, response_streams: bool) -> None:
        name = path.rpartition("/")[2]
        request_class = getattr(self.module, _REQUEST_OF.get(name, f"{name}Request"), Empty)
        self.methods.append(Method(path, request_streams, response_streams, request_class))

    def unary_unary(self, path: str, **_: Any) -> None:
        self._record(path, False, False)

    def unary_stream(self, path: str, **_: Any) -> None:
        self._record(path, False, True)

    def stream_unary(self, path: str, **_: Any) -> None:
        self._record(path, True, False)

    def stream_stream(self, path: str, **_: Any) -> None:
        self._record(path, True, True)


def methods_of(module: ModuleType) -> list[Method]:
    """The methods of the service whose stub a module of the SDK holds (`ApiStub`)."""
    channel = _RecordingChannel(module)
    module.ApiStub(channel)
    return channel.methods


def is_mutating(method: Method, request: Any) -> bool:
    """Whether a call asks the server to change something. A dry run does not."""
    reads = method.name.startswith(_READS) or method.name.endswith("Summary")
    return not reads and not getattr(request, "dry_run", False)


def handler_for(module: ModuleType, servicer: object, journal: Journal) -> grpc.GenericRpcHandler:
    """A handler that serves those methods of the stub's service which `servicer` has."""
    methods = methods_of(module)
    service = methods[0].path.split("/")[1]
    handlers = {
        method.name: _handler(method, getattr(servicer, method.attribute), journal)
        for method in methods
        if hasattr(servicer, method.attribute)
    }
    return grpc.method_handlers_generic_handler(service, handlers)


def _handler(method: Method, serve: Callable[..., Any], journal: Journal) -> grpc.RpcMethodHandler:
    def unary(request: Any, context: grpc.ServicerContext) -> Any:
        with _Call(method, request, context, journal):
            return serve(request, context)

    def streaming(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with _Call(method, request, context, journal):
            yield from serve(request, context)

    kind = (method.request_streams, method.response_streams)
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[kind]
    return make(
        streaming if method.response_streams else unary,
        request_deserializer=method.request_class.FromString,
        response_serializer=bytes,
    )


class _Call:
    """One call: its error becomes a status, its end goes into the journal."""

    def __init__(self, method: Method, request: Any, context: grpc.ServicerContext, journal: Journal) -> None:
        self._method = method
        self._mutating = is_mutating(method, request)
        self._context = context
        self._journal = journal

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        code = grpc.StatusCode.OK
        if isinstance(error, PachError):
            code = error.code
        elif isinstance(error, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
        elif error is not None:
            code = grpc.StatusCode.INTERNAL
        self._journal.record(self._method.path, self._mutating, code.name)
        if isinstance(error, PachError):
            self._context.abort(error.code, error.text)
        elif code is grpc.StatusCode.INTERNAL and self._context.is_active():
            log.error("%s failed", self._method.path, exc_info=error)
            self._context.abort(code, f"the embedded pachd failed in {self._method.name}: {error}")
