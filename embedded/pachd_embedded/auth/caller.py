# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes the call that is being served, for all code below it.

gRPC serves each call in a context of its own (contextvars), where the guard puts its caller. While auth is
off, and in threads of the server itself (jobs, garbage collection), there is none, and all is allowed.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from pachyderm_sdk.api.auth import Permission

from ..errors import PachError
from .model import Resource


class Access(Protocol):
    """What a caller is asked for; the auth service has it."""

    def require(self, principal: str, resource: Resource, needed: tuple[Permission, ...]) -> None: ...

    def permitted(self, principal: str, resource: Resource) -> tuple[list[Permission], list[str]]: ...


_caller: ContextVar[tuple[str, Access] | None] = ContextVar("caller", default=None)


def set_caller(name: str | None, access: Access) -> None:
    """From here on the current call is this principal's; None: nobody's, since auth is off."""
    _caller.set(None if name is None else (name, access))


def principal() -> str:
    """ "" where auth is off or the server itself acts."""
    found = _caller.get()
    return found[0] if found else ""


def require(resource: Resource, *needed: Permission, prefix: str = "") -> None:
    """Raise PERMISSION_DENIED where the caller lacks one of the permissions on the resource."""
    if found := _caller.get():
        name, access = found
        try:
            access.require(name, resource, needed)
        except PachError as error:
            raise PachError(error.code, prefix + error.text) from None


def may(resource: Resource, *needed: Permission) -> bool:
    """Whether `require` would let the caller pass; errors of another kind are raised."""
    try:
        require(resource, *needed)
    except PachError as error:
        if error.code.name != "PERMISSION_DENIED":
            raise
        return False
    return True


def permitted(resource: Resource) -> tuple[list[Permission], list[str]] | None:
    """(permissions, roles) of the caller on a resource, for AuthInfo; None where auth is off."""
    found = _caller.get()
    return found[1].permitted(found[0], resource) if found else None
