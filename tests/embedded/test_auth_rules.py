# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of permissions is complete, and what auth keeps outlives the server but tells no token."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.auth.model import repo_resource
from pachd_embedded.auth.rules import RULES
from pachd_embedded.auth.tokens import Token, Tokens, hash_of
from pachd_embedded.core import Core
from pachd_embedded.errors import PachError
from pachd_embedded.pfs.model import RepoKey
from pachd_embedded.rpc import SERVICES, methods_of
from pachd_embedded.server import Server, Settings
from pachd_embedded.store.db import Database
from tests.embedded.conftest import Process

METHODS = {method.path for module in SERVICES for method in methods_of(module)}
ROOT = "the-root-token-of-this-test"


def test_each_method_of_the_api_has_a_rule() -> None:
    assert sorted(METHODS - set(RULES)) == []


def test_each_rule_is_of_a_method() -> None:
    assert sorted(set(RULES) - METHODS) == []


def test_a_method_without_a_rule_is_not_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[[str], Client]
) -> None:
    monkeypatch.delitem(RULES, "/pfs_v2.API/ListProject")
    server = Server(Settings(tmp_path, "127.0.0.1:0", private_pfs=True))
    try:
        with pytest.raises(grpc.RpcError) as caught:
            list(connect(server.address).pfs.list_project())
    finally:
        server.stop()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "no auth function" in caught.value.details()


def test_only_what_must_be_is_open_to_everybody() -> None:
    open_to_all = {path for path, rule in RULES.items() if not rule.login}
    assert open_to_all == {
        "/admin_v2.API/InspectCluster",
        "/auth_v2.API/Activate",
        "/auth_v2.API/Authenticate",
        "/auth_v2.API/Authorize",
        "/auth_v2.API/GetOIDCLogin",
        "/auth_v2.API/WhoAmI",
        "/enterprise_v2.API/GetState",
        "/license_v2.API/Heartbeat",
        "/versionpb_v2.API/GetVersion",
    }


# Tokens


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "db")
    yield opened
    opened.close()


def test_an_expired_token_is_no_more(database: Database) -> None:
    tokens = Tokens(database)
    tokens.insert(Token(hash_of("late"), "robot:late", time.time() - 1))
    with pytest.raises(PachError, match="token expiration is in the past"):
        tokens.find("late")


def test_an_expired_token_is_deleted_when_asked_to(database: Database) -> None:
    tokens = Tokens(database)
    tokens.insert(Token(hash_of("late"), "robot:late", time.time() - 1))
    tokens.issue("robot:early", 3600, "early")
    tokens.issue("robot:always", token="always")
    tokens.delete_expired()
    assert {token.subject for token in tokens.of_robots()} == {"robot:early", "robot:always"}


def test_a_restart_ends_the_tokens_of_jobs(tmp_path: Path) -> None:
    settings = Settings(tmp_path, private_pfs=True)
    core = Core(settings)
    core.auth.activate(ROOT)
    token = core.auth.tokens.issue("pipeline:default/p")
    core.close()
    core = Core(settings)
    with pytest.raises(PachError, match="corrupted or has expired"):
        core.auth.tokens.find(token)
    core.close()


# What outlives the server


@pytest.fixture
def root_token_file(tmp_path: Path) -> Path:
    file = tmp_path / "root-token"
    file.touch(mode=0o600)
    file.write_text(ROOT)
    return file


def client(server: Server, token: str | None) -> Client:
    host, _, port = server.address.rpartition(":")
    return Client(host, int(port), auth_token=token)


def test_auth_stays_active_without_its_option(tmp_path: Path, root_token_file: Path) -> None:
    settings = Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True)
    Server(
        Settings(
            tmp_path / "data", private_pfs=True, address="127.0.0.1:0", auth_root_token_file=root_token_file
        )
    ).stop()
    server = Server(settings)
    try:
        assert client(server, ROOT).auth.who_am_i().username == "pach:root"
    finally:
        server.stop()


def test_roles_and_tokens_outlive_the_server(tmp_path: Path, root_token_file: Path) -> None:
    settings = Settings(
        tmp_path / "data", "127.0.0.1:0", private_pfs=True, auth_root_token_file=root_token_file
    )
    server = Server(settings)
    token = client(server, ROOT).auth.get_robot_token(robot="bob").token
    client(server, token).pfs.create_repo(repo=pfs.Repo.from_uri("mine"))
    server.stop()
    server = Server(settings)
    try:
        info = client(server, token).pfs.inspect_repo(repo=pfs.Repo.from_uri("mine"))
        assert list(info.auth_info.roles) == ["repoOwner"]
    finally:
        server.stop()


def test_another_root_token_replaces_the_first(tmp_path: Path, root_token_file: Path) -> None:
    settings = Settings(
        tmp_path / "data", "127.0.0.1:0", private_pfs=True, auth_root_token_file=root_token_file
    )
    Server(settings).stop()
    root_token_file.write_text("second")
    server = Server(settings)
    try:
        assert client(server, "second").auth.who_am_i().username == "pach:root"
        with pytest.raises(grpc.RpcError) as caught:
            client(server, ROOT).auth.who_am_i()
    finally:
        server.stop()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_pipelines_from_before_the_activation_are_bound(tmp_path: Path, root_token_file: Path) -> None:
    settings = Settings(tmp_path / "data", "127.0.0.1:0", private_pfs=True)
    server = Server(settings)
    api = client(server, None)
    api.pfs.create_repo(repo=pfs.Repo.from_uri("data"))
    source = {"pfs": {"repo": "data", "glob": "/"}}
    spec = json.dumps({"pipeline": {"name": "p"}, "input": source, "transform": {"cmd": ["true"]}})
    api.pps.create_pipeline_v2(create_pipeline_request_json=spec)
    server.stop()
    core = Core(Settings(tmp_path / "data", private_pfs=True, auth_root_token_file=root_token_file))
    try:
        name = "pipeline:default/p"
        assert core.auth.bindings.get(repo_resource(RepoKey("default", "data"))) == {name: ["repoReader"]}
        assert core.auth.bindings.get(repo_resource(RepoKey("default", "p"))) == {name: ["repoWriter"]}
    finally:
        core.close()


def test_no_token_is_in_the_data_the_log_or_the_journal(
    tmp_path: Path, root_token_file: Path, serve: Callable[..., Process]
) -> None:
    journal = tmp_path / "journal"
    process = serve("--auth-root-token-file", str(root_token_file), "--journal", str(journal))
    host, _, port = process.address.rpartition(":")
    root = Client(host, int(port), auth_token=ROOT)
    token = root.auth.get_robot_token(robot="bob").token
    Client(host, int(port), auth_token=token).pfs.create_repo(repo=pfs.Repo.from_uri("mine"))
    with pytest.raises(grpc.RpcError):
        Client(host, int(port), auth_token="not-a-token-at-all").auth.who_am_i()
    process.kill()
    written = [file for file in tmp_path.rglob("*") if file.is_file() and file != root_token_file]
    assert journal in written
    for file in written:
        content = file.read_bytes()
        for secret in (ROOT, token, "not-a-token-at-all"):
            assert secret.encode() not in content, file


def test_the_command_line_of_the_server_tells_no_token(
    root_token_file: Path, serve: Callable[..., Process]
) -> None:
    process = serve("--auth-root-token-file", str(root_token_file))
    arguments = Path(f"/proc/{process.popen.pid}/cmdline").read_bytes()
    assert ROOT.encode() not in arguments
