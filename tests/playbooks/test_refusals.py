# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules say when they do not get to pachd, or in: a line that tells which of the reasons it is."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import auth

from pachd_embedded.server import Server, Settings
from tests.embedded.tls import Authority

from .conftest import run_module

TOKEN = "the-root-token"
PROJECT = auth.Resource(type=auth.ResourceType.PROJECT, name="default")
# One that writes and one that reads, with options that need a right.
RUNS: dict[str, dict[str, Any]] = {
    "repo": {"name": "data", "description": "mine"},
    "info": {"gather": ["files"], "repo": "data"},
}
EACH = pytest.mark.parametrize("module", RUNS)


class Guarded:
    """A pachd with TLS and auth, and modules that reach it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.capsys = capsys
        self.authority = Authority(directory / "ours", "our lab")
        certificate, key = self.authority.issue("127.0.0.1", "pachd.example.org")
        token_file = directory / "root-token"
        token_file.touch(mode=0o600)
        token_file.write_text(TOKEN)
        self.server = Server(
            Settings(
                directory / "pachd",
                "127.0.0.1:0",
                private_pfs=True,
                tls_cert=certificate,
                tls_key=key,
                auth_root_token_file=token_file,
            )
        )
        self.address = f"grpcs://127.0.0.1:{self.server.port}"
        self.client = Client("127.0.0.1", self.server.port, auth_token=TOKEN, root_certs=self.authority.pem)

    def run(self, module: str = "repo", **options: Any) -> dict[str, Any]:
        connection = {"pachd_address": self.address, "ca_cert": str(self.authority.file), "timeout": 5}
        given = {**connection, **RUNS.get(module, {}), **options}
        return run_module(self.capsys, module, **{k: v for k, v in given.items() if v is not None})

    def robot(self, ttl: int = 0) -> str:
        return str(self.client.auth.get_robot_token(robot="visitor", ttl=ttl).token)

    def context(self, **values: Any) -> str:
        """A config file of pachctl with one context."""
        file = self.directory / "config.json"
        file.write_text(json.dumps({"v2": {"active_context": "lab", "contexts": {"lab": values}}}))
        return str(file)


@pytest.fixture
def guarded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Guarded]:
    made = Guarded(tmp_path, capsys)
    yield made
    made.server.stop(grace=0)


def test_the_right_token_gets_in_and_is_shown_nowhere(guarded: Guarded) -> None:
    result = guarded.run(auth_token=TOKEN)
    assert result["changed"]
    assert TOKEN not in str(result)


def test_a_context_alone_gets_in_and_its_token_is_shown_nowhere(guarded: Guarded) -> None:
    guarded.run("project", name="vision", auth_token=TOKEN)
    config = guarded.context(
        pachd_address=guarded.address,
        server_cas=base64.b64encode(guarded.authority.pem).decode(),
        session_token=TOKEN,
        project="vision",
    )
    result = guarded.run(pach_config=config, pachd_address=None, ca_cert=None)
    assert [(repo["project"], repo["name"]) for repo in result["repos"]] == [("vision", "data")]
    assert TOKEN not in str(result)
    # A task that names a project means it.
    named = guarded.run(pach_config=config, pachd_address=None, ca_cert=None, project="default")
    assert [repo["project"] for repo in named["repos"]] == ["default"]


@EACH
def test_no_token(guarded: Guarded, module: str) -> None:
    assert guarded.run(module)["msg"] == (
        f"pachd at {guarded.address}: it wants a token, since authentication is active; give auth_token"
    )


@EACH
def test_a_wrong_token(guarded: Guarded, module: str) -> None:
    assert guarded.run(module, auth_token="wrong")["msg"].startswith(
        f"pachd at {guarded.address}: it does not accept auth_token: provided auth token is corrupted"
    )
    config = guarded.context(session_token="wrong-too")
    result = guarded.run(module, pach_config=config)
    assert f"it does not accept the session_token of context lab of {config}: " in result["msg"]
    assert "wrong-too" not in str(result)


@EACH
def test_an_expired_token(guarded: Guarded, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = guarded.robot(ttl=60)
    now = time.time()
    monkeypatch.setattr("pachd_embedded.auth.tokens.time.time", lambda: now + 61)
    result = guarded.run(module, auth_token=token)
    assert result["msg"] == f"pachd at {guarded.address}: auth_token has expired; get a new one"


@EACH
def test_no_permission(guarded: Guarded, module: str) -> None:
    guarded.run(auth_token=TOKEN, description="theirs")
    guarded.run("file", auth_token=TOKEN, repo="data", path="/a", content="theirs")
    result = guarded.run(module, auth_token=guarded.robot())
    assert (
        "robot:visitor is not authorized to perform this operation - needs permissions [REPO_"
        in result["msg"]
    )
    assert result["msg"].endswith("on REPO default/data; have it granted, or use another's auth_token")


def test_one_of_many_that_is_not_permitted_is_named_and_none_is_written(guarded: Guarded) -> None:
    guarded.run("project", name="vision", auth_token=TOKEN)
    repos = [{"name": "mine"}, {"name": "theirs", "project": "vision"}, {"name": "more"}]
    result = guarded.run(name=None, repos=repos, auth_token=guarded.robot())
    assert result["msg"].startswith(
        f"repo vision/theirs: cannot create it: pachd at {guarded.address}: failed to create repo: robot:"
    )
    assert result["msg"].endswith("or use another's auth_token; none of the 3 repos was written")
    left = guarded.run("info", name=None, gather=["repos"], auth_token=TOKEN)["repos"]
    assert left == []


@EACH
def test_a_wrong_authority(guarded: Guarded, module: str) -> None:
    theirs = Authority(guarded.directory / "theirs", "somebody else")
    start = time.monotonic()
    result = guarded.run(module, auth_token=TOKEN, ca_cert=str(theirs.file), timeout=60)
    assert "its certificate is of no authority in ca_cert" in result["msg"]
    # It does not get better by waiting.
    assert time.monotonic() - start < 30


def test_another_host(guarded: Guarded) -> None:
    refused = guarded.run(auth_token=TOKEN, server_name="elsewhere.example.org")
    assert "its certificate is for another host than that of pachd_address" in refused["msg"]
    assert "changed" in guarded.run(auth_token=TOKEN, server_name="pachd.example.org")


@EACH
def test_no_tls_where_it_is_spoken(guarded: Guarded, module: str) -> None:
    plain = guarded.address.replace("grpcs", "grpc")
    result = guarded.run(module, pachd_address=plain, ca_cert=None, timeout=1)
    assert "it closed the connection; use grpcs:// in pachd_address if it speaks TLS" in result["msg"]


@EACH
def test_tls_where_it_is_not_spoken(guarded: Guarded, module: str, tmp_path: Path) -> None:
    server = Server(Settings(tmp_path / "plain", "127.0.0.1:0", private_pfs=True))
    result = guarded.run(module, pachd_address=f"grpcs://127.0.0.1:{server.port}")
    server.stop(grace=0)
    assert "it does not speak TLS; use grpc:// in pachd_address" in result["msg"]


@EACH
def test_nobody_listens(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"grpc://127.0.0.1:{bound.getsockname()[1]}"
        result = run_module(capsys, module, pachd_address=address, timeout=0.5, **RUNS[module])
    assert result["msg"].startswith(f"cannot reach pachd at {address} within 0.5 s: ")
    assert result["msg"].endswith("Connection refused; is it running, and is pachd_address right?")


@EACH
@pytest.mark.parametrize("scheme", ["grpc", "grpcs"])
def test_a_name_that_nobody_knows(module: str, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Too long for any name server to be asked.
    address = f"{scheme}://{'x' * 64}.invalid:30650"
    result = run_module(capsys, module, pachd_address=address, timeout=0.5, **RUNS[module])
    assert result["msg"] == (
        f"cannot reach pachd at {address} within 0.5 s:"
        " the name of its host is not known here; is pachd_address right?"
    )
