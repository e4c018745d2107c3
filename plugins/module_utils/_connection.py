# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to pachd: deadlines, retries, errors. PRIVATE to the collection: it may change at any time.

The SDK's own client waits for ever, reads the user's environment and has one channel for all of it, so the
SDK's stubs are put on a channel of ours: each call gets a deadline, the token, and errors in one form.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from ._errors import PachdError, PachydermError, one_line
from ._options import ConnectionOptions
from ._sdk import sdk

# Seconds for a call that streams its answer: a listing of a big repo takes longer than a unary call.
_STREAM_SECONDS = 600.0
_MAX_MESSAGE_BYTES = 20 * 1024**2
# pachd answers this, now and then, when several clients start commits at the same time; a retry works.
_ROLLBACK = "commit unexpectedly resulted in rollback"
_ATTEMPTS = 4
# Seconds before the second attempt are twice as many, and so on.
_PAUSE_SECONDS = 0.1
# What gRPC itself answers for a method that a server does not have; any other text is the server's own.
_UNKNOWN_METHOD = re.compile(r"method not found|unknown (method|service)", re.IGNORECASE)
# What gRPC says of a connection over TLS that does not come about, and what that means for the options.
_TLS_FAULTS = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is of no authority in ca_cert (unset: none known to gRPC)",
    "Hostname Verification Check failed": "its certificate is for another host than that of pachd_address;"
    " if that is meant, give the certificate's as server_name",
    "WRONG_VERSION_NUMBER": "it does not speak TLS; use grpc:// in pachd_address",
}
# How gRPC's text begins where a name has no address.
_UNRESOLVED = re.compile("errors resolving |DNS resolution failed")
# pachd says it of a token whose time is over, as an internal error.
_EXPIRED = "token expiration is in the past"
_READS = ("Inspect", "List", "Get", "Glob", "Walk")


