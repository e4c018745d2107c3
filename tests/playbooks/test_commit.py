# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_commit: each action, again, and its check-mode twin."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab
from .pipelines import lab_with_data, spec


@pytest.fixture
def data(lab: Lab) -> Lab:
    return lab_with_data(lab)


def commit(lab: Lab, **options: Any) -> dict[str, Any]:
    predicted = lab.run("commit", check=True, **options)
    result = lab.run("commit", **options)
    for key in ("changed", "actions", "diff"):
        assert predicted.get(key) == result.get(key), key
    return result


def head(lab: Lab, branch: str = "data@master") -> str:
    return str(lab.client.pfs.inspect_branch(branch=pfs.Branch.from_uri(branch)).head.id)


def test_start_and_finish(data: Lab) -> None:
    started = commit(data, action="start", repo="data", description="week")
    assert started["actions"] == [{"action": "start", "kind": "commit", "name": "default/data@master"}]
    [made] = started["commits"]
    assert (made["state"], made["description"]) == ("open", "week")
    again = commit(data, action="start", repo="data")
    assert not again["changed"]
    assert again["commits"] == [made]
    over = data.run("commit", action="wait", repo="data", wait_timeout=0.2)
    assert over["msg"] == "default/data@master is not finished at the end of wait_timeout, 0.2 s"
    finished = commit(data, action="finish", repo="data", id=made["id"], description="done")
    assert finished["changed"]
    assert finished["commits"] == [{**made, "state": "finished", "description": "done"}]
    for options in ({"repo": "data"}, {"commits": [{"repo": "data", "id": made["id"]}]}):
        assert not commit(data, action="finish", **options)["changed"]
    assert commit(data, action="wait", repo="data")["commits"] == finished["commits"]


def test_on_a_branch_that_is_new(data: Lab) -> None:
    started = commit(data, action="start", commits=[{"repo": "data", "branch": "dev"}, {"repo": "taken"}])
    assert len(started["actions"]) == 2
    assert head(data, "data@dev") == started["commits"][0]["id"]
    assert commit(data, action="finish", branch="dev", commits=[{"repo": "data"}])["changed"]


def test_squash_and_drop(data: Lab) -> None:
    middle = head(data)
    data.put("/c", b"c")
    newest = head(data)
    assert "cannot squash it: " in data.run("commit", action="squash", id=newest)["msg"]
    assert "cannot drop it: " in data.run("commit", action="drop", id=middle)["msg"]
    assert commit(data, action="squash", id=middle)["changed"]
    assert not commit(data, action="squash", id=middle)["changed"]
    assert sorted(data.files()) == ["/a", "/b", "/c"]
    assert commit(data, action="drop", id=newest)["changed"]
    assert not commit(data, action="drop", commits=[{"id": newest}])["changed"]
    assert head(data) not in (middle, newest)


def test_wait_for_a_set_and_an_error_in_it(data: Lab) -> None:
    data.run("pipeline", pipeline=spec(script="exit 1", datum_tries=1))
    data.put("/c", b"c")
    failed = data.run("commit", action="wait", id=head(data))
    assert f"commit default/p@{head(data)} has an error: datum " in failed["msg"]
    assert {one["state"] for one in failed["commits"]} == {"finished"}
    assert not data.run("commit", action="wait", repo="data").get("failed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "finish", "id": "x"}, "repo: is required with action finish"),
        ({"action": "start", "repo": "data", "id": "x"}, "id: action start makes a new commit"),
        (
            {"action": "drop", "repo": "data"},
            "id: action drop takes the id of a whole commit set, and no repo",
        ),
        ({"action": "wait", "commits": [{}]}, "commits[0].repo: is required, or commits[0].id"),
        ({"action": "wait", "id": "x"}, "id: x: must be the 32 digits, 0-9 and a-f, of a commit"),
        ({"action": "wait", "id": "1" * 32}, f"commit set {'1' * 32} does not exist"),
        ({"action": "finish", "repo": "nope"}, "default/nope@master does not exist"),
        (
            {"action": "start", "repo": "nope"},
            "default/nope@master: cannot start it: repo default/nope not found",
        ),
        ({"action": "wait", "repo": "data", "wait_timeout": 0}, "wait_timeout: must be more than 0 seconds"),
        ({"action": "wait", "repo": "a b"}, 'repo: repo name "a b": only letters'),
    ],
)
def test_what_cannot_be(data: Lab, options: dict[str, Any], message: str) -> None:
    assert message in data.run("commit", **options)["msg"]
