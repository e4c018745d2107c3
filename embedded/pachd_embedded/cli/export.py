# SPDX-License-Identifier: GPL-3.0-or-later
"""export: write repos' files and pipelines' specs to a directory, of a data directory or of any pachd."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import CommandError, add_data_dir, ask_server, opened

if TYPE_CHECKING:
    from pachyderm_sdk import Client


def add(commands: Any) -> None:
    parser = commands.add_parser("export", help="write files and pipelines to a directory")
    parser.set_defaults(run=run)
    source = parser.add_mutually_exclusive_group(required=True)
    add_data_dir(source, required=False)
    source.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of any pachd: grpc[s]://HOST:PORT; the token is PACH_TOKEN of the environment",
    )
    parser.add_argument("--ca-cert", type=Path, metavar="FILE", help="that signed the certificate of grpcs")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="a new directory, or an empty one"
    )
    parser.add_argument(
        "--outputs", action="store_true", help="also what pipelines have made; it is not read when seeding"
    )


def run(options: argparse.Namespace) -> int:
    import grpc

    from ..errors import PachError
    from ..transfer.export import export
    from ..transfer.layout import TransferError
    from ..transfer.local import LocalPachd

    try:
        if options.address:
            manifest = export(_client(options), options.to, options.outputs)
        else:
            if status := ask_server(options.data_dir, "GET", "/status"):
                raise CommandError(
                    f"{options.data_dir} is served; give --address {status['address']} instead of it"
                )
            with opened(options.data_dir) as core:
                manifest = export(LocalPachd(core), options.to, options.outputs)
    except (TransferError, PachError) as error:
        raise CommandError(str(error)) from None
    except grpc.RpcError as error:
        raise CommandError(f"{options.address}: {error.details()}") from None
    except ConnectionError:  # of the SDK, in several lines of its own
        raise CommandError(f"{options.address}: no pachd answers there") from None
    print(f"{len(manifest['repos'])} repos and {len(manifest['pipelines'])} pipelines are in {options.to}")
    return 0


def _client(options: argparse.Namespace) -> Client:
    from pachyderm_sdk import Client

    address = options.address if "://" in options.address else f"grpc://{options.address}"
    try:
        certificates = options.ca_cert.read_bytes() if options.ca_cert else None
        return Client.from_pachd_address(
            address, auth_token=os.environ.get("PACH_TOKEN"), root_certs=certificates
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"{address}: {error}") from None
