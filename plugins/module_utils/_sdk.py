# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that imports the Pachyderm SDK. PRIVATE to the collection: it may change at any time.

It is imported when a connection is made: documentation and errors in options need no SDK, and no time for it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType

from ._errors import LibraryMissingError


@dataclass(frozen=True, slots=True)
class Sdk:
    """The modules of gRPC and of the SDK that hold messages and stubs."""

    grpc: ModuleType
    admin: ModuleType
    auth: ModuleType
    metadata: ModuleType
    pfs: ModuleType
    pps: ModuleType
    transaction: ModuleType
    version: ModuleType


@functools.cache
def sdk() -> Sdk:
    """Imports the SDK on the first call. Raises LibraryMissingError."""
    try:
        import grpc
        from pachyderm_sdk.api import admin, auth, metadata, pfs, pps, transaction, version
    except ImportError as error:
        raise LibraryMissingError("pachyderm-sdk", str(error)) from error
    return Sdk(grpc, admin, auth, metadata, pfs, pps, transaction, version)
