# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every module shares: how to reach pachd. PRIVATE to the collection: it may change at any time.

doc_fragments/_connection.py documents them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import env_fallback

from ._errors import PachydermError
from ._pachctl_config import Context, read_context

DEFAULT_ADDRESS = "grpc://127.0.0.1:30650"
DEFAULT_PORT = 30650
MAX_SECONDS = 1e9

CONNECTION_SPEC: dict[str, Any] = {
    "pachd_address": {"type": "str", "fallback": (env_fallback, ["PACHD_ADDRESS"])},
    "auth_token": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["PACH_TOKEN", "PACH_PYTHON_AUTH_TOKEN"]),
    },
    "ca_cert": {"type": "path", "fallback": (env_fallback, ["PACHD_CA_CERT"])},
    "server_name": {"type": "str", "fallback": (env_fallback, ["PACHD_SERVER_NAME"])},
    "pach_config": {"type": "path"},
    "context": {"type": "str"},
    "timeout": {"type": "float", "default": 30.0},
}

_PLAIN_SCHEMES = ("grpc", "http")
_TLS_SCHEMES = ("grpcs", "https")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach pachd. `address` is the user's text, `target` is host:port, `timeout` is in seconds.

    `token_from` says where the token is from, for messages; `project` is the context's.
    """

    address: str
    target: str
    tls: bool
    ca_cert: bytes | None
    timeout: float
    auth_token: str | None = field(default=None, repr=False)
    token_from: str = "auth_token"
    server_name: str | None = None
    project: str | None = None

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> ConnectionOptions:
        """Reads the options of CONNECTION_SPEC. Raises PachydermError for what cannot be meant."""
        params = {**dict.fromkeys(CONNECTION_SPEC), **params}
        context = _context(params)
        address = params["pachd_address"]
        if address is None:
            address = _address_of(context)
        target, tls = parse_address(address)
        token = params["auth_token"] or context.token
        token_from = "auth_token" if params["auth_token"] else f"the session_token of {context.where}"
        _check_token(token, token_from)
        timeout = seconds(params, "timeout")
        for option in ("ca_cert", "server_name"):
            if params[option] and not tls:
                raise PachydermError(f"{option}: {address} is not encrypted; use grpcs:// in pachd_address")
        return cls(
            address=address,
            target=target,
            tls=tls,
            ca_cert=_read_ca_cert(params["ca_cert"]) or context.ca_cert,
            timeout=timeout,
            auth_token=token or None,
            token_from=token_from,
            server_name=params["server_name"] or None,
            project=context.project,
        )

    @property
    def is_loopback(self) -> bool:
        """Whether pachd is on this machine, so that no HTTP proxy of the environment may be asked."""
        return self.target.startswith(("127.", "localhost:", "[::1]:"))


def seconds(params: Mapping[str, Any], option: str) -> float:
    """The value of an option. Raises PachydermError for nan, which never ends, and what no clock holds."""
    value: float = params[option]
    if not 0 < value <= MAX_SECONDS:
        raise PachydermError(
            f"{option}: must be more than 0 seconds and at most {MAX_SECONDS:g}, not {value:g}"
        )
    return value


def _context(params: Mapping[str, Any]) -> Context:
    """The context that fills in what is not given.

    The token of a context that nobody named goes to no address but its own: the file is left alone where an
    address is given and neither pach_config nor context is.
    """
    if params["pachd_address"] is not None and not params["pach_config"] and not params["context"]:
        return Context("no context")
    return read_context(params["pach_config"], params["context"]) or Context("no context")


def _address_of(context: Context) -> str:
    if context.address:
        return context.address
    if context.where == "no context":
        return DEFAULT_ADDRESS
    raise PachydermError(
        f"pachd_address: {context.where} has none, since pachctl forwards a port each time;"
        " give one, or find it with pachyderm_endpoint"
    )


def parse_address(address: str) -> tuple[str, bool]:
    """(host:port, whether TLS is used) of an address such as grpc://host:30650, grpcs://host or host:port.

    The schemes are those of Pachyderm's own clients. Raises PachydermError.
    """
    if not address.strip():
        raise PachydermError(
            "pachd_address: is empty; give an address such as grpc://127.0.0.1:30650, or leave it out"
        )
    # Before an @ there may be a password.
    shown = f"***@{address.rpartition('@')[2]}" if "@" in address else address
    try:
        url = urlsplit(address if "://" in address else f"grpc://{address}")
    except ValueError as error:
        raise PachydermError(f"pachd_address: {shown}: {error}") from error
    if url.scheme not in _PLAIN_SCHEMES + _TLS_SCHEMES:
        raise PachydermError(
            f"pachd_address: {shown}: unknown scheme {url.scheme}://; use grpc://, grpcs://, http:// or https://"
        )
    try:
        port = url.port or DEFAULT_PORT
    except ValueError as error:
        raise PachydermError(f"pachd_address: {shown}: {error}") from error
    extra = url.path.rstrip("/") or url.query or url.fragment or url.username
    if not url.hostname or extra:
        raise PachydermError(f"pachd_address: {shown}: must be only a scheme, a host and a port")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{port}", url.scheme in _TLS_SCHEMES


def _check_token(token: str | None, where: str) -> None:
    """gRPC sends printable ASCII only, and its own error would show the token."""
    if token and not (token.isascii() and token.isprintable()):
        raise PachydermError(
            f"{where}: holds a line break or another character that is not printable ASCII;"
            " give the token alone"
        )


def _read_ca_cert(path: str | None) -> bytes | None:
    if not path:
        return None
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise PachydermError(f"ca_cert: {path}: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise PachydermError(f"ca_cert: {path}: holds no PEM certificate")
    return pem
