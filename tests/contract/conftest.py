# SPDX-License-Identifier: GPL-3.0-or-later
"""One suite for any pachd: the embedded one, unless PACHD_ADDRESS=HOST:PORT names another.

PACH_TOKEN and PACHD_CA_CERT (a file) are as for the modules; PACHD_ROOT_TOKEN is the token of pach:root where
auth is active, without which its tests are skipped there. Each test has a project of its own, which is
deleted after it; nothing else of that pachd is touched, but by tests marked `cluster_wide` (defaults of the
cluster, auth, secrets): they run against another pachd only with PACHD_CLUSTER_WIDE=1. Tests marked
`embedded_only` need what only the embedded pachd has. CONTRACT_ORDER=reverse, or a number as a seed, runs the
tests in another order.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, transaction

from pachd_embedded.server import Server, Settings
from pachd_embedded.workers.process import ProcessWorker
from tests.contract.auth_lab import AuthLab
from tests.contract.fixtures import NewRepo
from tests.contract.fixtures import background as background
from tests.contract.fixtures import eventually as eventually
from tests.contract.fixtures import refused as refused
from tests.contract.fixtures import settled as settled
from tests.contract.lab import Data, Lab, modification, projects

ADDRESS = os.environ.get("PACHD_ADDRESS", "")
GPUS = 2

Connect = Callable[..., Client]


# The same examples in each run, and as many seconds as they take. What fails is shown as it was found;
# --hypothesis-profile=shrink looks minutes for less of it.
set_hypothesis_home_dir(".pytest_cache/hypothesis")
settings.register_profile("shrink", derandomize=True, deadline=None, database=None)
settings.register_profile("fixed", settings.get_profile("shrink"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("fixed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "embedded_only: needs what only the embedded pachd has")
    config.addinivalue_line("markers", "cluster_wide: changes what others who use that pachd would notice")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = os.environ.get("CONTRACT_ORDER", "")
    if order == "reverse":
        items.reverse()
    elif order:
        random.Random(order).shuffle(items)
    if not ADDRESS:
        return
    cluster_wide = os.environ.get("PACHD_CLUSTER_WIDE") == "1"
    for item in items:
        if item.get_closest_marker("embedded_only"):
            item.add_marker(pytest.mark.skip(reason="only the embedded pachd has this"))
        if item.get_closest_marker("cluster_wide") and not cluster_wide:
            item.add_marker(pytest.mark.skip(reason="changes the cluster: PACHD_CLUSTER_WIDE=1 allows it"))


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the pachd that is tested."""
    if ADDRESS:
        yield ADDRESS
        return
    # Without namespaces of the kernel there is no isolation, and a pipeline's user code runs all the same.
    private_pfs = bool(ProcessWorker({}).check())
    directory = tmp_path_factory.mktemp("pachd")
    server = Server(Settings(directory, "127.0.0.1:0", gpus=GPUS, private_pfs=private_pfs))
    yield server.address
    server.stop()


@pytest.fixture(scope="session")
def connect(address: str) -> Connect:
    """A client of one's own, for tests that set a token or a transaction on it."""

    def to(auth_token: str | None = os.environ.get("PACH_TOKEN"), at: str = address) -> Client:
        certs = Path(os.environ["PACHD_CA_CERT"]).read_bytes() if os.environ.get("PACHD_CA_CERT") else None
        host, _, port = at.rpartition("://")[2].rpartition(":")
        tls = at.startswith(("grpcs://", "https://"))
        return Client(host, int(port), auth_token=auth_token, root_certs=certs, tls=tls)

    return to


@pytest.fixture(scope="session")
def client(connect: Connect) -> Client:
    """Shared: tests set nothing on it."""
    return connect()


@pytest.fixture
def new_project(client: Client) -> Iterator[Callable[[], pfs.Project]]:
    """Makes projects, which are deleted after the test with all that is in them."""
    with projects(client) as new:
        yield new


@pytest.fixture
def project(new_project: Callable[[], pfs.Project]) -> pfs.Project:
    """The test's own."""
    return new_project()


