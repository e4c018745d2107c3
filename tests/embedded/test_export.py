# SPDX-License-Identifier: GPL-3.0-or-later
"""export writes a lab as plain files, and /seed makes the same lab of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from pachd_embedded import directories
from pachd_embedded.cli import main
from pachd_embedded.errors import PachError
from pachd_embedded.server import Server, Settings
from pachd_embedded.transfer.layout import TransferError
from pachd_embedded.transfer.local import LocalPachd
from pachd_embedded.transfer.seed import seed
from tests.contract.lab import Data, Lab

Start = Callable[..., Server]

SPEC = {
    "transform": {"image": "python:3.11", "cmd": ["sh"], "stdin": ["cp /pfs/data/* /pfs/out/"]},
    "input": {"pfs": {"repo": "data", "glob": "/*"}},
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def make(name: str = "data") -> Server:
        servers.append(Server(Settings(tmp_path / name, "127.0.0.1:0", private_pfs=True)))
        return servers[-1]

    yield make
    for server in servers:
        server.stop(0)


def lab_of(server: Server) -> Lab:
    return Lab(Client.from_pachd_address(f"grpc://{server.address}"))


def create(lab: Lab, name: str, **fields: Any) -> None:
    spec = {"pipeline": {"name": name}, **SPEC, **fields}
    lab.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))


def make_lab(lab: Lab) -> None:
    """Two projects, a repo with two branches of different files, pipelines in a chain, one stopped."""
    lab.pfs.create_project(project=pfs.Project(name="vision"), description="of images")
    data = Data(lab.client, "data")
    data.api.create_repo(repo=data.repo, description="what is measured")
    data.put({"/a": b"1", "/deep/er/b": b"22", "/empty": b""})
    data.put({"/other": b"." * 1_200_000}, at="dev")
    images = Data(lab.client, "vision/images")
    images.api.create_repo(repo=images.repo)
    # Made in another order than they can be: the second reads from the first after an update.
    create(lab, "last", input={"pfs": {"repo": "data", "glob": "/"}})
    create(lab, "first")
    spec = {"pipeline": {"name": "last"}, **SPEC, "input": {"pfs": {"repo": "first", "glob": "/"}}}
    lab.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec), update=True)
    lab.pps.stop_pipeline(pipeline=pps.Pipeline(name="last", project=pfs.Project(name="default")))


def files_below(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_an_export_is_plain_files(start: Start, tmp_path: Path) -> None:
    server = start()
    make_lab(lab_of(server))
    assert main(["export", "--address", server.address, "--to", str(tmp_path / "out")]) == 0
    files = files_below(tmp_path / "out")
    manifest = json.loads(files.pop("manifest.json"))
    specs = {name: json.loads(files.pop(f"pipelines/default/{name}.json")) for name in ("first", "last")}
    assert files == {
        "repos/default/data/master/a": b"1",
        "repos/default/data/master/deep/er/b": b"22",
        "repos/default/data/master/empty": b"",
        "repos/default/data/dev/other": b"." * 1_200_000,
    }
    assert specs["first"] == {"pipeline": {"name": "first"}, **SPEC}
    assert [each["name"] for each in manifest["pipelines"]] == ["first", "last"]
    assert [each["stopped"] for each in manifest["pipelines"]] == [False, True]
    assert {each["name"]: each["description"] for each in manifest["projects"]} == {
        "default": "",
        "vision": "of images",
    }
    assert [(each["project"], each["name"], each["description"]) for each in manifest["repos"]] == [
        ("default", "data", "what is measured"),
        ("vision", "images", ""),
    ]


def test_a_stopped_directory_is_exported_as_a_running_server_is(start: Start, tmp_path: Path) -> None:
    server = start()
    make_lab(lab_of(server))
    main(["export", "--address", f"grpc://{server.address}", "--to", str(tmp_path / "running")])
    server.stop(0)
    assert main(["export", "--data-dir", str(tmp_path / "data"), "--to", str(tmp_path / "stopped")]) == 0
    assert files_below(tmp_path / "stopped") == files_below(tmp_path / "running")


def test_outputs_come_when_asked_for(start: Start, tmp_path: Path) -> None:
    server = start()
    lab = lab_of(server)
    data = Data(lab.client, "data")
    data.api.create_repo(repo=data.repo)
    data.put({"/a": b"1"})
    create(lab, "copy")
    lab.pfs.wait_commit(pfs.Commit.from_uri("copy@master"))
    main(["export", "--address", server.address, "--to", str(tmp_path / "out"), "--outputs"])
    assert (tmp_path / "out/outputs/default/copy/master/a").read_bytes() == b"1"
    assert not (tmp_path / "out/repos/default/copy").exists()


def test_of_a_branch_that_is_written_to_the_last_finished_files_come(start: Start, tmp_path: Path) -> None:
    server = start()
    lab = lab_of(server)
    data = Data(lab.client, "data")
    data.api.create_repo(repo=data.repo)
    data.put({"/a": b"1"})
    data.start()
    data.modify([("/b", b"2")])
    fresh = Data(lab.client, "fresh")
    fresh.api.create_repo(repo=fresh.repo)
    fresh.start()
    main(["export", "--address", server.address, "--to", str(tmp_path / "out")])
    assert list(files_below(tmp_path / "out/repos")) == ["default/data/master/a"]
    assert (tmp_path / "out/repos/default/fresh/master").is_dir()


def test_what_is_exported_makes_the_same_lab(start: Start, tmp_path: Path) -> None:
    old, new = start("old"), start("new")
    make_lab(lab_of(old))
    main(["export", "--address", old.address, "--to", str(tmp_path / "one")])
    made = seed(LocalPachd(new.core), tmp_path / "one")
    assert made == {"projects": 2, "repos": 2, "files": 4, "pipelines": 2}
    main(["export", "--address", new.address, "--to", str(tmp_path / "two")])
    one, two = files_below(tmp_path / "one"), files_below(tmp_path / "two")
    manifests = [json.loads(files.pop("manifest.json")) for files in (one, two)]
    for manifest in manifests:
        for repo in manifest["repos"]:
            for branch in repo["branches"]:
                del branch["commit"]
    assert one == two
    assert manifests[0] == manifests[1]


def test_branches_keep_their_provenance(start: Start, tmp_path: Path) -> None:
    old, new = start("old"), start("new")
    lab = lab_of(old)
    for name in ("data", "derived"):
        Data(lab.client, name).api.create_repo(repo=Data(lab.client, name).repo)
    Data(lab.client, "derived").derive(Data(lab.client, "data"))
    main(["export", "--address", old.address, "--to", str(tmp_path / "out")])
    seed(LocalPachd(new.core), tmp_path / "out")
    derived = lab_of(new).pfs.inspect_branch(branch=pfs.Branch.from_uri("derived@master"))
    assert [branch.as_uri() for branch in derived.direct_provenance] == ["default/data@master"]


def test_a_repo_that_a_cron_pipeline_makes_is_left_to_it(start: Start, tmp_path: Path) -> None:
    old, new = start("old"), start("new")
    create(lab_of(old), "tick", input={"cron": {"name": "c", "spec": "@yearly"}})
    main(["export", "--address", old.address, "--to", str(tmp_path / "out")])
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (manifest["repos"], len(manifest["pipelines"])) == ([], 1)
    assert seed(LocalPachd(new.core), tmp_path / "out")["pipelines"] == 1


# Targets and sources


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_a_target_that_holds_something_is_refused(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    target = tmp_path / "out"
    if kind == "directory":
        target.mkdir()
        (target / "mine").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "elsewhere")
    assert main(["export", "--address", start().address, "--to", str(target)]) == 1
    error = f"pachd-embedded: {target} exists and is no empty directory; choose a new one\n"
    assert capsys.readouterr().err == error
    if kind == "directory":
        assert files_below(target) == {"mine": b"mine"}


def test_an_empty_target_is_taken(start: Start, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert main(["export", "--address", start().address, "--to", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/manifest.json").is_file()


def test_an_export_that_fails_leaves_nothing(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    make_lab(lab_of(server))
    server.faults.add({"method": "GetFileTAR", "after_messages": 1, "text": "cut"})
    (tmp_path / "place").mkdir()
    assert main(["export", "--address", server.address, "--to", str(tmp_path / "place/out")]) == 1
    assert capsys.readouterr().err == f"pachd-embedded: {server.address}: cut\n"
    assert list((tmp_path / "place").iterdir()) == []


def test_a_directory_that_is_served_is_named_by_its_address(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    server.open_to_owner()
    assert main(["export", "--data-dir", str(tmp_path / "data"), "--to", str(tmp_path / "out")]) == 1
    text = f"{tmp_path / 'data'} is served; give --address {server.address} instead of it"
    assert capsys.readouterr().err == f"pachd-embedded: {text}\n"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "grpc://127.0.0.1:1", "nonsense://x", "grpc://"])
def test_an_address_where_nothing_is_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert main(["export", "--address", address, "--to", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(rf"pachd-embedded: (grpc://)?{re.escape(address)}: (?!None).+\n", error)


# What is seeded


@pytest.fixture
def pachd(start: Start) -> LocalPachd:
    return LocalPachd(start().core)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "seed"
    (made / "repos/default/data/master").mkdir(parents=True)
    (made / "repos/default/data/master/a").write_bytes(b"1")
    (made / "pipelines/default").mkdir(parents=True)
    spec = {"pipeline": {"name": "copy"}, **SPEC}
    (made / "pipelines/default/copy.json").write_text(json.dumps(spec))
    write(made)
    return made


def write(directory: Path, **changes: Any) -> None:
    manifest = {
        "format": 1,
        "repos": [{"name": "data", "branches": [{"name": "master"}]}],
        "pipelines": [{"name": "copy"}],
        **changes,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_a_manifest_by_hand_may_leave_things_out(pachd: LocalPachd, directory: Path) -> None:
    assert seed(pachd, directory) == {"projects": 0, "repos": 1, "files": 1, "pipelines": 1}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 2}, '"format" is not 1'),
        ({"repos": "data"}, "repos is no list of objects"),
        ({"repos": ["data"]}, "repos is no list of objects"),
        ({"repos": [{"name": 1}]}, "name 1 in repos is no str"),
        ({"repos": [{}]}, "'' is no name of a project, repo, branch or pipeline"),
        ({"repos": [{"name": "../../etc"}]}, "'../../etc' is no name of a project, repo, branch or pipeline"),
        ({"repos": [{"name": "data", "branches": [{"name": "dev"}]}]}, "data/dev is no directory"),
        ({"pipelines": [{"name": "none"}]}, "none.json cannot be read: .*No such file"),
        ({"pipelines": [{"name": "copy", "project": ".."}]}, "'..' is no name of a project, repo"),
        ({"pipelines": [{"name": "copy", "stopped": "no"}]}, "stopped 'no' in pipelines is no bool"),
    ],
)
def test_a_manifest_with_a_mistake_makes_nothing(
    pachd: LocalPachd, directory: Path, changes: dict[str, Any], text: str
) -> None:
    write(directory, **changes)
    with pytest.raises(TransferError, match=text) as caught:
        seed(pachd, directory)
    assert "\n" not in str(caught.value)
    assert list(pachd.pfs.list_repo()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_manifest_that_is_none_is_refused(pachd: LocalPachd, directory: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    with pytest.raises(TransferError, match=r"manifest\.json"):
        seed(pachd, directory)


def test_a_directory_without_a_manifest_is_refused(pachd: LocalPachd, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"holds no manifest\.json; `export` writes one$"):
        seed(pachd, tmp_path)


def test_links_and_pipes_are_refused(pachd: LocalPachd, directory: Path) -> None:
    """Who may ask for a seed must not read what the server's user may read."""
    link = directory / "repos/default/data/master/link"
    link.symlink_to("/etc/hostname")
    with pytest.raises(TransferError, match=r"link is neither a file nor a directory$"):
        seed(pachd, directory)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(TransferError, match=r"link is neither a file nor a directory$"):
        seed(pachd, directory)
    assert list(pachd.pfs.list_repo()) == []


