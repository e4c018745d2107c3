# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: who gets through, what the others see, and in which words the collection's modules tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from ansible_collections.gpulab.pachyderm.plugins.module_utils._connection import Pachd
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import ConnectionOptions
from pachd_embedded.server import Server, Settings, StartError
from tests.embedded.tls import Authority

TOKEN = "the-root-token"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours", "our lab")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "theirs", "somebody else")


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("token") / "root-token"
    file.touch(mode=0o600)
    file.write_text(TOKEN + "\n")
    return file


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, ours: Authority, token_file: Path) -> Iterator[Server]:
    """Serves TLS as localhost and 127.0.0.1, with auth."""
    certificate, key = ours.issue("localhost", "127.0.0.1")
    settings = Settings(
        tmp_path_factory.mktemp("pachd"),
        "127.0.0.1:0",
        private_pfs=True,
        tls_cert=certificate,
        tls_key=key,
        auth_root_token_file=token_file,
    )
    server = Server(settings)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, ours: Authority) -> Iterator[Server]:
    """Serves TLS with a certificate for another name."""
    certificate, key = ours.issue("pachd.example.org")
    directory = tmp_path_factory.mktemp("pachd")
    server = Server(Settings(directory, "127.0.0.1:0", private_pfs=True, tls_cert=certificate, tls_key=key))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(Settings(tmp_path_factory.mktemp("pachd"), "127.0.0.1:0", private_pfs=True))
    yield server
    server.stop()


# The official SDK


def client(server: Server, authority: Authority, host: str = "localhost") -> Client:
    return Client(host, server.port, auth_token=TOKEN, root_certs=authority.pem)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_right_authority_gets_through(secure: Server, ours: Authority, host: str) -> None:
    assert client(secure, ours, host).auth.who_am_i().username == "pach:root"


def test_files_go_both_ways(secure: Server, ours: Authority) -> None:
    api = client(secure, ours).pfs
    api.create_repo(repo=pfs.Repo.from_uri("data"))
    commit = pfs.Commit.from_uri("data@master")
    api.put_file_from_bytes(commit=commit, path="/a", data=b"x" * 5_000_000)
    with api.pfs_file(pfs.File(commit=commit, path="/a")) as file:
        assert file.read() == b"x" * 5_000_000


def test_the_sdk_takes_a_grpcs_address(secure: Server, ours: Authority) -> None:
    address = f"grpcs://localhost:{secure.port}"
    found = Client.from_pachd_address(address, auth_token=TOKEN, root_certs=ours.pem)
    assert found.get_version().major == 2


def test_another_authority_does_not(secure: Server, theirs: Authority) -> None:
    with pytest.raises(ConnectionError, match="Could not connect"):
        client(secure, theirs).get_version()


def test_another_name_does_not(elsewhere: Server, ours: Authority) -> None:
    with pytest.raises(ConnectionError, match="Could not connect"):
        client(elsewhere, ours).get_version()


def test_a_client_without_tls_does_not(secure: Server) -> None:
    with pytest.raises((ConnectionError, grpc.RpcError)):
        Client("localhost", secure.port).get_version()


def test_tls_to_a_server_without_it_does_not(plain: Server, ours: Authority) -> None:
    with pytest.raises(ConnectionError, match="Could not connect"):
        client(plain, ours).get_version()


# The modules


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., str]:
    """What a module says when it connects: the user's name, or its one line of error."""

    def connect(address: str, authority: Authority | None = None, token: str = TOKEN) -> str:
        ca_cert = str(authority.file) if authority else None
        params = {"pachd_address": address, "auth_token": token, "ca_cert": ca_cert, "timeout": 2.0}
        try:
            with Pachd(ConnectionOptions.parse(params)) as pachd:
                return ", ".join(sorted(info.project.name for info in pachd.pfs.list_project()))
        except PachydermError as error:
            return str(error)

    return connect


def test_modules_get_through(secure: Server, ours: Authority, ask: Callable[..., str]) -> None:
    assert ask(f"grpcs://127.0.0.1:{secure.port}", ours) == "default"


def test_modules_name_a_certificate_that_they_do_not_trust(
    secure: Server, theirs: Authority, ask: Callable[..., str]
) -> None:
    assert ask(f"grpcs://127.0.0.1:{secure.port}", theirs) == (
        f"cannot reach pachd at grpcs://127.0.0.1:{secure.port} within 2 s:"
        " its certificate is of no authority in ca_cert (unset: none known to gRPC)"
    )


def test_modules_without_an_authority_do_not_trust_ours(secure: Server, ask: Callable[..., str]) -> None:
    assert "its certificate is of no authority" in ask(f"grpcs://127.0.0.1:{secure.port}")


def test_modules_name_a_certificate_for_another_host(
    elsewhere: Server, ours: Authority, ask: Callable[..., str]
) -> None:
    assert ask(f"grpcs://127.0.0.1:{elsewhere.port}", ours) == (
        f"cannot reach pachd at grpcs://127.0.0.1:{elsewhere.port} within 2 s:"
        " its certificate is for another host than that of pachd_address; if that is meant, give the"
        " certificate's as server_name"
    )


