# SPDX-License-Identifier: GPL-3.0-or-later
"""Before each call: who makes it, and may they?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from types import ModuleType
from typing import Any

import grpc

from ..errors import internal, unknown
from ..rpc import Method, methods_of
from .caller import require, set_caller
from .model import CLUSTER
from .rules import RULES
from .service import Auth
from .tokens import Token

# The metadata key that clients send their token under.
TOKEN_KEY = "authn-token"


class Guard:
    """Puts itself before every method of a servicer."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    def guarded(self, module: ModuleType, servicer: object) -> object:
        """The same methods, each behind a check of its caller."""
        methods = {
            method.attribute: self._behind(method, getattr(servicer, method.attribute))
            for method in methods_of(module)
            if hasattr(servicer, method.attribute)
        }
        return type("Guarded", (), {name: staticmethod(serve) for name, serve in methods.items()})()

    def _behind(self, method: Method, serve: Callable[..., Any]) -> Callable[..., Any]:
        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            self.admit(method.path, request, context)
            return serve(request, context)

        def streaming(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            first = next(requests, None)
            self.admit(method.path, first, context)
            return serve(requests if first is None else chain([first], requests), context)

        return streaming if method.request_streams else unary

    def admit(self, path: str, request: Any, context: grpc.ServicerContext) -> None:
        """Note who calls, for the code below. Raises PachError where they may not.

        `request` of a stream is its first message, None where there is none.
        """
        rule = RULES.get(path)
        if rule is None:
            raise internal(f'no auth function for "{path}", this is a bug')
        if not self._auth.active:
            set_caller(None, self._auth)
            if rule.active_only:
                self._auth.require_active()
            return
        if not rule.login:
            return
        set_caller(caller_of(self._auth, context).subject, self._auth)
        if rule.cluster:
            require(CLUSTER, *rule.cluster)
        for resource, permissions in rule.needs(request) if rule.needs else ():
            require(resource, *permissions)


def caller_of(auth: Auth, context: grpc.ServicerContext) -> Token:
    """Whose token came with a call; raises PachError where none did, or it is not valid, or auth is off."""
    tokens = [value for key, value in context.invocation_metadata() if key == TOKEN_KEY]
    if len(tokens) > 1:
        raise unknown("multiple authentication token keys found in context")
    return auth.who(str(tokens[0]) if tokens else None)