@pytest.fixture
def lab(client: Client, project: pfs.Project) -> Lab:
    """Pipelines, repos and jobs of the test's project; pipelines fit on a small node."""
    small = {"cpu": 0.01, "memory": "64Mi"}
    return Lab(client, project.name, {"resourceRequests": small, "sidecarResourceRequests": small})


@pytest.fixture
def new_repo(client: Client, lab: Lab) -> NewRepo:
    return lambda: lab.data(lab.repo())


@pytest.fixture
def data(new_repo: NewRepo) -> Data:
    """An empty repo of the test's own."""
    return new_repo()


@pytest.fixture(scope="session")
def auth_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(address, root token) of a pachd with active auth, apart from the one of the other tests."""
    if ADDRESS:
        if not os.environ.get("PACHD_ROOT_TOKEN"):
            pytest.skip("PACHD_ROOT_TOKEN is the token of pach:root")
        yield ADDRESS, os.environ["PACHD_ROOT_TOKEN"]
        return
    directory = tmp_path_factory.mktemp("auth")
    token = uuid.uuid4().hex
    file = directory / "root-token"
    file.touch(mode=0o600)
    file.write_text(token)
    private_pfs = bool(ProcessWorker({}).check())
    settings = Settings(directory / "data", "127.0.0.1:0", private_pfs=private_pfs, auth_root_token_file=file)
    server = Server(settings)
    yield server.address, token
    server.stop()


@pytest.fixture
def auth_lab(auth_server: tuple[str, str], connect: Connect) -> Iterator[AuthLab]:
    address, token = auth_server
    lab = AuthLab(lambda token: connect(token, at=address), token)
    yield lab
    lab.clear()


@pytest.fixture
def open_pachd(tmp_path: Path, connect: Connect) -> Iterator[Callable[[str | None], Client]]:
    """Clients, by token, of an embedded pachd of the test's own, on which auth is off."""
    server = Server(Settings(tmp_path / "open", "127.0.0.1:0", private_pfs=True))

    def to(token: str | None = None) -> Client:
        return connect(token, at=server.address)

    yield to
    server.stop()


@pytest.fixture
def unmade(lab: Lab) -> Callable[[], Data]:
    """Names of repos that are not there yet."""
    return lambda: lab.data(lab.name("repo"))


@pytest.fixture
def batch(client: Client) -> Callable[..., transaction.TransactionInfo]:
    return lambda *requests: client.transaction.batch_transaction(requests=list(requests))


@pytest.fixture
def inside(connect: Callable[..., Client]) -> Iterator[Client]:
    """A client with an open transaction, which is deleted after the test if it is still there."""
    client = connect()
    opened = client.transaction.start_transaction()
    yield client
    outside = connect()
    if outside.transaction.transaction_exists(opened):
        outside.transaction.delete_transaction(transaction=opened)


@pytest.fixture
def new_file_set(client: Client) -> Callable[..., str]:
    """The id of a new file set of these changes."""
    return lambda *changes: client.pfs.create_file_set(iter(map(modification, changes))).file_set_id


@pytest.fixture
def file_set(client: Client) -> Callable[[str], Data]:
    """A file set as what can be read: its id is the commit's."""

    def of(file_set_id: str) -> Data:
        data = Data(client, "__filesets__")
        data.commit = lambda _at="": pfs.Commit(  # type: ignore[assignment,method-assign]
            repo=pfs.Repo(name="__filesets__", type="user", project=pfs.Project(name="default")),
            id=file_set_id,
        )
        return data

    return of


@pytest.fixture
def commit_of_file_sets(client: Client) -> Callable[..., str]:
    """The id of a finished commit that file sets were added to."""

    def commit(data: Data, *file_set_ids: str) -> str:
        data.start()
        for file_set_id in file_set_ids:
            client.pfs.add_file_set(commit=data.info().commit, file_set_id=file_set_id)
        return str(data.finish().commit.id)

    return commit
