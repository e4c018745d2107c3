# SPDX-License-Identifier: GPL-3.0-or-later
"""Contexts of pachctl's config file: which one, what it gives, and what goes before it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import (
    DEFAULT_ADDRESS,
    ConnectionOptions,
)

PEM = b"-----BEGIN CERTIFICATE-----\nof the context\n"
LAB = {
    "pachd_address": "grpcs://lab.example.com:443",
    "server_cas": base64.b64encode(PEM).decode(),
    "session_token": "hush-lab",
    "project": "vision",
}
CONTEXTS = {"lab": LAB, "near": {"pachd_address": "near:1"}, "kube": {"namespace": "p"}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a config file, and an environment that says nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PACH_CONFIG", raising=False)
    return tmp_path


def write(path: Path, active: str | None = "lab", contexts: Any = None) -> str:
    path.parent.mkdir(exist_ok=True)
    config = {"active_context": active, "contexts": CONTEXTS if contexts is None else contexts}
    path.write_text(json.dumps({"user_id": "u", "v2": config}))
    return str(path)


def parse(**options: Any) -> ConnectionOptions:
    return ConnectionOptions.parse({"timeout": 30.0, **options})


def test_without_a_file_it_is_this_machine(home: Path) -> None:
    found = parse()
    assert (found.address, found.auth_token, found.project) == (DEFAULT_ADDRESS, None, None)


def test_the_active_context_of_the_file_in_the_home_directory(home: Path) -> None:
    write(home / ".pachyderm/config.json")
    found = parse()
    assert (found.target, found.tls, found.auth_token) == ("lab.example.com:443", True, "hush-lab")
    assert (found.ca_cert, found.project) == (PEM, "vision")
    assert "hush" not in repr(found)


def test_pach_config_names_another_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".pachyderm/config.json")
    monkeypatch.setenv("PACH_CONFIG", write(home / "other.json", "near"))
    assert parse().target == "near:1"
    named = write(home / "third.json", "lab")
    assert parse(pach_config=named).target == "lab.example.com:443"


def test_a_context_is_chosen_by_name(home: Path) -> None:
    write(home / ".pachyderm/config.json")
    assert parse(context="near").target == "near:1"


def test_options_go_before_the_context(home: Path) -> None:
    config = write(home / "config.json")
    pem = home / "ca.pem"
    pem.write_bytes(PEM + b"of the option\n")
    found = parse(pach_config=config, pachd_address="https://a:2", auth_token="mine", ca_cert=str(pem))
    assert (found.target, found.auth_token, found.token_from) == ("a:2", "mine", "auth_token")
    assert found.ca_cert == pem.read_bytes()


def test_the_token_of_an_unnamed_context_goes_to_no_other_address(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(home / ".pachyderm/config.json")
    found = parse(pachd_address="grpc://elsewhere")
    assert (found.auth_token, found.ca_cert, found.project) == (None, None, None)
    monkeypatch.setenv("PACH_CONFIG", config)
    assert parse(pachd_address="grpc://elsewhere").auth_token is None
    asked = parse(pachd_address="grpc://elsewhere", context="lab")
    assert (asked.auth_token, asked.project) == ("hush-lab", "vision")


def test_the_address_of_a_forwarded_port(home: Path) -> None:
    config = write(home / "c.json", "f", {"f": {"port_forwarders": {"pachd": 30660}}})
    assert parse(pach_config=config).address == "grpc://127.0.0.1:30660"


def test_a_file_without_active_context_says_nothing_unless_it_was_named(home: Path) -> None:
    config = write(home / ".pachyderm/config.json", None)
    assert parse().address == DEFAULT_ADDRESS
    with pytest.raises(PachydermError, match="has no active context; name one of lab, near, kube"):
        parse(pach_config=config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"session_token": "hush-it', "is no JSON; its text is not shown"),
        ("[]", "is no config file of pachctl 2: it has no v2.contexts"),
        ('{"v2": {"contexts": []}}', "is no config file of pachctl 2"),
        ('{"v2": {"active_context": "a", "contexts": {"b": {}}}}', "context: a is not in"),
        ('{"v2": {"active_context": "a", "contexts": {"a": "hush"}}}', "is no mapping"),
        (
            '{"v2": {"active_context": "a", "contexts": {"a": {"session_token": 7}}}}',
            "session_token is no text",
        ),
        (
            '{"v2": {"active_context": "a", "contexts": {"a": {"server_cas": "%"}}}}',
            "server_cas is no base64",
        ),
        ('{"v2": {"active_context": "a", "contexts": {"a": {}}}}', "pachd_address: context a of"),
        (
            '{"v2": {"active_context": "a", "contexts": {"a": {"pachd_address": "x",'
            ' "session_token": "hush\\n"}}}}',
            "the session_token of context a of",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_without_its_text(home: Path, text: str, message: str) -> None:
    config = home / "config.json"
    config.write_text(text)
    with pytest.raises(PachydermError) as error:
        parse(pach_config=str(config))
    assert message in str(error.value)
    assert "hush" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_named_file_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PachydermError, match=r"pach_config: .*gone\.json: No such file or directory"):
        parse(pach_config=str(home / "gone.json"))
    with pytest.raises(PachydermError, match="No such file"):
        parse(context="lab")
    monkeypatch.setenv("PACH_CONFIG", str(home / "gone.json"))
    with pytest.raises(PachydermError, match="No such file"):
        parse()


def test_a_server_name_needs_tls(home: Path) -> None:
    assert parse(pachd_address="grpcs://10.0.0.1", server_name="lab").server_name == "lab"
    with pytest.raises(PachydermError, match="server_name: grpc://a is not encrypted"):
        parse(pachd_address="grpc://a", server_name="lab")
