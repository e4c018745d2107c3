# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that a server starts with: its TLS key and the root token. Both stay files."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import grpc

from .settings import Settings, StartError


def root_token(settings: Settings) -> str:
    """The operator's token of pach:root, "" for none. Raises StartError for a file that is not private."""
    path = settings.auth_root_token_file
    if path is None:
        return ""
    option = f"--auth-root-token-file {path}"
    token = _read_private(option, path).decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise StartError(f"{option}: must hold one token of printable ASCII, and nothing else")
    return token


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """None where no certificate is given. Raises StartError for files that make no TLS."""
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise StartError("--tls-cert and --tls-key: give both or none")
    certificate = _read(f"--tls-cert {settings.tls_cert}", settings.tls_cert)
    key = _read_private(f"--tls-key {settings.tls_key}", settings.tls_key)
    # gRPC takes files that do not fit, and then refuses each client without a reason.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (ssl.SSLError, ValueError):
        raise StartError(
            f"--tls-cert {settings.tls_cert}, --tls-key {settings.tls_key}:"
            " no PEM certificate with its unencrypted private key"
        ) from None
    return grpc.ssl_server_credentials([(key, certificate)])


def _read_private(option: str, path: Path) -> bytes:
    data = _read(option, path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StartError(f"{option}: others than its owner may read it; chmod 600 it")
    return data


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{option}: {error.strerror}") from None
