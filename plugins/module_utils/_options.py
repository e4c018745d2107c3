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

DEFAULT_ADDRESS = "grpc://127.0.0.1:30650"
DEFAULT_PORT = 30650

CONNECTION_SPEC: dict[str, Any] = {
    "pachd_address": {
        "type": "str",
        "default": DEFAULT_ADDRESS,
        "fallback": (env_fallback, ["PACHD_ADDRESS"]),
    },
    "auth_token": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["PACH_TOKEN", "PACH_PYTHON_AUTH_TOKEN"]),
    },
    "ca_cert": {"type": "path", "fallback": (env_fallback, ["PACHD_CA_CERT"])},
    "timeout": {"type": "float", "default": 30.0},
}

_PLAIN_SCHEMES = ("grpc", "http")
_TLS_SCHEMES = ("grpcs", "https")


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach pachd. `address` is the user's text, `target` is host:port, `timeout` is in seconds."""

    address: str
    target: str
    tls: bool
    ca_cert: bytes | None
    timeout: float
    auth_token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> ConnectionOptions:
        """Reads the options of CONNECTION_SPEC. Raises PachydermError for a bad address, file or time."""
        address = params["pachd_address"]
        target, tls = parse_address(address)
        _check_token(params["auth_token"])
        timeout = params["timeout"]
        if timeout <= 0:
            raise PachydermError(f"timeout: must be more than 0 seconds, not {timeout:g}")
        if params["ca_cert"] and not tls:
            raise PachydermError(f"ca_cert: {address} is not encrypted; use grpcs:// in pachd_address")
        return cls(
            address=address,
            target=target,
            tls=tls,
            ca_cert=_read_ca_cert(params["ca_cert"]),
            timeout=timeout,
            auth_token=params["auth_token"] or None,
        )

    @property
    def is_loopback(self) -> bool:
        """Whether pachd is on this machine, so that no HTTP proxy of the environment may be asked."""
        return self.target.startswith(("127.", "localhost:", "[::1]:"))


def parse_address(address: str) -> tuple[str, bool]:
    """(host:port, whether TLS is used) of an address such as grpc://host:30650, grpcs://host or host:port.

    The schemes are those of Pachyderm's own clients. Raises PachydermError.
    """
    if not address.strip():
        raise PachydermError(
            "pachd_address: is empty; give an address such as grpc://127.0.0.1:30650, or leave it out"
        )
    url = urlsplit(address if "://" in address else f"grpc://{address}")
    if url.scheme not in _PLAIN_SCHEMES + _TLS_SCHEMES:
        raise PachydermError(
            f"pachd_address: {address}: unknown scheme {url.scheme}://; use grpc://, grpcs://, http:// or https://"
        )
    try:
        port = url.port or DEFAULT_PORT
    except ValueError as error:
        raise PachydermError(f"pachd_address: {address}: {error}") from error
    extra = url.path.rstrip("/") or url.query or url.fragment or url.username
    if not url.hostname or extra:
        raise PachydermError(f"pachd_address: {address}: must be only a scheme, a host and a port")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{port}", url.scheme in _TLS_SCHEMES


def _check_token(token: str | None) -> None:
    """gRPC sends printable ASCII only, and its own error would show the token."""
    if token and not (token.isascii() and token.isprintable()):
        raise PachydermError(
            "auth_token: holds a line break or another character that is not printable ASCII;"
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