def test_modules_without_tls_ask_for_it(secure: Server, ask: Callable[..., str]) -> None:
    assert ask(f"grpc://127.0.0.1:{secure.port}") == (
        f"cannot reach pachd at grpc://127.0.0.1:{secure.port} within 2 s:"
        " it closed the connection; use grpcs:// in pachd_address if it speaks TLS"
    )


def test_modules_with_tls_name_a_server_without_it(
    plain: Server, ours: Authority, ask: Callable[..., str]
) -> None:
    assert ask(f"grpcs://127.0.0.1:{plain.port}", ours) == (
        f"cannot reach pachd at grpcs://127.0.0.1:{plain.port} within 2 s:"
        " it does not speak TLS; use grpc:// in pachd_address"
    )


def test_modules_with_a_wrong_token_name_it(secure: Server, ours: Authority, ask: Callable[..., str]) -> None:
    line = ask(f"grpcs://127.0.0.1:{secure.port}", ours, token="wrong")
    assert line == (
        f"pachd at grpcs://127.0.0.1:{secure.port}: it does not accept auth_token: provided auth token is"
        " corrupted or has expired (try logging in again)"
    )


def test_modules_without_a_token_say_so(secure: Server, ours: Authority, ask: Callable[..., str]) -> None:
    line = ask(f"grpcs://127.0.0.1:{secure.port}", ours, token="")
    assert line == (
        f"pachd at grpcs://127.0.0.1:{secure.port}: it wants a token, since authentication is active;"
        " give auth_token"
    )


# What a server refuses to start with


@pytest.fixture
def settings(tmp_path: Path, ours: Authority, token_file: Path) -> Settings:
    """All that it takes to be reached from other machines."""
    certificate, key = ours.issue(f"{tmp_path.name}.example.org")
    return Settings(
        tmp_path / "data",
        "127.0.0.1:0",
        private_pfs=True,
        tls_cert=certificate,
        tls_key=key,
        auth_root_token_file=token_file,
    )


def refusal(settings: Settings) -> str:
    with pytest.raises(StartError) as caught:
        Server(settings)
    return str(caught.value)


@pytest.fixture
def beyond(settings: Settings) -> Settings:
    return replace(settings, address="0.0.0.0:0")


def test_with_tls_and_auth_it_listens_beyond_loopback(beyond: Settings, ours: Authority) -> None:
    server = Server(beyond)
    server.stop()
    assert server.address.startswith("0.0.0.0:")


def test_beyond_loopback_without_tls(beyond: Settings) -> None:
    line = refusal(replace(beyond, tls_cert=None, tls_key=None))
    assert "only loopback is served without TLS and auth" in line
    assert "give --tls-cert, --tls-key and --auth-root-token-file, or --insecure" in line


def test_beyond_loopback_without_auth(beyond: Settings) -> None:
    line = refusal(replace(beyond, auth_root_token_file=None))
    assert "give --auth-root-token-file, or --insecure" in line


def test_beyond_loopback_with_auth_that_is_active_already(beyond: Settings) -> None:
    Server(replace(beyond, address="127.0.0.1:0")).stop()
    Server(replace(beyond, auth_root_token_file=None)).stop()


def test_a_refused_start_leaves_the_data_free(beyond: Settings) -> None:
    refusal(replace(beyond, auth_root_token_file=None))
    Server(beyond).stop()


def test_insecure_needs_neither(beyond: Settings) -> None:
    Server(replace(beyond, insecure=True, tls_cert=None, tls_key=None, auth_root_token_file=None)).stop()


def test_beyond_loopback_auth_stays_on(beyond: Settings, ours: Authority) -> None:
    certificate, key = ours.issue("localhost")
    server = Server(replace(beyond, tls_cert=certificate, tls_key=key))
    try:
        with pytest.raises(grpc.RpcError) as caught:
            client(server, ours).auth.deactivate()
    finally:
        server.stop()
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_certificate_without_a_key(settings: Settings) -> None:
    assert refusal(replace(settings, tls_key=None)) == "--tls-cert and --tls-key: give both or none"


def test_a_key_of_another_certificate(settings: Settings, theirs: Authority) -> None:
    _, key = theirs.issue("other.example.org")
    assert "no PEM certificate with its unencrypted private key" in refusal(replace(settings, tls_key=key))


def test_a_file_that_is_no_certificate(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("text")
    assert "no PEM certificate" in refusal(replace(settings, tls_cert=file))


def test_a_certificate_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "missing"
    assert refusal(replace(settings, tls_cert=file)) == f"--tls-cert {file}: No such file or directory"


def test_a_key_that_others_may_read(settings: Settings) -> None:
    assert settings.tls_key
    settings.tls_key.chmod(0o644)
    assert refusal(settings) == (
        f"--tls-key {settings.tls_key}: others than its owner may read it; chmod 600 it"
    )


def test_a_token_that_others_may_read(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    file.chmod(0o640)
    line = refusal(replace(settings, auth_root_token_file=file))
    assert line == f"--auth-root-token-file {file}: others than its owner may read it; chmod 600 it"


@pytest.mark.parametrize("text", ["", "\n", "two\nlines", "umläut"])
def test_a_file_that_holds_no_token(settings: Settings, tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(text)
    line = refusal(replace(settings, auth_root_token_file=file))
    assert line.endswith("must hold one token of printable ASCII, and nothing else")
    assert "two" not in line
