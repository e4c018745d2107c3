# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of the API, from the SDK's generated stubs: which there are, what goes in and comes out.

The SDK has no server classes. Its stubs name every method with its message types, so a stub made on a
channel that only records gives the table of methods.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import (
    admin,
    auth,
    debug,
    enterprise,
    identity,
    logs,
    metadata,
    pfs,
    pjs,
    pps,
    snapshot,
    storage,
    transaction,
    version,
)
from pachyderm_sdk.api import (
    license as licence,
)

_READS = ("Inspect", "List", "Get", "Glob", "Walk", "Diff", "Subscribe", "Find", "WhoAmI", "Check", "Render")

# The request is named after its method, or is Empty; but for these.
_REQUEST_OF = {
    "GetFileTAR": "GetFileRequest",
    "CreateFileSet": "ModifyFileRequest",
    "ReadFilesetCDR": "ReadFilesetRequest",
    "GetKubeEvents": "LokiRequest",
    "QueryLoki": "LokiRequest",
}

_STUBS = ("ApiStub", "DebugStub", "FilesetStub")

# Every module of the SDK that has a service of pachd's port.
SERVICES = (
    *(admin, auth, debug, enterprise, identity, licence, logs, metadata, pfs, pjs, pps),
    *(snapshot, storage, transaction, version),
)


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
        # The API says OIDC where Python's names say Oidc.
        self._classes = {name.lower(): value for name, value in vars(module).items()}
        self.methods: list[Method] = []

    def _record(self, path: str, request_streams: bool, response_streams: bool) -> None:
        name = path.rpartition("/")[2]
        request_class = self._classes.get(_REQUEST_OF.get(name, f"{name}Request").lower(), Empty)
        self.methods.append(Method(path, request_streams, response_streams, request_class))

    def unary_unary(self, path: str, **_options: Any) -> None:
        self._record(path, False, False)

    def unary_stream(self, path: str, **_options: Any) -> None:
        self._record(path, False, True)

    def stream_unary(self, path: str, **_options: Any) -> None:
        self._record(path, True, False)

    def stream_stream(self, path: str, **_options: Any) -> None:
        self._record(path, True, True)


def methods_of(module: ModuleType) -> list[Method]:
    """The methods of the service whose stub a module of the SDK holds (`ApiStub`, `DebugStub`, ...)."""
    channel = _RecordingChannel(module)
    stub = next(vars(module)[name] for name in _STUBS if name in vars(module))
    stub(channel)
    return channel.methods


def is_mutating(method: Method, request: Any) -> bool:
    """Whether a call asks the server to change something. A dry run does not."""
    reads = method.name.startswith(_READS) or method.name.endswith("Summary")
    return not reads and not getattr(request, "dry_run", False)
