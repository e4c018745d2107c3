# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pachd is: addresses, certificates, names."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _names
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import (
    ConnectionOptions,
    parse_address,
)


@pytest.mark.parametrize(
    ("address", "target", "tls"),
    [
        ("grpc://127.0.0.1:30650", "127.0.0.1:30650", False),
        ("grpc://pachd", "pachd:30650", False),
        ("pachd:443", "pachd:443", False),
        ("http://pachd:80/", "pachd:80", False),
        ("grpcs://pachd.example.com:443", "pachd.example.com:443", True),
        ("https://pachd.example.com", "pachd.example.com:30650", True),
        ("grpc://[::1]:1", "[::1]:1", False),
    ],
)
def test_addresses(address: str, target: str, tls: bool) -> None:
    assert parse_address(address) == (target, tls)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://pachd", "pachd_address: ftp://pachd: unknown scheme ftp://"),
        ("grpc://me:hush@pachd", "pachd_address: ***@pachd: must be only a scheme, a host and a port"),
        ("grpc://pachd:99999", "pachd_address: grpc://pachd:99999: Port out of range"),
        ("grpc://pachd:1/path", "must be only a scheme, a host and a port"),
        ("grpc://user@pachd", "must be only a scheme, a host and a port"),
        ("", "pachd_address: is empty; give an address such as grpc://127.0.0.1:30650"),
        ("  ", "pachd_address: is empty; give an address such as grpc://127.0.0.1:30650"),
        ("grpc://:30650", "must be only a scheme, a host and a port"),
        ("grpc://[::1:30650", "pachd_address: grpc://[::1:30650: Invalid IPv6 URL"),
        (
            "grpc://[pachd]:30650",
            "pachd_address: grpc://[pachd]:30650: 'pachd' does not appear to be an IPv4",
        ),
    ],
)
def test_bad_addresses(address: str, message: str) -> None:
    with pytest.raises(PachydermError) as error:
        parse_address(address)
    assert message in str(error.value)


def parse(**options: Any) -> ConnectionOptions:
    return ConnectionOptions.parse({"pachd_address": "grpcs://pachd", "timeout": 30.0, **options})


def test_token_is_not_in_the_text_of_options() -> None:
    options = parse(auth_token="hush")
    assert options.auth_token == "hush"
    assert "hush" not in repr(options)


@pytest.mark.parametrize("token", ["hush\n", "hush\u00fc", "hu\x00sh"])
def test_token_that_grpc_cannot_send(token: str) -> None:
    with pytest.raises(PachydermError) as error:
        parse(auth_token=token)
    assert str(error.value).startswith("auth_token: holds a line break or another character")
    assert "hu" not in str(error.value)


def test_bad_certificate_and_timeout(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ca_cert": str(tmp_path / "no.pem")}, "no.pem: holds no PEM certificate"),
        ({"ca_cert": str(tmp_path / "gone.pem")}, "gone.pem: No such file or directory"),
        ({"ca_cert": "x.pem", "pachd_address": "grpc://pachd"}, "ca_cert: grpc://pachd is not encrypted"),
        ({"timeout": 0.0}, "timeout: must be more than 0 seconds and at most 1e+09, not 0"),
        ({"timeout": math.nan}, "timeout: must be more than 0 seconds and at most 1e+09, not nan"),
        ({"timeout": math.inf}, "timeout: must be more than 0 seconds and at most 1e+09, not inf"),
    ]
    for options, message in cases:
        with pytest.raises(PachydermError) as error:
            parse(**options)
        assert message in str(error.value)


@pytest.mark.parametrize(
    ("check", "name", "reason"),
    [
        (_names.repo_name, "-_1", ""),
        (_names.repo_name, "r" * 1000, ""),
        (_names.repo_name, "", "only letters"),
        (_names.repo_name, "a.b", "only letters"),
        (_names.repo_name, "ä", "only letters"),
        (_names.branch_name, "master", ""),
        (_names.branch_name, "0123456789ab4def0123456789abcdef", "looks like a commit id"),
        (_names.project_name, "p" * 51, ""),
        (_names.project_name, "p" * 52, "1 characters longer"),
        (_names.project_name, "p-", ""),
        (_names.pipeline_name, "1p", ""),
        (_names.pipeline_name, "_p", "must start with"),
        (_names.pipeline_name, "p_", "must end with"),
    ],
)
def test_names(check: Callable[[str, str], str], name: str, reason: str) -> None:
    if not reason:
        assert check(name, "name") == name
        return
    with pytest.raises(PachydermError) as error:
        check(name, "name")
    assert str(error.value).startswith("name: ")
    assert reason in str(error.value)
