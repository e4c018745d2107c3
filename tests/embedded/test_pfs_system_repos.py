# SPDX-License-Identifier: GPL-3.0-or-later
"""Repos and branches as a pipeline has them, here made by hand, which no call of the API can delete again."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs


def spec_of(data: Any) -> pfs.Repo:
    return pfs.Repo(name=data.repo.name, type="spec", project=data.repo.project)


def test_a_repo_with_a_system_repo_is_not_deleted(client: Client, data: Any, refused: Any) -> None:
    client.pfs.create_repo(repo=spec_of(data))
    with refused(StatusCode.UNKNOWN, "cannot delete a repo associated with a pipeline"):
        client.pfs.delete_repo(repo=data.repo, force=True)


def test_repos_of_one_name_are_listed_by_type(client: Client, data: Any) -> None:
    for kind in ("spec", "meta"):
        client.pfs.create_repo(repo=pfs.Repo(name=data.repo.name, type=kind))

    def listed(**options: Any) -> list[str]:
        found = client.pfs.list_repo(**options)
        return [info.repo.type for info in found if info.repo.name == data.repo.name]

    assert (listed(), listed(type="user")) == (["meta", "spec", "user"], ["user"])


@pytest.fixture
def output(client: Client, new_repo: Any) -> Any:
    """A repo as a pipeline's output: its branch depends on an input and on its own spec repo."""
    up, out = new_repo(), new_repo()
    client.pfs.create_repo(repo=spec_of(out))
    provenance = [pfs.Branch(repo=spec_of(out), name="master"), up.branch()]
    client.pfs.create_branch(branch=out.branch(), provenance=provenance)
    return out


def test_a_pipelines_output_commit_is_finished_by_force_only(output: Any, refused: Any) -> None:
    text = "^cannot finish a pipeline output or meta commit, use 'stop job' instead$"
    with refused(StatusCode.UNKNOWN, text):
        output.finish()
    output.put({"/a": b"1"})
    output.finish(force=True)
    assert output.ls() == ["/a"]
