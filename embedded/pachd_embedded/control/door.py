# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 on a socket: reads a request, refuses what a browser could send, answers JSON.

Errors are {"error": "one line"} with 400 (a bad value), 403, 404, 405, 409 (not now), 413, 415 or 500.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

log = logging.getLogger(__name__)

# Of a request's body, in bytes.
LARGEST_BODY = 1 << 20
# Of one that is too large, so much is read before it is refused: a client that still sends sees no answer.
_LARGEST_SKIMMED = 64 << 20
# That a client may take for a request, in seconds.
PATIENCE = 30.0

# Method, path, fields of the query or the body -> the answer.
Dispatch = Callable[[str, str, dict[str, Any]], Any]


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Door:
    """Open from the moment it is made until `close`."""

    def __init__(self, server: socketserver.BaseServer, path: Path | None = None) -> None:
        self._server = server
        self._path = path
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.05,), name="control", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Quiet:
    """A client that goes away in the middle is a line in the log, if anything."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("control: a client went away", exc_info=True)


def open_port(host: str, port: int, dispatch: Dispatch) -> tuple[Door, int]:
    """A door on a port of loopback, and which port that is. Raises OSError where it is taken."""

    class Server(_Quiet, ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    bare = host.strip("[]")
    names = {bare.lower(), "localhost", "127.0.0.1", "::1"}
    server = Server((bare, port), _handler(dispatch, names))
    return Door(server), int(server.server_address[1])


def open_socket(path: Path, dispatch: Dispatch) -> Door:
    """A door that only the user who runs this may open."""

    class Server(_Quiet, socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            request, _address = super().get_request()
            return request, ("owner", 0)

    path.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_PATH)
    try:
        # The name of a socket is at most 107 bytes long, that of a data directory need not be.
        server = Server(f"/proc/self/fd/{directory}/{path.name}", _handler(dispatch, None), False)
        server.server_bind()
        path.chmod(0o600)
        server.server_activate()
    finally:
        os.close(directory)
    return Door(server, path)


def _handler(dispatch: Dispatch, names: set[str] | None) -> type[BaseHTTPRequestHandler]:
    """`names` are the hosts that a request to a port may name; None: no browser gets to this socket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "pachd-embedded"
        sys_version = ""
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def _answer(self) -> None:
            url = urlsplit(self.path)
            try:
                if names is not None:
                    _refuse_browsers(self, names)
                fields = _body(self) if self.command == "POST" else dict(parse_qsl(url.query))
                status, answer = 200, dispatch(self.command, url.path, fields)
            except RefusedError as error:
                status, answer = error.status, {"error": str(error)}
                # What is left of the body would be taken for the next request.
                self.close_connection = True
            except Exception as error:
                log.exception("control: %s %s failed", self.command, url.path)
                status, answer = 500, {"error": f"the embedded pachd failed in {url.path}: {error}"}
                self.close_connection = True
            content = json.dumps(answer).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            log.debug("control %s", args[0] % args[1:])

    return Handler


def _refuse_browsers(handler: BaseHTTPRequestHandler, names: set[str]) -> None:
    """A page from anywhere may make a browser ask loopback, also by a name of its own that leads there."""
    host = urlsplit(f"//{handler.headers.get('Host', '')}").hostname or ""
    if host not in names:
        raise RefusedError(403, f"Host: {host or 'missing'} is not this server's name; use localhost")
    for header in ("Origin", "Sec-Fetch-Site"):
        if header in handler.headers:
            raise RefusedError(403, f"{header}: the control API is not for browsers")
    if handler.command == "POST" and handler.headers.get_content_type() != "application/json":
        raise RefusedError(
            415, "Content-Type: send application/json (ansible.builtin.uri: body_format: json)"
        )


def _skim(handler: BaseHTTPRequestHandler, length: int) -> None:
    while length > 0 and (piece := handler.rfile.read(min(length, LARGEST_BODY))):
        length -= len(piece)


def _body(handler: BaseHTTPRequestHandler) -> dict[str, Any]:
    length = handler.headers.get("Content-Length", "0")
    if not length.isdecimal():
        raise RefusedError(400, f"Content-Length: {length!r} is no number")
    if int(length) > LARGEST_BODY:
        _skim(handler, min(int(length), _LARGEST_SKIMMED))
        raise RefusedError(413, f"the body is larger than {LARGEST_BODY} bytes")
    content = handler.rfile.read(int(length))
    try:
        fields = json.loads(content or b"{}")
    except ValueError:
        raise RefusedError(400, "the body is not JSON") from None
    if not isinstance(fields, dict):
        raise RefusedError(400, "the body is no JSON object")
    return fields
