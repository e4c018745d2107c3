# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever comes in, the answer is a status with a reason; what is refused changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.rpc import SERVICES, Method, methods_of
from pachd_embedded.server import Server
from tests.contract.lab import Data, Lab
from tests.embedded import fuzz

# What no client may see: words of an exception that nobody expected, or of the parts that this is made of.
INNARDS = re.compile(
    r"Traceback|File \"|Exception (calling|iterating)|the embedded pachd failed|object has no attribute"
    r"|NoneType|not subscriptable|KeyError|IndexError|<class|betterproto|sqlite|UNIQUE constraint|codec can't"
)
# Seconds after which a call that waits, as some do, is given up.
PATIENCE = 5
# Of a server that answers nobody without a token afterwards.
SKIPPED = ("/auth_v2.API/Activate",)

METHODS = [method for module in SERVICES for method in methods_of(module) if method.path not in SKIPPED]


def refusal(call: Callable[[], Any]) -> grpc.RpcError | None:
    """What a call is refused with; None where it was served, or goes on for longer than we wait."""
    try:
        list(call() or ())
    except grpc.RpcError as error:
        return None if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else error
    return None


def complaint(error: grpc.RpcError) -> str:
    """What is wrong with a refusal, "" if it tells its reason and nothing else."""
    code, text = error.code(), error.details() or ""
    unexpected = code is grpc.StatusCode.INTERNAL and "cycle detected" not in text
    return f"{code}: {text}" if unexpected or not text.strip() or INNARDS.search(text) else ""


@pytest.fixture(scope="module")
def lab(client: Client) -> Lab:
    """With what most bad input is about: a repo of two files."""
    lab = Lab(client)
    client.pfs.create_repo(repo=pfs.Repo.from_uri("data"))
    lab.put("data", {"a": "1", "d/b": "2"})
    return lab


@pytest.fixture(autouse=True)
def no_surprises(caplog: pytest.LogCaptureFixture) -> Any:
    """No thread of the server ran into an error that it did not expect."""
    yield
    records = [r for when in ("setup", "call") for r in caplog.get_records(when)]
    surprises = [r.getMessage() for r in records if r.levelno >= logging.ERROR and r.name.startswith("pachd")]
    assert surprises == []


def state(lab: Lab) -> list[str]:
    """All that calls could have changed: repos, branches with their heads, pipelines."""
    repos = [info.repo for info in lab.pfs.list_repo(type="")]
    branches = [info for repo in repos for info in lab.pfs.list_branch(repo=repo)]
    heads = [f"{info.branch.as_uri()} {info.branch.repo.type} {info.head.id}" for info in branches]
    pipelines = [f"{info.pipeline.name} {info.version}" for info in lab.pps.list_pipeline()]
    return [*(f"{repo.as_uri()}.{repo.type}" for repo in repos), *heads, *pipelines]


def create(lab: Lab, spec: Any, flags: dict[str, bool]) -> None:
    lab.create(spec, **flags)


@pytest.mark.parametrize("seed", range(12))
def test_specs_of_pipelines(lab: Lab, seed: int) -> None:
    """Fifty a seed."""
    source = Random(seed)
    before = state(lab)
    bad = set()
    for _ in range(50):
        spec = fuzz.spec(source)
        flags = {name: source.random() < 0.2 for name in ("dry_run", "update", "reprocess")}
        if error := refusal(partial(create, lab, spec, flags)):
            bad.add(complaint(error))
            assert state(lab) == before, spec
        else:
            for info in list(lab.pps.list_pipeline()):
                lab.pps.delete_pipeline(pipeline=info.pipeline, force=True)
            before = state(lab)
    assert bad <= {""}


def file_calls(data: Data, source: Random) -> list[Callable[[], Any]]:
    """Calls on files and commits, each with odd paths, names and numbers."""

    def path() -> str:
        return fuzz.text(source)

    def file() -> Any:
        return pfs.File(commit=source.choice((data.commit(), commit())), path=path())

    def commit() -> Any:
        return pfs.Commit(repo=data.repo, id=fuzz.text(source), branch=data.branch(fuzz.text(source)))

    api, number = data.api, source.choice([n for n in fuzz.NUMBERS if abs(n) < 2**63])
    page = {"number": number, "reverse": source.random() < 0.5, "pagination_marker": pfs.File(path=path())}
    return [
        lambda: data.modify([(path(), b"x")]),
        lambda: data.modify([("/fine", b"x"), path()], at=fuzz.text(source)),
        lambda: data.modify([pfs.CopyFile(src=file(), dst=path(), append=source.random() < 0.5)]),
        lambda: data.modify([pfs.AddFile(path=path(), url=pfs.AddFileUrlSource(url=path(), recursive=True))]),
        lambda: api.get_file(file=file(), offset=number),
        lambda: api.get_file_tar(file=file(), offset=number),
        lambda: api.inspect_file(file=file()) and (),
        lambda: api.list_file(file=file(), **page),
        lambda: api.walk_file(file=file(), **page),
        lambda: api.glob_file(commit=data.commit(), pattern=path(), path_range=pfs.PathRange(path(), path())),
        lambda: api.diff_file(new_file=file(), old_file=file()),
        lambda: api.inspect_commit(commit=commit()) and (),
        lambda: api.list_commit(repo=data.repo, from_=commit(), to=commit(), number=number),
        lambda: api.start_commit(branch=data.branch(path()), parent=commit()) and (),
        lambda: api.finish_commit(commit=commit()) and (),
        lambda: api.create_branch(branch=data.branch(path()), head=commit()) and (),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_paths_names_and_numbers(lab: Lab, seed: int) -> None:
    """Some fifty a seed."""
    source = Random(seed)
    data = lab.data(lab.repo())
    data.put({"/a": b"1", "/d/b": b"2"})
    bad = set()
    for _ in range(4):
        for call in file_calls(data, source):
            before = state(lab)
            if error := refusal(call):
                bad.add(complaint(error))
                assert state(lab) == before
    assert bad <= {""}
    assert list(lab.pfs.list_file(file=pfs.File.from_uri("data@master:/")))


def send(call: Any, method: Method, request: Any) -> Any:
    answer = call(iter(request) if method.request_streams else request, timeout=PATIENCE)
    return answer if method.response_streams else ()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path[1:])
def test_any_message(pachd: Server, client: Client, lab: Lab, method: Method) -> None:
    """Each method of the API, with six messages: the first one empty, then with anything in their fields."""
    source = Random(method.path)
    bad = set()
    with grpc.insecure_channel(pachd.address) as channel:
        sides = (method.request_streams, method.response_streams)
        make = getattr(channel, "_".join("stream" if streams else "unary" for streams in sides))
        call = make(method.path, request_serializer=bytes, response_deserializer=bytes)
        for number in range(6):
            made = fuzz.message(method.request_class, source) if number else method.request_class()
            request = [made] if method.request_streams else made
            if error := refusal(partial(send, call, method, request)):
                bad.add(complaint(error))
    assert bad <= {""}
    assert client.get_version().major == 2


def test_the_server_still_runs_pipelines(client: Client) -> None:
    client.pfs.create_project(project=pfs.Project(name="afterwards"))
    lab = Lab(client, "afterwards")
    assert lab.counts(lab.pipeline(lab.repo(a="1"), "true")) == "SUCCESS p1 t1"
