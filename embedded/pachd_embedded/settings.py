# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server is to run: one field for each option of `serve` (cli/serve.py), under the same name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path


class StartError(Exception):
    """The server cannot start; the text names the setting and says what to do."""


@dataclass(frozen=True)
class Settings:
    """`gpus`: a number of simulated devices, None for the real ones. Port 0 in `address` picks a free one.

    `worker`: "process" or "container"; `container_engine`: its name or path, "" for the one that is there.
    `egress_dirs`: where pipelines and clients may have files written; `source_dirs`: whose files clients may
    name by file:// URLs. `gc_period`: in seconds, 0 for never.
    """

    data_dir: Path
    address: str = "127.0.0.1:30650"
    gpus: int | None = 0
    images: dict[str, Path] = field(default_factory=dict)
    journal: Path | None = None
    private_pfs: bool = False
    insecure: bool = False
    control: str | None = None
    worker: str = "process"
    container_engine: str = ""
    container_network: str = ""
    egress_dirs: tuple[Path, ...] = ()
    source_dirs: tuple[Path, ...] = ()
    gc_period: float = 60
    tls_cert: Path | None = None
    tls_key: Path | None = None
    auth_root_token_file: Path | None = None


def split_address(address: str, option: str = "--address") -> tuple[str, int]:
    """("127.0.0.1", 30650) for "127.0.0.1:30650"; an IPv6 host stands in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise StartError(
            f"{option} {address}: give HOST:PORT, for instance 127.0.0.1:30650 (port 0 picks one)"
        )
    return host, int(port)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
