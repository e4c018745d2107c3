# SPDX-License-Identifier: GPL-3.0-or-later
"""How the commands reach the server of a data directory, by the socket that it has there."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

SOCKET = "control.sock"
# Of answers: a collection of garbage reads all metadata.
PATIENCE = 600.0


class AskError(Exception):
    """The server refused, or ended meanwhile; the text is one line."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, connected: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = connected


def connect(data_dir: Path) -> socket.socket | None:
    """A connection to the server of this directory, None where none runs."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        directory = os.open(data_dir, os.O_PATH)
    except OSError:
        connection.close()
        return None
    try:
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET}")
    except OSError:
        # What a server that was killed has left there does not answer.
        connection.close()
        return None
    finally:
        os.close(directory)
    return connection


def ask(data_dir: Path, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
    """What the server of this directory answers, None where none runs. Raises AskError."""
    connected = connect(data_dir)
    if connected is None:
        return None
    with contextlib.closing(_Connection(connected)) as connection:
        try:
            connection.request(method, path, json.dumps(fields or {}) if method == "POST" else None)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AskError(f"the embedded pachd of {data_dir} ended or does not answer: {error}") from None
    if response.status != 200:
        raise AskError(str(answer["error"]))
    return answer


def server_pid(data_dir: Path) -> int | None:
    """The process that has the directory's socket, as the kernel tells; None where none runs.

    0 for one that cannot be seen from here, as of another container.
    """
    connected = connect(data_dir)
    if connected is None:
        return None
    with connected:
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])