class Pachd:
    """An open connection. `admin`, `auth`, `pps` and so on are the SDK's stubs, with PachdErrors.

    Use it as a context manager; entering waits up to `timeout` seconds for pachd to answer.
    """

    def __init__(self, options: ConnectionOptions) -> None:
        self.options = options
        self._channel = _open_channel(options)
        self.calls = _Calls(self._channel, options)
        self.admin = sdk().admin.ApiStub(self.calls)
        self.auth = sdk().auth.ApiStub(self.calls)
        self.metadata = sdk().metadata.ApiStub(self.calls)
        self.pfs = sdk().pfs.ApiStub(self.calls)
        self.pps = sdk().pps.ApiStub(self.calls)
        self.transaction = sdk().transaction.ApiStub(self.calls)

    def __enter__(self) -> Pachd:
        try:
            self._reach()
        except BaseException:
            self._channel.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    @functools.cached_property
    def cluster_id(self) -> str:
        """Which Pachyderm it is, whatever its address. Raises PachdError."""
        return str(self.admin.inspect_cluster().id)

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Calls inside the block, also those that stream, may take `seconds` each and no more."""
        before = self.calls.seconds, self.calls.stream_seconds
        self.calls.seconds = self.calls.stream_seconds = seconds
        try:
            yield
        finally:
            self.calls.seconds, self.calls.stream_seconds = before

    def _reach(self) -> None:
        """Asks for the version until pachd answers. Raises PachydermError after the timeout."""
        options = self.options
        version = sdk().version.ApiStub(self.calls)
        end = time.monotonic() + options.timeout
        pause = 0.1
        while True:
            try:
                with self.deadline(max(end - time.monotonic(), 0.05)):
                    version.get_version()
            except PachdError as error:
                if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                    raise
                # What is wrong with TLS stays wrong.
                is_tls = any(fault in error.text for fault in _TLS_FAULTS)
                if is_tls or time.monotonic() + pause >= end:
                    raise PachydermError(
                        f"cannot reach pachd at {options.address} within {options.timeout:g} s:"
                        f" {_why(error.text, options.tls)}"
                    ) from error
            else:
                return
            time.sleep(pause)
            pause = min(2 * pause, 1.0)


class _Calls:
    """What a stub of the SDK takes for a channel: it adds token and deadline, retries, translates errors."""

    def __init__(self, channel: Any, options: ConnectionOptions) -> None:
        self._channel = channel
        self._options = options
        self._address = options.address
        self._metadata = [("authn-token", options.auth_token)] if options.auth_token else []
        self.seconds = options.timeout
        self.stream_seconds = max(options.timeout, _STREAM_SECONDS)

    def unary_unary(self, method: str, **codec: Any) -> Callable[[Any], Any]:
        return functools.partial(self._unary, method, self._channel.unary_unary(method, **codec))

    def unary_stream(self, method: str, **codec: Any) -> Callable[[Any], Iterator[Any]]:
        return functools.partial(self._stream, method, self._channel.unary_stream(method, **codec))

    def stream_unary(self, method: str, **codec: Any) -> Callable[..., Any]:
        return functools.partial(self._upload, method, self._channel.stream_unary(method, **codec))

    def stream_stream(self, method: str, **codec: Any) -> Any:
        """Of the SDK's stubs only; no module calls a method of this kind."""
        return self._channel.stream_stream(method, **codec)

    def receive(
        self, method: str, take: Callable[[Iterator[Any]], None], seconds: float, **codec: Any
    ) -> Callable[[Any], None]:
        """What stub methods with a streamed answer are, for one that is too long to be kept in memory.

        `take` gets the answer piece by piece, anew for each attempt; the call may take `seconds`.
        """
        call = self._channel.unary_stream(method, **codec)

        def send(request: Any) -> None:
            self._retried(method, lambda: take(call(request, timeout=seconds, metadata=self._metadata)))

        return send

    def _unary(self, method: str, call: Any, request: Any) -> Any:
        def once() -> Any:
            return call(request, timeout=self.seconds, metadata=self._metadata)

        return self._retried(method, once, getattr(request, "dry_run", False))

    def _stream(self, method: str, call: Any, request: Any) -> Iterator[Any]:
        """The whole answer is read before the first item is handed out, so that a retry repeats nothing."""

        def once() -> list[Any]:
            return list(call(request, timeout=self.stream_seconds, metadata=self._metadata))

        yield from self._retried(method, once)

    def _upload(self, method: str, call: Any, requests: Callable[[], Iterable[Any]], seconds: float) -> Any:
        """`requests` makes the stream anew for each attempt; the call may take `seconds`."""

        def once() -> Any:
            return call(iter(requests()), timeout=seconds, metadata=self._metadata)

        return self._retried(method, once)

    def _retried(self, method: str, once: Callable[[], Any], dry_run: bool = False) -> Any:
        is_read = dry_run or method.rsplit("/", 1)[1].startswith(_READS)
        attempt = 1
        while True:
            try:
                return once()
            except sdk().grpc.RpcError as rpc_error:
                error = self._translate(method, rpc_error)
                again = _ROLLBACK in error.text or (is_read and error.code == "UNAVAILABLE")
                if not again or attempt == _ATTEMPTS or method.endswith("/GetVersion"):
                    raise error from rpc_error
            pause(attempt)
            attempt += 1

    def _translate(self, method: str, error: Any) -> PachdError:
        code, text = error.code().name, error.details() or ""
        if code == "CANCELLED":
            # By a pachd that stops: nothing here cancels a call.
            code = "UNAVAILABLE"
        message = None
        if code == "UNAVAILABLE":
            message = f"pachd at {self._address} went away: {_reason(text)}"
        elif code == "DEADLINE_EXCEEDED":
            message = (
                f"pachd at {self._address} did not answer {method} in time; raise timeout if it is only slow"
            )
        elif code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or _EXPIRED in text:
            message = f"pachd at {self._address}: {self._refusal(code, text)}"
        elif code == "UNIMPLEMENTED" and (not text or _UNKNOWN_METHOD.search(text)):
            message = f"pachd at {self._address} does not know {method}: {text}"
        return PachdError(code, one_line(text), message)

    def _refusal(self, code: str, text: str) -> str:
        """Why pachd does not let the caller do it, and what to do."""
        whose = self._options.token_from
        if code == "PERMISSION_DENIED":
            # What follows is about pachctl.
            return f"{text.partition('. Run `pachctl')[0]}; have it granted, or use another's auth_token"
        if not self._options.auth_token:
            return "it wants a token, since authentication is active; give auth_token"
        if _EXPIRED in text:
            return f"{whose} has expired; get a new one"
        return f"it does not accept {whose}: {text}"


def pause(attempt: int) -> None:
    """Lets time pass after attempt number `attempt`, from 1."""
    time.sleep(_PAUSE_SECONDS * 2**attempt)


def _open_channel(options: ConnectionOptions) -> Any:
    grpc = sdk().grpc
    settings: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    if options.is_loopback:
        settings.append(("grpc.enable_http_proxy", 0))
    if not options.tls:
        return grpc.insecure_channel(options.target, options=settings)
    if options.server_name:
        settings.append(("grpc.ssl_target_name_override", options.server_name))
    credentials = grpc.ssl_channel_credentials(root_certificates=options.ca_cert)
    return grpc.secure_channel(options.target, credentials, options=settings)


def _why(text: str, tls: bool) -> str:
    """Why pachd is not reached, and what to look at."""
    for found, meaning in _TLS_FAULTS.items():
        if found in text:
            return meaning
    if "Socket closed" in text and not tls:
        return "it closed the connection; use grpcs:// in pachd_address if it speaks TLS"
    if _UNRESOLVED.match(text):
        return "the name of its host is not known here; is pachd_address right?"
    return f"{_reason(text)}; is it running, and is pachd_address right?"


def _reason(text: str) -> str:
    """The part of gRPC's long text that says why no connection came about."""
    return one_line(text.rsplit("last error: ", 1)[-1]).removeprefix("UNKNOWN: ") or "no answer"