def test_what_exists_is_not_touched(pachd: LocalPachd, directory: Path) -> None:
    pachd.pfs.create_repo(repo=pfs.Repo(name="copy", type="user", project=pfs.Project(name="default")))
    with pytest.raises(TransferError, match=r"^default/copy exists already; reset first$"):
        seed(pachd, directory)
    assert [info.repo.name for info in pachd.pfs.list_repo()] == ["copy"]


def test_a_pipeline_that_pachd_refuses_is_told_as_it_says_it(pachd: LocalPachd, directory: Path) -> None:
    (directory / "pipelines/default/copy.json").write_text('{"pipeline": {"name": "copy"}}')
    with pytest.raises(PachError, match="no input set"):
        seed(pachd, directory)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "out"
    directories.remove(tmp_path / "out")  # it is too deep for pytest


def test_directories_may_be_deep(start: Start, deep: Path) -> None:
    path = "/d" * 1_500 + "/f"
    first, second = lab_of(server := start()), start("other")
    data = Data(first.client, "data")
    data.api.create_repo(repo=data.repo)
    data.put({path: b"1"})
    main(["export", "--address", server.address, "--to", str(deep)])
    assert seed(LocalPachd(second.core), deep)["files"] == 1
    assert lab_of(second).files("data") == {path: "1"}
